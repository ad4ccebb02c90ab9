"""What nobody asks for is chosen by the table, and what is asked for stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from training.config import DataConfig, RunConfig
from training.data import Split, Splits, load
from training.defaults import MANY, WIDE, Recipe, recipe_for


def of(rows: int, numbers: int = 3, *, dataset: str = "wine", ensemble: int = 1, **asked: Any) -> Recipe:
    """The recipe of a table with so many training rows and numbers."""
    splits = load(DataConfig(dataset), 0)
    return recipe_for(
        RunConfig(DataConfig(dataset), "x", asked, ensemble=ensemble), _sized(splits, rows, numbers)
    )


def _sized(splits: Splits, rows: int, numbers: int) -> Splits:
    column = splits.numeric_columns[0]
    columns = tuple(replace(column, name=f"x{number}") for number in range(numbers))
    train = Split(np.zeros((rows, numbers), np.float32), np.zeros((rows, 0), np.int64), splits.train.y[:1])
    return replace(splits, columns=columns, train=replace(train, y=np.resize(splits.train.y, rows)))


@pytest.mark.parametrize(("dataset", "steps"), [("wine", 1500), ("diabetes", 3000)])
def test_small_tables_get_epochs_that_make_enough_steps(dataset: str, steps: int) -> None:
    for rows in (1000, 3000, 5000):
        loop = of(rows, dataset=dataset).loop
        made = loop.epochs * -(-rows // loop.batch_size_for(rows))
        assert made >= steps
        assert loop.epochs < 200


def test_no_table_gets_more_than_200_epochs() -> None:
    assert of(50).loop.epochs == 200


def test_places_are_looked_for_unless_the_table_is_wide_or_somebody_says_how_many() -> None:
    assert of(5000).model.pairs == of(MANY).model.pairs == 2
    assert of(5000, WIDE + 1).model.pairs == 0
    assert of(5000, pairs=0).model.pairs == 0


@pytest.mark.parametrize(
    ("rows", "numbers", "epochs", "long"),
    [
        *((50_000, WIDE + 1, None, False), (500, WIDE + 1, None, True)),
        *((5000, WIDE + 1, 20, False), (5000, WIDE + 1, 21, True), (5000, 3, 50, False)),
    ],
)
def test_long_runs_of_wide_tables_leave_numbers_out_and_share_a_scale(
    rows: int, numbers: int, epochs: int | None, long: bool
) -> None:
    splits = load(DataConfig("wine"), 0)
    loop = {} if epochs is None else {"epochs": epochs}
    found = recipe_for(RunConfig(DataConfig("wine"), "x", {}, loop), _sized(splits, rows, numbers))
    assert found.model.input_dropout == (0.1 if long else 0.0)
    assert found.model.shared_scale is long
    assert found.loop.mixup == (0.0 if numbers > WIDE else 0.3)


@pytest.mark.parametrize(
    ("rows", "numbers", "residual"), [(1000, 3, True), (1000, WIDE + 1, False), (MANY, 3, False)]
)
def test_members_of_an_ensemble_are_residual_where_that_was_seen_to_help(
    rows: int, numbers: int, residual: bool
) -> None:
    assert of(rows, numbers, ensemble=5).model.residual == residual
    assert not of(rows, numbers).model.residual


def test_members_whose_widths_or_form_are_asked_for_are_what_they_are_asked_to_be() -> None:
    assert not of(1000, ensemble=5, hidden=(64, 32)).model.residual
    assert not of(1000, ensemble=5, residual=False).model.residual
    assert of(1000, ensemble=5, hidden=(64, 32), residual=True).model.residual
