import inspect
from dataclasses import fields

import pytest

from tests.processes import run
from training import loop_flags, model_flags
from training.cli import train
from training.config import DataConfig, LoopConfig, ModelConfig, RunConfig
from training.errors import ConfigError
from training.loop_flags import loop_fields
from training.model_flags import model_fields


def test_what_is_not_given_is_left_to_the_table() -> None:
    assert loop_fields(epochs=None, optimizer=None) == {}


def test_every_option_of_the_loop_has_a_flag() -> None:
    assert {field.name for field in fields(LoopConfig)} == set(loop_flags.FLAGS)
    assert set(loop_flags.FLAGS) <= set(inspect.signature(train).parameters)


def test_every_option_of_the_model_has_a_flag() -> None:
    assert {field.name for field in fields(ModelConfig)} == set(model_flags.FLAGS)
    assert set(model_flags.FLAGS) <= set(inspect.signature(train).parameters)


def test_a_batch_is_a_number_or_full() -> None:
    assert loop_fields(batch_size="full") == {"batch_size": "full"}
    assert loop_fields(batch_size="64") == {"batch_size": 64}
    with pytest.raises(ConfigError, match="--batch-size is 'half', expected a number or full"):
        loop_fields(batch_size="half")


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"optimizer": "lion"}, "--optimizer is 'lion', expected one of adamw, muon, sgd"),
        ({"class_weight": "x"}, "--class-weight is 'x', expected one of none, balanced"),
        ({"ema": 1.0}, "--ema is 1.0, expected at least 0 and below 1"),
        ({"clip": 0.0}, "--clip is 0.0, expected a positive number"),
        ({"batch_size": "0"}, "--batch-size is 0, expected at least 1, or full"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_value_that_cannot_be_is_one_line(given: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        RunConfig(DataConfig("wine"), "wine", loop=loop_fields(**given))


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"initialisation": "big"}, "--init is 'big', expected one of auto, he, xavier, lecun, small"),
        ({"encoding": "x"}, "--encoding is 'x', expected one of auto, standard, robust, bins"),
        ({"hidden": "8,x"}, "--hidden is '8,x', expected widths such as 256,128"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_message_names_the_flag_as_it_is_typed(given: dict[str, object], line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        model_fields(**given)


def test_the_finder_plots_the_rates_and_trains_nothing(tmp_path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("matplotlib")
    plot = tmp_path / "rates.svg"
    ended = run("train", "--dataset", "wine", "--models-dir", tmp_path / "m", "--lr-finder", plot)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("suggested: --lr ")
    assert plot.read_text().lstrip().startswith("<?xml")
    assert not (tmp_path / "m").exists()


def test_a_run_to_resume_that_never_began_begins(tmp_path) -> None:  # type: ignore[no-untyped-def]
    ended = run(
        "train", "--dataset", "wine", "--models-dir", tmp_path, "--hidden", "8", "--epochs", "2", "--resume"
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "wine" / "1" / "model.onnx").exists()
    assert not list((tmp_path / ".training").iterdir())
