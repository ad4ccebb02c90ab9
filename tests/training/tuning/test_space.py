from dataclasses import asdict, replace

import optuna
import pytest

from tests.training.tuning.searches import config, splits
from training.config import DataConfig, RunConfig
from training.data import Splits, load
from training.defaults import recipe_for
from training.tuning.space import Space


def _tables() -> dict[str, tuple[RunConfig, Splits]]:
    names = ("wine", "diabetes", "digits")
    tables = {name: (RunConfig(DataConfig(name), name), load(DataConfig(name), 0)) for name in names}
    wine = tables["wine"][1]
    # Many rows and many columns have defaults of their own; what is in them does not matter here.
    many = replace(wine, train=wine.train.rows([0] * 64_000))  # type: ignore[arg-type]
    wide = replace(wine, columns=wine.columns * 8)
    return tables | {"many": (tables["wine"][0], many), "wide": (tables["wine"][0], wide)}


@pytest.mark.parametrize("name", ["wine", "diabetes", "digits", "many", "wide"])
def test_the_defaults_lie_in_the_space_and_are_the_defaults(name: str) -> None:
    run, rows = _tables()[name]
    space = Space.of(run, rows)
    study = optuna.create_study()
    study.enqueue_trial(space.defaults)
    assert study.ask(space.distributions).params == pytest.approx(space.defaults)
    found, wanted = recipe_for(space.config(space.defaults), rows), recipe_for(run, rows)
    size = wanted.loop.batch_size_for(len(rows.train))
    assert found.model == wanted.model
    assert found.loop == replace(wanted.loop, batch_size=size)


def test_what_was_asked_for_is_not_searched() -> None:
    run = replace(config(), loop={"learning_rate": 0.02, "batch_size": 32})
    space = Space.of(run, splits())
    assert set(space.dimensions) == {"weight_decay", "dropout", "mixup", "ema", "label_smoothing"}
    assert space.config(space.defaults).loop["learning_rate"] == 0.02


def test_a_regression_has_no_labels_to_smooth_and_wide_tables_no_bins() -> None:
    tables = _tables()
    assert "label_smoothing" not in Space.of(*tables["diabetes"]).dimensions
    wide = Space.of(*tables["wide"])
    assert "encoding_rate" not in wide.dimensions
    assert asdict(wide.dimensions["encoding"])["default"] == "standard"


def test_a_choice_has_three_digits() -> None:
    space = Space.of(config(), splits())
    chosen = space.config(space.defaults | {"learning_rate": 0.00123456, "dropout": 0.15000000000000002})
    assert chosen.loop["learning_rate"] == 0.00123
    assert chosen.model["dropout"] == 0.15
