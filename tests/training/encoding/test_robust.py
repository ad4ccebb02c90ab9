import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.training.encoding.reference import encoded, fitted, ordinary, tables
from training.encoding import Robust


def layer(flags: int = 0) -> Robust:
    return Robust(np.array([10.0]), np.array([2.0]), flags)


def test_near_the_centre_it_only_scales() -> None:
    assert torch.allclose(layer()(torch.tensor([[10.2], [9.8]])), torch.tensor([[0.1], [-0.1]]), atol=1e-3)


def test_nothing_is_further_out_than_3() -> None:
    far = torch.tensor([[-3.4e38], [-1e20], [1e12], [3.4e38]])
    assert layer()(far).tolist() == [[-3.0], [-3.0], [3.0], [3.0]]


def test_flags_pass_through() -> None:
    assert layer(1)(torch.tensor([[10.0, 1.0], [10.0, 0.0]])).tolist() == [[0.0, 1.0], [0.0, 0.0]]


@settings(deadline=None, max_examples=60, derandomize=True)
@given(table=tables(), other=tables())
def test_it_follows_the_formula(table: NDArray[np.float32], other: NDArray[np.float32]) -> None:
    encoding = fitted("robust", table)
    for raw in (table, other):
        got = encoding.encode(encoding.fill(torch.from_numpy(raw))).numpy()
        assert np.abs(got - encoded(encoding, raw)).max() < 2e-6


@settings(deadline=None, max_examples=40, derandomize=True)
@given(x=st.lists(st.floats(width=32, allow_nan=False), min_size=2, max_size=9))
def test_order_is_kept(x: list[float]) -> None:
    got = layer()(torch.tensor(sorted(x), dtype=torch.float32)[:, None])
    # Two roundings may each be one step off.
    assert (got.diff(dim=0) >= -1e-6).all()


def test_missing_numbers_are_the_median_and_so_0() -> None:
    table = ordinary()
    encoding = fitted("robust", table)
    got = encoding.encode(encoding.fill(torch.full((1, table.shape[1]), float("nan"))))
    assert got.tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]]
