import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.encoding.reference import edges_of, encoded, fitted, ordinary, tables
from training.encoding import PiecewiseLinear

EDGES = [np.array([0.0, 1.0, 3.0], np.float32), np.array([-2.0, 2.0], np.float32)]


def test_each_bin_is_filled_from_its_lower_to_its_upper_edge() -> None:
    encode = PiecewiseLinear(EDGES, flags=1)
    given = torch.tensor([[2.0, -1.0, 0.0], [-5.0, 9.0, 1.0]])
    assert encode(given).tolist() == [[1.0, 0.5, 0.25, 0.0], [0.0, 0.0, 1.0, 1.0]]
    assert (encode.bins, encode.width) == ((2, 1), 4)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(table=tables(), other=tables())
def test_components_are_what_interpolation_gives(
    table: NDArray[np.float32], other: NDArray[np.float32]
) -> None:
    encoding = fitted("bins", table)
    for raw in (table, other):
        got = encoding.encode(encoding.fill(torch.from_numpy(raw))).numpy()
        assert np.abs(got - encoded(encoding, raw)).max() < 4e-7


@settings(deadline=None, max_examples=60, derandomize=True)
@given(table=tables(columns=1), x=st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=9))
def test_no_component_falls_as_the_number_rises(table: NDArray[np.float32], x: list[float]) -> None:
    encoding = fitted("bins", table)
    rising = torch.tensor(sorted(x), dtype=torch.float32)[:, None]
    components = encoding.encode(encoding.fill(rising))
    assert ((components >= 0) & (components <= 1)).all()
    assert (components.diff(dim=0)[:, : sum(encoding.encode.bins)] >= 0).all()


def test_the_sum_of_the_components_counts_the_edges_passed() -> None:
    table = ordinary(200)
    encoding = fitted("bins", table, bins=16)
    got = encoding.encode(encoding.fill(torch.from_numpy(table))).double().numpy()
    start = 0
    for j, edges in enumerate(edges_of(encoding.encode)):
        known = ~np.isnan(table[:, j])
        expected = np.interp(table[known, j], edges, np.arange(len(edges)))
        assert got[known, start : start + len(edges) - 1].sum(1) == pytest.approx(expected, abs=1e-5)
        start += len(edges) - 1


def test_a_bin_that_is_thin_beside_its_edges_keeps_its_bits() -> None:
    encode = PiecewiseLinear([np.array([1e6, 1e6 + 0.125], np.float32)], flags=0)
    assert encode(torch.tensor([[1e6 + 0.0625]])).item() == 0.5


def test_a_missing_number_fills_no_bin_where_training_lacked_values_too() -> None:
    table = ordinary()
    encoding = fitted("bins", table)
    raw = torch.from_numpy(table[1:2]).clone()
    raw[0, 0] = float("nan")
    got = encoding.encode(encoding.fill(raw))[0]
    assert (got[: encoding.encode.bins[0]] == 0).all()
    assert got[-1] == 1


def test_a_missing_number_is_the_median_where_training_had_them_all() -> None:
    table = ordinary()
    encoding = fitted("bins", table)
    raw = torch.from_numpy(table[1:2]).clone()
    with_median, missing = raw.clone(), raw.clone()
    with_median[0, 1] = float(np.median(table[:, 1].astype(np.float64)))
    missing[0, 1] = float("nan")
    assert torch.equal(encoding.encode(encoding.fill(missing)), encoding.encode(encoding.fill(with_median)))
