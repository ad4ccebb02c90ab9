"""search(…): trials by a Tree-structured Parzen Estimator (Bergstra et al. 2011), the poor ones ended early.

The life of a trial: choices are drawn, the network trains, each epoch's validation score is written down;
below the median of earlier trials at the same epoch it ends. The first trial is the defaults. Each trial has
a seed of its own, made of the search's and of the number of trials before, so that a search that was killed
goes on with the same trials that it would have had.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from training.data import Splits
from training.errors import ConfigError, DataError, TrainingError
from training.loop import Epoch, Observer
from training.pipeline import train
from training.tuning.space import Space
from training.tuning.study import DIVERGED, counted, ranked, stored

STARTUP = 5
"""Complete trials before any is ended early."""

WARM_UP = 0.25
"""The share of the epochs in which none is ended: rates rise, and averages of weights lag behind."""

RANDOM = 10
"""Trials before the estimator knows enough to be asked."""


@dataclass(frozen=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: of the whole study, those of earlier searches included.
        seconds: of this search; None for any time.
    """

    trials: int
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.trials < 1:
            raise ConfigError(f"--trials is {self.trials}, expected at least 1")
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError(f"--timeout is {self.seconds:g}, expected a positive number of seconds")


@dataclass(frozen=True)
class Standing:
    """Where a search is.

    Attributes:
        best: None before the first trial has come to its end.
        seconds_left: an estimate by the trials of this search; None before there is one.
        last: what was just completed; None where that ended early, and at the start.
    """

    done: int
    of: int
    best: FrozenTrial | None
    seconds_left: float | None
    last: FrozenTrial | None = None


class _Pruned(Exception):
    """Ends a trial that is below the median."""


class _OutOfTime(Exception):
    """Ends a trial with its search."""


def search(
    study: Study,
    space: Space,
    splits: Splits,
    limits: Limits,
    *,
    path: Path,
    watch: Callable[[Standing], None] = lambda _: None,
    observe: Observer = lambda _: None,
) -> None:
    """Try until the limits; the rows for the test are out of sight.

    Args:
        path: the study's file, for messages.

    Raises:
        DataError: there are no validation rows.
        TrainingError: no trial came to its end, or the study cannot be written.
    """
    if not len(splits.validation):
        raise DataError(
            f"{splits.source}: no rows to validate with, and a search needs them: raise --validation"
        )
    blind = replace(splits, test=splits.test.rows(np.arange(0)))
    run = _Search(study, space, blind, limits, observe)
    with stored(path):
        run.finish(watch)
    if not ranked(study):
        reasons = [trial.user_attrs[DIVERGED] for trial in counted(study)]
        raise TrainingError(f"none of {len(reasons)} trials came to its end; the last: {reasons[-1]}")


class _Search:
    """A search under way."""

    def __init__(self, study: Study, space: Space, splits: Splits, limits: Limits, observe: Observer) -> None:
        self._study, self._space, self._splits = study, space, splits
        self._limits, self._observe = limits, observe
        self._start, self._tried = time.monotonic(), 0
        warm_up = int(WARM_UP * space.base.loop["epochs"])
        study.pruner = MedianPruner(STARTUP, warm_up)

    def finish(self, watch: Callable[[Standing], None]) -> None:
        """All trials that are left."""
        watch(self._standing())
        while len(counted(self._study)) < self._limits.trials and not self._is_late():
            last = self._trial()
            watch(self._standing(last))

    def _trial(self) -> FrozenTrial | None:
        trial, complete = self._ask(), None
        try:
            score = self._score(trial)
        except _Pruned:
            self._study.tell(trial, state=TrialState.PRUNED)
        except _OutOfTime:
            self._study.tell(trial, state=TrialState.FAIL)
        except (ConfigError, DataError, KeyboardInterrupt):
            # No other choice would mend it.
            self._study.tell(trial, state=TrialState.FAIL)
            raise
        except TrainingError as error:
            trial.set_user_attr(DIVERGED, str(error))
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            complete = self._study.tell(trial, score)
        self._tried += 1
        return complete

    def _ask(self) -> Trial:
        before = counted(self._study)
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not before and not waiting:
            self._study.enqueue_trial(self._space.defaults)
        self._study.sampler = TPESampler(
            n_startup_trials=RANDOM, multivariate=False, constant_liar=False, seed=self._seed(len(before))
        )
        return self._study.ask(self._space.distributions)

    def _seed(self, number: int) -> int:
        sequence = np.random.SeedSequence(self._space.base.seed, spawn_key=(number, number))
        return int(sequence.generate_state(1)[0])

    def _score(self, trial: Trial) -> float:
        """The validation score of the epoch that is kept."""

        def observe(epoch: Epoch) -> None:
            self._observe(epoch)
            trial.report(epoch.score, epoch.number)
            if epoch.number < epoch.of and trial.should_prune():
                raise _Pruned
            if self._is_late() and ranked(self._study):
                raise _OutOfTime

        config = replace(self._space.config(trial.params), ensemble=1)
        [fit] = train(self._splits, config, observe).fits
        trial.set_user_attr("epochs", len(fit.epochs))
        return fit.epochs[fit.best - 1].score

    def _is_late(self) -> bool:
        """The first result is waited for, however long it takes."""
        seconds = self._limits.seconds
        late = seconds is not None and time.monotonic() - self._start >= seconds
        return late and bool(ranked(self._study))

    def _standing(self, last: FrozenTrial | None = None) -> Standing:
        done, spent = len(counted(self._study)), time.monotonic() - self._start
        best = next(iter(ranked(self._study)), None)
        left = [] if self._limits.seconds is None else [max(self._limits.seconds - spent, 0.0)]
        if self._tried:
            left.append(spent / self._tried * (self._limits.trials - done))
        return Standing(done, self._limits.trials, best, min(left, default=None), last)
