"""The study of a search: an SQLite file with its trials, from which a search that was stopped goes on."""

from __future__ import annotations

import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import optuna
from optuna.distributions import distribution_to_json
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from training.data import Splits
from training.errors import ConfigError, TrainingError
from training.tuning.space import Space

NAME = "foldserve"

DIVERGED = "diverged"
"""The attribute of a trial that failed by itself, as opposed to one that was stopped."""

_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)

_ELSEWHERE = ("threads", "device")
"""What may differ when a search goes on on another machine."""


def open_study(path: Path, space: Space, splits: Splits) -> Study:
    """The study of a file, made where there is none; trials under way when a search was killed have failed.

    Raises:
        ConfigError: the file is no study, or one of other rows or choices.
        TrainingError: it cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with stored(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=RDBStorage(f"sqlite:///{path.absolute()}"),
            study_name=NAME,
            direction="maximize",
            load_if_exists=True,
        )
        _check_identity(study, path, _identity(space, splits))
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
    return study


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """No other search in the same study meanwhile; a killed one holds nothing.

    Raises:
        ConfigError: another is under way.
        TrainingError: the lock beside the study cannot be written.
    """
    with stored(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_name(f"{path.name}.lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another search is under way in {path}: wait for its end, or name another by --study"
            ) from error
        yield


def counted(study: Study) -> list[FrozenTrial]:
    """Trials that came to an end of their own: not those that were stopped with their search."""
    trials = study.get_trials(deepcopy=False)
    return [trial for trial in trials if trial.state in _ENDED or DIVERGED in trial.user_attrs]


def ranked(study: Study) -> list[FrozenTrial]:
    """Complete trials, the best first; among equal ones the earlier: defaults yield to what is better."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(complete, key=lambda trial: -(trial.value or 0.0))


@contextmanager
def stored(path: Path) -> Iterator[None]:
    """What the file refuses, as one line.

    Raises:
        TrainingError: naming the file.
    """
    try:
        yield
    except (SQLAlchemyError, OptunaError, OSError) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise TrainingError(f"{path} cannot be used as a study: {reason}; try another --study") from error


def _identity(space: Space, splits: Splits) -> str:
    """Of all that decides a trial's score."""
    config = space.base
    facts = {
        "rows": [splits.fingerprint, *(len(s) for s in (splits.train, splits.validation))],
        "data": {k: v for k, v in asdict(config.data).items() if k not in ("source", "test")},
        "model": dict(config.model),
        "loop": {name: value for name, value in config.loop.items() if name not in _ELSEWHERE},
        "space": {name: distribution_to_json(d) for name, d in space.distributions.items()},
        "defaults": space.defaults,
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _check_identity(study: Study, path: Path, identity: str) -> None:
    known = study.user_attrs.get("identity")
    if known is None:
        study.set_user_attr("identity", identity)
    elif known != identity:
        raise ConfigError(
            f"{path} is a study of other rows or other flags: name another by --study, or remove it"
        )
