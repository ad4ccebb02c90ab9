from typing import Any

import pytest

from training.config import DataConfig, LoopConfig, ModelConfig, RunConfig
from training.errors import ConfigError


@pytest.mark.parametrize(
    ("make", "wrong", "message"),
    [
        (DataConfig, {"source": "digits", "validation": 0.0}, "--validation"),
        (DataConfig, {"source": "digits", "validation": 0.7}, "--validation"),
        (ModelConfig, {"hidden": (8, 0)}, "--hidden"),
        (ModelConfig, {"epsilon": 0.0}, "--epsilon"),
        (ModelConfig, {"dropout": 1.0}, "--dropout"),
        (LoopConfig, {"epochs": 0}, "--epochs"),
        (LoopConfig, {"batch_size": 0}, "--batch-size"),
        (LoopConfig, {"learning_rate": -1.0}, "--lr"),
        (LoopConfig, {"patience": 0}, "--patience"),
    ],
)
def test_options_out_of_range_name_their_flag(make: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make(**wrong)


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a b", "ä", "a\n"])
def test_a_name_that_is_no_plain_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="--name"):
        RunConfig(DataConfig("digits"), name)


@pytest.mark.parametrize("name", ["digits", "my-model_2", "v1.5"])
def test_plain_names_are_fine(name: str) -> None:
    assert RunConfig(DataConfig("digits"), name).name == name


def test_small_tables_get_small_batches() -> None:
    config = LoopConfig()
    assert [config.batch_size_for(rows) for rows in (2, 1000, 51_000)] == [16, 64, 256]
    assert LoopConfig(epochs=3, batch_size=7).batch_size_for(100) == 7
