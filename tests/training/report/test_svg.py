"""Marks of axes."""

import pytest

from training.report.svg import across, marks, upwards


@pytest.mark.parametrize(
    ("last", "marks"),
    [(1, [1.0]), (2, [1, 2]), (4, [1, 2, 3, 4]), (15, [5, 10, 15]), (40, [10, 20, 30, 40])],
)
def test_epochs_are_marked_by_whole_numbers(last: int, marks: list[float]) -> None:
    assert across([1, last], exact=True, whole=True).ticks() == marks


@pytest.mark.parametrize("most", [1, 3, 11, 17, 36, 1000])
def test_counts_are_marked_by_whole_numbers(most: int) -> None:
    marks = upwards([0, most * 1.05], exact=True, whole=True).ticks()
    assert all(mark == round(mark) for mark in marks)
    assert 2 <= len(marks) <= 7


@pytest.mark.parametrize(
    ("low", "high", "marks"),
    [
        (0.124, 2.73, [0.2, 0.5, 1, 2]),
        (3.71, 48.7, [5, 10, 20]),
        (1.35, 4.1, [2, 3, 4]),
        (1e-6, 1, [1e-6, 1e-4, 1e-2, 1]),
    ],
)
def test_a_logarithmic_axis_has_enough_marks_and_not_too_many(
    low: float, high: float, marks: list[float]
) -> None:
    assert upwards([low, high], logarithmic=True, exact=True).ticks() == pytest.approx(marks)


@pytest.mark.parametrize(
    ("ticks", "texts"),
    [
        ([0.3, 0.35, 0.4], ["0.30", "0.35", "0.40"]),
        ([-0.5, 0.0, 0.5], ["−0.5", "0.0", "0.5"]),
        ([0.0, 2000.0, 4000.0], ["0", "2,000", "4,000"]),
        ([0.2, 0.5, 1.0, 2.0], ["0.2", "0.5", "1", "2"]),
        ([1e-6, 1e-4], ["1e−6", "1e−4"]),
    ],
)
def test_marks_in_even_steps_have_the_same_decimals(ticks: list[float], texts: list[str]) -> None:
    assert [text for _, text in marks(ticks)] == texts
