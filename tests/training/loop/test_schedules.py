import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.loop.schedules import SCHEDULES, Cosine, OneCycle, Plateau, Schedule


@given(st.sampled_from([Cosine, OneCycle]), st.integers(1, 500), st.floats(0, 0.9))
def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing(
    kind: type[Schedule], steps: int, warm_up: float
) -> None:
    schedule = kind(steps, warm_up)
    factors = [schedule.factor(step) for step in range(steps)]
    assert all(0 < factor <= 1 for factor in factors)
    peak = factors.index(max(factors))
    assert factors[: peak + 1] == sorted(factors[: peak + 1])
    assert factors[peak:] == sorted(factors[peak:], reverse=True)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_step_beyond_the_last_is_no_error(name: str) -> None:
    assert 0 <= SCHEDULES[name](10, 0.2).factor(12) <= 1  # type: ignore[index]


def test_the_cosine_is_what_its_formula_says() -> None:
    schedule = Cosine(10, 0.2)
    assert schedule.factor(0) == 0.5
    assert schedule.factor(1) == 1.0
    assert schedule.factor(5) == pytest.approx(0.5868240888)  # (1 + cos(4π/9)) / 2


def test_momentum_is_low_where_the_rate_is_high() -> None:
    schedule = OneCycle(100, 0.3)
    assert schedule.momentum(29) == pytest.approx(0.85)
    assert schedule.momentum(99) == pytest.approx(0.95, abs=1e-3)


def test_a_plateau_cuts_the_rate_to_a_tenth_and_remembers_it() -> None:
    schedule = Plateau(100)
    for loss in (1.0, 0.9, *[0.9] * Plateau.PATIENCE):
        schedule.after_epoch(loss)
        assert schedule.factor(50) == 1.0
    schedule.after_epoch(0.95)
    assert schedule.factor(50) == pytest.approx(0.1)
    other = Plateau(100)
    other.load_state_dict(schedule.state_dict())
    assert other.factor(50) == schedule.factor(50)


def test_a_constant_rate_rises_once_and_stays() -> None:
    schedule = Schedule(10, 0.2)
    assert [schedule.factor(step) for step in range(4)] == [0.5, 1.0, 1.0, 1.0]
