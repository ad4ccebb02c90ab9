import numpy as np
import pytest

from tests.training.encoding.reference import regions
from training.encoding.pairs import FEWEST_ROWS, MOST_COLUMNS, MOST_ROWS, pairs


def test_two_columns_whose_regions_have_values_of_their_own_are_a_pair() -> None:
    for rows in (FEWEST_ROWS, FEWEST_ROWS + 1, MOST_ROWS + 1):
        table, y = regions(rows)
        assert pairs(table, y, "regression", 2) == ((1, 2),)


def test_classes_that_lie_in_regions_make_a_pair() -> None:
    table, y = regions()
    assert pairs(table, np.digitize(y, [-0.5, 0.5]), "classification", 2) == ((1, 2),)


def test_columns_that_add_up_are_no_pair() -> None:
    table, _ = regions()
    waves = np.sin(table[:, 1]) + np.cos(2 * table[:, 2]) + table[:, 0]
    assert pairs(table, waves, "regression", 2) == ()


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_chance_makes_no_pair(task: str) -> None:
    for seed in range(5):
        chosen = np.random.default_rng(seed)
        table = chosen.normal(size=(FEWEST_ROWS, 6)).astype(np.float32)
        y = chosen.integers(0, 3, FEWEST_ROWS)
        assert pairs(table, y, task, 2) == ()  # type: ignore[arg-type]


def test_neither_scale_nor_order_nor_bend_of_a_column_matters() -> None:
    table, y = regions()
    bent = np.column_stack([np.exp(table[:, 2] - 30), table[:, 0], -1e6 * table[:, 1]]).astype(np.float32)
    assert pairs(bent, y, "regression", 2) == ((0, 2),)


def test_missing_values_hinder_nothing() -> None:
    table, y = regions()
    table[::10, 1] = table[5::15, 2] = np.nan
    empty = np.full((len(table), 1), np.nan, np.float32)
    assert pairs(np.hstack([empty, table]), y, "regression", 2) == ((2, 3),)


def test_a_column_is_in_one_pair_at_most_and_the_clearest_come_first() -> None:
    first, one = regions(seed=0)
    second, other = regions(seed=1)
    table, y = np.hstack([second, first]), one + 0.8 * other
    assert pairs(table, y, "regression", 2) == ((4, 5), (1, 2))
    assert pairs(table, y, "regression", 1) == ((4, 5),)
    twice = pairs(np.hstack([table, first[:, 1:]]), y, "regression", 9)
    assert len({column for pair in twice for column in pair}) == 2 * len(twice)


def test_small_tables_few_values_and_a_limit_of_none_have_no_pair() -> None:
    table, y = regions()
    assert pairs(table[: FEWEST_ROWS - 1], y[: FEWEST_ROWS - 1], "regression", 2) == ()
    assert pairs(table, y, "regression", 0) == ()
    assert pairs(np.round(table / 10), y, "regression", 2) == ()


def test_a_target_without_variance_has_no_pair() -> None:
    table, y = regions()
    assert pairs(table, np.zeros_like(y), "regression", 2) == ()


def test_of_many_columns_those_that_tell_something_are_tried() -> None:
    table, y = regions()
    noise = np.random.default_rng(3).normal(size=(len(table), 2 * MOST_COLUMNS)).astype(np.float32)
    y = y + 0.1 * (table[:, 1] + table[:, 2])
    assert pairs(np.hstack([noise, table]), y, "regression", 2) == ((33, 34),)
