import numpy as np
import pytest
from hypothesis import given, settings

from tests.training.encoding.reference import HARD, column, tables
from training.encoding.scales import robust_scales, standard_scales


def test_standard_is_mean_and_deviation() -> None:
    x = np.random.default_rng(0).normal(3, 2, (50, 4))
    scales = standard_scales(x.T)
    assert scales.centre == pytest.approx(np.mean(x, 0))
    assert scales.scale == pytest.approx(np.std(x, 0))


def test_a_constant_column_has_scale_1() -> None:
    scales = standard_scales([np.full(9, 0.1), np.arange(9.0)])
    assert scales.scale[0] == 1.0


def test_in_a_wide_table_a_nearly_constant_column_is_not_blown_up() -> None:
    columns = [np.array([0.0, 2.0 * 4 ** (j % 3)]) for j in range(100)] + [np.array([0.0, 1e-3]), np.zeros(2)]
    assert standard_scales(columns).scale[-2:] == pytest.approx([0.4, 0.4])
    assert standard_scales(columns[2:]).scale[-2:] == pytest.approx([5e-4, 1.0])


def test_columns_of_one_unit_in_a_wide_table_have_one_scale() -> None:
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (200, 150)).astype(float)
    pixels[:, :30] *= draws.random((200, 30)) < 0.02
    pixels[:, 0] = 0
    scale = standard_scales(pixels.T, shared=True).scale
    variances = pixels.var(0)
    assert scale == pytest.approx(np.full(150, np.sqrt(variances[variances > 0].mean())))
    assert len(set(standard_scales(pixels[:, 50:].T, shared=True).scale)) == 100
    other_units = pixels * 10.0 ** (np.arange(150) % 3)
    assert len(set(standard_scales(other_units.T, shared=True).scale)) > 100


def test_a_wide_table_of_constants_has_scale_1() -> None:
    assert (standard_scales([np.ones(3)] * 101).scale == 1).all()


def test_robust_is_median_and_interquartile_range_of_the_normal_distribution() -> None:
    normal = np.random.default_rng(1).normal(-4, 3, 200_000)
    scales = robust_scales([normal])
    assert scales.centre[0] == pytest.approx(-4, abs=0.05)
    assert scales.scale[0] == pytest.approx(3, rel=0.01)


@pytest.mark.parametrize(
    ("values", "scale"),
    [([0.0] * 9 + [8.0], 4.0), ([5.0, 5.0], 1.0), ([0.0, 1e-45], 1.0)],
    ids=["no-interquartile-range", "constant", "subnormal"],
)
def test_robust_falls_back_to_half_the_range_and_then_to_1(values: list[float], scale: float) -> None:
    assert robust_scales([np.array(values)]).scale[0] == scale


@pytest.mark.parametrize("scales_of", [standard_scales, robust_scales], ids=["standard", "robust"])
@settings(deadline=None, max_examples=60, derandomize=True)
@given(table=tables())
def test_scaled_values_are_finite_in_float32(scales_of, table) -> None:  # type: ignore[no-untyped-def]
    known = table[:, 1:]
    scales = scales_of(known.T.astype(np.float64))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        scaled = (known - scales.centre.astype(np.float32)) / scales.scale.astype(np.float32)
    assert np.isfinite(scaled).all()


@pytest.mark.parametrize("name", sorted(set(HARD) - {"all-missing"}))
def test_hard_columns_have_usable_scales(name: str) -> None:
    values = column(name).astype(np.float64)
    for scales in (standard_scales([values[~np.isnan(values)]]), robust_scales([values[~np.isnan(values)]])):
        stored = scales.scale.astype(np.float32)
        assert np.isfinite(stored).all()
        assert (stored >= np.finfo(np.float32).tiny).all()
