from pathlib import Path
from xml.etree import ElementTree

import optuna
import pytest
from optuna.study import Study

from training.errors import ConfigError
from training.tuning.plots import importances, plot


def _study(trials: int) -> Study:
    """Of a score that one choice decides."""
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(0))
    floats = optuna.distributions.FloatDistribution(0, 1)
    for _ in range(trials):
        trial = study.ask({"matters": floats, "idle": floats})
        study.tell(trial, trial.params["matters"])
    return study


def test_pictures_are_written_beside_the_study(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = plot(_study(12), tmp_path / "s.sqlite3")
    assert [path.name for path in written] == ["s.history.svg", "s.importances.svg"]
    for path in written:
        assert ElementTree.parse(path).getroot().tag.endswith("svg")  # noqa: S314 - our own file


def test_the_choice_that_decides_is_the_most_important() -> None:
    shares = importances(_study(30))
    assert next(iter(shares)) == "matters"
    assert sum(shares.values()) == pytest.approx(1)


def test_few_trials_have_no_importances(tmp_path: Path) -> None:
    assert importances(_study(2)) == {}
    assert [path.name for path in plot(_study(2), tmp_path / "s.sqlite3")] == ["s.history.svg"]


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"matplotlib is not installed: pip install .foldserve\["):
        plot(_study(2), tmp_path / "s.sqlite3")
