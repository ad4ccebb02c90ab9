from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from training.loop import batches, single_rows


def covered(slices: list[slice], rows: int) -> list[int]:
    return [row for batch in slices for row in range(rows)[batch]]


def test_every_row_comes_once_for_all_small_tables_and_batches() -> None:
    for rows in range(2, 301):
        for size in range(1, 65):
            slices = list(batches(rows, size))
            lengths = [batch.stop - batch.start for batch in slices]
            assert covered(slices, rows) == list(range(rows))
            assert min(lengths) >= 2
            assert max(lengths) <= max(size, 2) + 1


@given(st.integers(2, 10**6), st.integers(1000, 10**6))
def test_large_tables_are_covered_too(rows: int, size: int) -> None:
    slices = list(batches(rows, size))
    assert slices[0].start == 0
    assert slices[-1].stop == rows
    assert all(one.stop == two.start for one, two in pairwise(slices))
    assert all(batch.stop - batch.start >= 2 for batch in slices)


def test_single_rows_are_single() -> None:
    assert covered(list(single_rows(5)), 5) == [0, 1, 2, 3, 4]
