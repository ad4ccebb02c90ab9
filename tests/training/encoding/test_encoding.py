import typing

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from tests.training.encoding.reference import (
    HARD,
    KINDS,
    column,
    filled,
    fitted,
    learned,
    ordinary,
    regions,
    tables,
    waves,
)
from training.config import EncodingName, Task
from training.encoding import Encoding, Kind, fit_encoding, served
from training.encoding.places import WithPlaces
from training.errors import ConfigError
from training.export import export
from training.loop.groups import groups
from training.model import Standardiser
from training.predictor import Predictor, Shapes

kinds = pytest.mark.parametrize("kind", KINDS)


def run(encoding: Encoding, raw: NDArray[np.float32]) -> torch.Tensor:
    return encoding.learn(encoding.encode(encoding.fill(torch.from_numpy(raw))))


def check_finite(encoding: Encoding, raw: NDArray[np.float32]) -> None:
    out = run(encoding, raw)
    assert out.shape == (len(raw), encoding.width)
    assert torch.isfinite(out).all()
    parameters = list(encoding.learn.parameters())
    if parameters:
        out.sum().backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in parameters)


def test_every_kind_and_auto_have_a_name() -> None:
    assert typing.get_args(Kind) == KINDS
    assert typing.get_args(EncodingName) == ("auto", *KINDS)


@kinds
@pytest.mark.parametrize("name", HARD)
def test_hard_columns_give_finite_inputs_and_gradients(kind: Kind, name: str) -> None:
    check_finite(fitted(kind, column(name)), column(name))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(kind=st.sampled_from(KINDS), table=tables(), task=st.sampled_from(["classification", "regression"]))
def test_any_table_gives_finite_inputs_and_gradients(
    kind: Kind, table: NDArray[np.float32], task: Task
) -> None:
    check_finite(fitted(kind, table, task), table)


@kinds
def test_widths_are_those_of_the_tensors(kind: Kind) -> None:
    table = ordinary()
    encoding = fitted(kind, table)
    encoded = encoding.encode(encoding.fill(torch.from_numpy(table)))
    assert encoding.fill.width == 5
    assert encoded.shape[1] == encoding.encoded_width
    assert encoding.learn(encoded).shape[1] == encoding.width


@kinds
def test_only_what_learns_has_parameters(kind: Kind) -> None:
    encoding = fitted(kind, ordinary())
    assert not list(encoding.fill.parameters())
    assert not list(encoding.encode.parameters())
    assert bool(list(encoding.learn.parameters())) == (kind in ("bins-relu", "periodic"))


@kinds
def test_flags_arrive_last_and_unchanged(kind: Kind) -> None:
    table = ordinary()
    flags = run(fitted(kind, table), table)[:, -1]
    assert flags.tolist() == np.isnan(table[:, 0]).astype(float).tolist()


@pytest.mark.parametrize("kind", ["standard", "periodic"])
def test_missing_numbers_become_the_mean(kind: Kind) -> None:
    table = ordinary()
    assert fitted(kind, table).fill.values.numpy() == pytest.approx(np.nanmean(table, 0, np.float64))


def test_standard_is_a_standardiser_that_leaves_flags_alone() -> None:
    table = ordinary()
    learn = fitted("standard", table).learn
    assert isinstance(learn, Standardiser)
    assert learn.scale.numpy() == pytest.approx([*np.nanstd(table[:, :3], 0, np.float64), 1.0, 1.0])
    assert (learn.mean[-1], learn.scale[-1]) == (0, 1)


@kinds
def test_the_same_seed_gives_the_same_encoding(kind: Kind) -> None:
    first, second = (fitted(kind, ordinary(), seed=3) for _ in range(2))
    for name in ("fill", "encode", "learn"):
        one, other = (getattr(encoding, name).state_dict() for encoding in (first, second))
        assert all(torch.equal(one[key], other[key]) for key in one)


@kinds
def test_the_served_form_gives_what_training_gave(kind: Kind) -> None:
    encoding = fitted(kind, ordinary())
    encoded = encoding.encode(encoding.fill(torch.from_numpy(ordinary(seed=5)))).double()
    learn = encoding.learn.double()
    assert torch.allclose(served(learn)(encoded), learn(encoded), rtol=1e-12, atol=1e-12)


@kinds
def test_the_served_form_has_numbers_of_its_own(kind: Kind) -> None:
    learn = fitted(kind, ordinary()).learn
    plain = served(learn)
    before = [tensor.clone() for tensor in plain.state_dict().values()]
    for tensor in learn.state_dict().values():
        tensor.fill_(1)
    assert all(torch.equal(a, b) for a, b in zip(before, plain.state_dict().values(), strict=True))


def exported(module: nn.Module, columns: int) -> onnx.ModelProto:
    """The module alone, with its only input."""
    return export(Predictor(None, module, Shapes(columns, 0, False)), "regression")


@kinds
def test_exported_it_computes_in_onnxruntime_what_numpy_computes(kind: Kind) -> None:
    table = ordinary()
    encoding = fitted(kind, table)
    module = nn.Sequential(encoding.fill, encoding.encode, served(encoding.learn)).eval()
    model = exported(module, table.shape[1])
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    raw = ordinary(40, seed=7)
    raw[3] = np.nan
    raw[4] = 1e30
    for rows in (1, 5, 40):
        (got,) = session.run(None, {"features": raw[:rows]})
        expected = learned(encoding, raw[:rows])
        assert got.shape == expected.shape
        assert got == pytest.approx(expected, rel=2e-5, abs=2e-5)


def test_exported_a_fill_that_accepts_nothing_missing_leaves_no_node() -> None:
    encoding = fitted("bins", ordinary()[:, 1:])
    encoding.fill.accepts_missing = False
    model = exported(nn.Sequential(encoding.fill, encoding.encode).eval(), 3)
    given = [node.op_type for node in model.graph.node if "features" in node.input]
    assert given == ["Gather"]


def treatment(learn: nn.Module) -> dict[str, tuple[float, float]]:
    network = nn.Sequential(learn, nn.Linear(3, 2))
    return {name: (g.rate_scale, g.decay_scale) for g in groups(network) for name in g.names}


def test_bins_learn_five_times_as_fast_and_decay_with_their_biases() -> None:
    learn = fitted("bins-relu", ordinary()).learn
    assert treatment(learn) == {
        "0.weight": (5.0, 1.0),
        "0.bias": (5.0, 1.0),
        "1.weight": (1.0, 1.0),
        "1.bias": (1.0, 0.0),
    }


@pytest.mark.parametrize("kind", ["bins-relu", "periodic"])
def test_the_rate_of_what_learns_can_be_set(kind: Kind) -> None:
    learn = fitted(kind, ordinary()).learn
    learn.rate_scale = 10.0
    assert {rate for name, (rate, _) in treatment(learn).items() if name[0] == "0"} == {10.0}


def test_frequencies_do_not_decay() -> None:
    found = treatment(fitted("periodic", ordinary()).learn)
    assert found["0.0.frequencies"] == (1.0, 0.0)
    assert found["0.1.weight"] == found["0.1.bias"] == (1.0, 1.0)


def test_less_than_two_bins_are_refused() -> None:
    with pytest.raises(ConfigError, match="--bins is 1, expected at least 2"):
        fitted("bins", ordinary(), bins=1)


def placed(kind: Kind) -> tuple[Encoding, NDArray[np.float32]]:
    """An encoding that found the pair of a table which lacks values."""
    table, y = regions()
    table[::7, 0] = np.nan
    table[::9, 2] = np.nan
    generator = torch.Generator().manual_seed(0)
    return fit_encoding(kind, table, y, "regression", generator, bins=8, most_pairs=2), table


@pytest.mark.parametrize("kind", ["bins", "bins-relu"])
def test_places_pass_beside_bins_and_flags(kind: Kind) -> None:
    encoding, table = placed(kind)
    encoded = encoding.encode(encoding.fill(torch.from_numpy(table)))
    assert isinstance(encoding.encode, WithPlaces)
    assert encoded.shape[1] == encoding.encoded_width
    learnt = encoding.learn(encoded)
    assert learnt.shape[1] == encoding.width
    # Two flags, and a sine and a cosine of each frequency.
    assert torch.equal(learnt[:, -130:], encoded[:, -130:])


@pytest.mark.parametrize("kind", ["bins", "bins-relu"])
def test_places_are_the_same_in_onnxruntime(kind: Kind) -> None:
    encoding, table = placed(kind)
    module = nn.Sequential(encoding.fill, encoding.encode, served(encoding.learn)).eval()
    session = onnxruntime.InferenceSession(
        exported(module, 3).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    raw = np.vstack([table[:40], [[np.nan, np.nan, np.nan], [0, 3e38, -3e38]]]).astype(np.float32)
    (got,) = session.run(None, {"features": raw})
    encode = encoding.encode
    assert isinstance(encode, WithPlaces)
    expected = run(encoding, raw).detach().numpy()
    assert got == pytest.approx(expected, abs=2e-4)
    numbers = filled(encoding, raw)[0]
    assert got[:, -128:] == pytest.approx(waves(encode.places, numbers), abs=2e-4)


@kinds
def test_no_encoding_looks_for_places_unless_it_is_told_how_many(kind: Kind) -> None:
    table, y = regions()
    encoding = fit_encoding(kind, table, y, "regression", torch.Generator().manual_seed(0), bins=8)
    assert not isinstance(encoding.encode, WithPlaces)
