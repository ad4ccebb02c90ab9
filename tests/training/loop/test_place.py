"""What a fault undid is done again, and a fault of the schedule is passed by."""

from hypothesis import given, settings
from hypothesis import strategies as st

from training.loop.place import FAR, Place


def after(steps: int, planned: int = 1000) -> Place:
    place = Place(planned)
    for _ in range(steps):
        place.advance(1.0)
    return place


def test_a_run_without_faults_is_where_its_step_is() -> None:
    place = after(300)
    assert (place.at, place.lost, place.total) == (300, 0, 1000)


def test_steps_that_are_undone_are_made_again() -> None:
    place = after(300)
    place.go_back(220)
    assert (place.at, place.lost, place.total) == (220, 80, 1000)


def test_a_step_at_half_the_rate_counts_half() -> None:
    place = after(300)
    for _ in range(20):
        place.advance(0.5)
    assert (place.at, place.lost) == (310, 10)


def test_a_fault_at_the_same_place_again_makes_the_schedule_longer_instead() -> None:
    place = after(300)
    place.go_back(220)
    for _ in range(80):
        place.advance(1.0)
    place.go_back(220)
    assert (place.at, place.lost, place.total) == (300, 160, 1080)
    place.advance(0.5)
    assert (place.at, place.lost) == (301, 160.5)


def test_more_of_the_same_fault_is_no_other_fault() -> None:
    place = after(300)
    place.go_back(220)
    for _ in range(4):
        for _ in range(8):
            place.advance(0.5)
        place.go_back(220)
    assert (place.at, place.total) == (220, 1000)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 3 * FAR), st.floats(0.001, 1.0)), max_size=60))
def test_no_run_is_more_than_twice_as_long_as_planned(faults: list[tuple[int, int, float]]) -> None:
    place = Place(500)
    for steps, back, share in faults:
        for _ in range(steps):
            place.advance(share)
        place.go_back(max(place.at - back, 0.0))
        assert 0 <= place.lost <= 500 + 1e-9
        assert place.at >= 0
