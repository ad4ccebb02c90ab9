"""Parameters of an estimator → fields of a run's configuration, and messages in the words of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from training.config import LoopConfig, ModelConfig
from training.errors import ConfigError, DataError, TrainingError

_WORDS = {
    "init": "initialisation",
    "lr": "learning_rate",
    "validation": "validation_fraction",
    "seed": "random_state",
    "categorical": "categorical_features",
    "numeric": "categorical_features",
}


def asked(record: type[ModelConfig | LoopConfig], parameters: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record that a person gave a value; None leaves the choice to the table.

    Raises:
        ConfigError: a word is none of those the field knows.
    """
    names = {entry.name for entry in fields(record)}
    given = {name: _plain(value) for name, value in parameters.items() if name in names and value is not None}
    for name, kind in get_type_hints(record).items():
        if name in given and get_origin(kind) is Literal and given[name] not in get_args(kind):
            raise ConfigError(f"{name} is {given[name]!r}, expected one of {', '.join(get_args(kind))}")
    return given


def _plain(value: Any) -> Any:
    """As the records take it: grids hold NumPy's scalars and lists."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple | np.ndarray):
        return tuple(_plain(entry) for entry in value)
    return value


@contextmanager
def in_words_of_python() -> Iterator[None]:
    """Messages that name a flag name the parameter instead.

    Raises:
        TrainingError: the same, of its own class.
    """
    try:
        yield
    except (DataError, ConfigError) as error:
        raise type(error)(_translated(str(error))) from error
    except TrainingError as error:
        if type(error) is not TrainingError:
            raise
        raise TrainingError(_translated(str(error))) from error


def _translated(message: str) -> str:
    return re.sub(r"--([a-z][a-z-]*)", lambda found: _parameter(found[1]), message)


def _parameter(flag: str) -> str:
    return _WORDS.get(flag, flag.replace("-", "_"))
