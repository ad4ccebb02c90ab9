import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from training.folding.affine import (
    Affine,
    amplification,
    into_next,
    into_previous,
    to_float32,
)

NUMBERS = st.floats(-100, 100)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, Affine, Affine]:
    """A weight, a bias, rows, and an affine on either side."""
    outputs, inputs = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    arrays = [(outputs, inputs), (outputs,), (3, inputs), (inputs,), (inputs,), (outputs,), (outputs,)]
    w, b, x, s1, t1, s2, t2 = (draw(hnp.arrays(np.float64, shape, elements=NUMBERS)) for shape in arrays)
    return w, b, x, Affine(s1, t1), Affine(s2, t2)


def apply(affine: Affine, x: np.ndarray) -> np.ndarray:
    return affine.scale * x + affine.shift


@given(problems())
def test_both_moves_keep_the_function(
    problem: tuple[np.ndarray, np.ndarray, np.ndarray, Affine, Affine],
) -> None:
    weight, bias, x, before, after = problem
    scale = 1 + (np.abs(x) + 100).max() * np.abs(weight).sum() * 1e4
    w, b = into_previous(weight, bias, after)
    assert np.allclose(x @ w.T + b, apply(after, x @ weight.T + bias), rtol=0, atol=1e-12 * scale)
    w, b = into_next(weight, bias, before)
    assert np.allclose(x @ w.T + b, apply(before, x) @ weight.T + bias, rtol=0, atol=1e-12 * scale)


@given(problems())
def test_composing_is_applying_one_after_the_other(
    problem: tuple[np.ndarray, np.ndarray, np.ndarray, Affine, Affine],
) -> None:
    x, first = problem[2], problem[3]
    second = Affine(first.shift + 1, first.scale - 1)
    assert np.allclose(apply(first.then(second), x), apply(second, apply(first, x)), rtol=1e-9, atol=1e-6)


def test_batch_norm_is_its_formula() -> None:
    affine = Affine.batch_norm([2.0, 3.0], [1.0, -1.0], [0.5, 0.0], [4.0, 0.25], 1e-3)
    x = np.array([[1.0, 2.0]])
    expected = np.array([2.0, 3.0]) * (x - [0.5, 0.0]) / np.sqrt(np.array([4.0, 0.25]) + 1e-3) + [1.0, -1.0]
    assert np.allclose(apply(affine, x), expected, rtol=1e-15)


def test_one_mean_and_variance_may_serve_all_channels() -> None:
    assert Affine.batch_norm([1.0, 2.0], [0.0, 0.0], 3.0, 1.0, 0.0).shift.tolist() == [-3.0, -6.0]


def test_a_centred_affine_gives_the_same_after_the_subtraction() -> None:
    affine, centre = Affine.standardiser([1000.0], [2.0]), np.array([999.0])
    x = np.array([[1003.0]])
    assert apply(affine.centred(centre), x - centre) == apply(affine, x)


def test_scale_and_shift_must_be_equal_vectors() -> None:
    for scale, shift in ((np.ones(2), np.ones(3)), (np.ones((2, 2)), np.ones((2, 2)))):
        with pytest.raises(ValueError, match="equal vectors"):
            Affine(scale, shift)


def test_statistics_that_are_not_numbers_are_seen() -> None:
    assert Affine(np.ones(1), np.zeros(1)).is_finite
    assert not Affine(np.array([np.inf]), np.zeros(1)).is_finite
    assert not Affine(np.ones(1), np.array([np.nan])).is_finite


def test_amplification_grows_with_the_mean_beside_the_deviation() -> None:
    generator = np.random.default_rng(0)
    weight = generator.normal(size=(64, 64))
    figures = []
    for kappa in (0.0, 10.0, 100.0):
        scaled, bias = into_next(weight, np.zeros(64), Affine.standardiser(np.full(64, kappa), np.ones(64)))
        figures.append(amplification(scaled, bias, np.full(64, kappa), np.ones(64)))
    assert figures[0] < 10
    assert figures[1] / figures[0] > 3
    assert figures[2] / figures[1] == pytest.approx(10, rel=0.3)


def test_a_layer_that_always_gives_zero_amplifies_nothing() -> None:
    assert amplification(np.zeros((2, 2)), np.zeros(2), np.ones(2), np.ones(2)) == 1.0


def test_rounding_is_to_nearest_and_flushes_subnormals() -> None:
    tiny = float(np.finfo(np.float32).tiny)
    rounded = to_float32(np.array([1 + 2.0**-24, 1 + 3 * 2.0**-24, tiny, tiny / 2, -tiny / 4, 0.0]))
    assert rounded.tolist() == [1.0, 1 + 2 * 2.0**-23, tiny, 0.0, 0.0, 0.0]


def test_what_float32_cannot_hold_is_an_error() -> None:
    with pytest.raises(OverflowError, match="outside the range"):
        to_float32(np.array([1.0, -1e39]))
