import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from tests.training.tuning.killed import TRIALS
from tests.training.tuning.searches import config, searched, space, splits, told
from training.config import DataConfig
from training.data import Split, load
from training.errors import ConfigError, DataError, TrainingError
from training.loop import Epoch
from training.tuning import search as module
from training.tuning.search import Limits, Standing, search
from training.tuning.space import Dimension, Space
from training.tuning.study import DIVERGED, counted, open_study, ranked


def _rates(low: float, high: float) -> Space:
    """A space of learning rates alone."""
    rates = Dimension(FloatDistribution(low, high, log=True), 0.005)
    return Space(config(), {"learning_rate": rates})


def test_the_first_trial_is_the_defaults_and_the_best_is_never_worse() -> None:
    study = searched(4)
    assert len(counted(study)) == 4
    assert counted(study)[0].params == space().defaults
    assert ranked(study)[0].value >= study.trials[0].value


def test_the_same_seed_tries_the_same_and_never_looks_at_test_rows() -> None:
    test = splits().test
    strange = Split(np.full_like(test.numeric, np.inf), test.categorical, test.y[::-1])
    one, two = searched(3), searched(3, rows=replace(splits(), test=strange))
    assert told(one) == told(two)


def test_another_seed_tries_others() -> None:
    other = Space.of(config(seed=1), splits())
    one, two = searched(2), searched(2, over=other)
    assert told(one)[1][0] != told(two)[1][0]


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite3"
    study = searched(2, open_study(file, space(), splits()))
    study.ask(space().distributions)  # What a killed process leaves: a trial that runs for ever.
    resumed = searched(4, open_study(file, space(), splits()))
    assert [trial.state for trial in resumed.trials].count(TrialState.FAIL) == 1
    assert not [trial for trial in resumed.trials if trial.state is TrialState.RUNNING]
    assert told(resumed) == told(searched(4))


def test_sigkill_in_the_midst_of_a_trial_costs_that_trial_alone(tmp_path: Path) -> None:
    file = tmp_path / "study.sqlite3"
    command = [sys.executable, "-m", "tests.training.tuning.killed", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    epochs = iter(process.stdout)
    # Two of the defaults, and the first of the trial after them.
    assert [int(next(epochs)) for _ in range(3)] == [1, 2, 1]
    process.kill()
    process.communicate()
    killed = open_study(file, space(), splits())
    assert [trial.state for trial in killed.trials] == [TrialState.COMPLETE, TrialState.FAIL]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    assert told(open_study(file, space(), splits())) == told(searched(TRIALS))


@pytest.mark.parametrize("seen", [1, 3], ids=["in the defaults", "in a later trial"])
def test_an_interrupted_trial_is_tried_again(seen: int) -> None:
    epochs: list[Epoch] = []

    def interrupt(epoch: Epoch) -> None:
        epochs.append(epoch)
        if len(epochs) == seen:
            raise KeyboardInterrupt

    study = optuna.create_study(direction="maximize")
    with pytest.raises(KeyboardInterrupt):
        searched(3, study, observe=interrupt)
    assert len(counted(study)) == (seen - 1) // 2
    assert told(searched(3, study)) == told(searched(3))


def test_a_trial_below_the_median_ends_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STARTUP", 1)
    study = searched(4, over=_rates(1e-12, 0.005))
    states = [trial.state for trial in study.trials]
    assert states[0] is TrialState.COMPLETE
    assert TrialState.PRUNED in states
    ended = study.trials[states.index(TrialState.PRUNED)]
    assert len(ended.intermediate_values) < len(study.trials[0].intermediate_values)
    assert len(counted(study)) == 4


def test_a_trial_that_diverges_has_failed_and_the_search_goes_on() -> None:
    study = searched(3, over=_rates(0.005, 1e35))
    failed = [trial for trial in study.trials if trial.state is TrialState.FAIL]
    assert failed
    assert "try a lower --lr" in failed[0].user_attrs[DIVERGED]
    assert len(counted(study)) == 3
    assert ranked(study)[0].number == 0


def test_if_all_diverge_one_line_says_so() -> None:
    hopeless = Space(config(), {"learning_rate": Dimension(FloatDistribution(1e30, 1e35), 1e32)})
    with pytest.raises(TrainingError, match=r"none of 2 trials came to its end; the last: .*--lr"):
        searched(2, over=hopeless)


def test_a_mistake_that_no_choice_mends_ends_the_search() -> None:
    rows = load(DataConfig("diabetes"), 0)
    rows = replace(rows, train=replace(rows.train, y=-rows.train.y))
    logarithm = replace(config(), model={"hidden": (8,), "encoding": "standard", "log_target": True})
    study = optuna.create_study(direction="maximize")
    with pytest.raises(DataError, match="--log-target needs a target above 0"):
        searched(3, study, over=Space.of(logarithm, rows), rows=rows)
    assert counted(study) == []


def test_after_the_timeout_nothing_is_tried_but_the_defaults_are_waited_for() -> None:
    standings: list[Standing] = []
    study = optuna.create_study(direction="maximize")
    search(*(study, space(), splits(), Limits(50, 1e-9)), path=Path("x"), watch=standings.append)
    assert told(study) == told(searched(1))
    assert [(standing.done, standing.of) for standing in standings] == [(0, 50), (1, 50)]
    assert standings[0].best is None
    assert standings[1].best is not None
    assert standings[1].seconds_left == 0.0


def test_without_validation_rows_there_is_nothing_to_search_by() -> None:
    rows = replace(splits(), validation=splits().validation.rows(np.arange(0)))
    with pytest.raises(DataError, match="raise --validation"):
        searched(1, rows=rows)


@pytest.mark.parametrize(
    ("trials", "seconds", "line"),
    [(0, None, "--trials is 0, expected at least 1"), (1, 0.0, "--timeout is 0, expected a positive")],
    ids=["no trials", "no time"],
)
def test_limits_that_cannot_be_are_one_line(trials: int, seconds: float | None, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        Limits(trials, seconds)
