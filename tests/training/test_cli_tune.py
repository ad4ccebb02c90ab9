"""`foldserve tune` as a person calls it, in this process."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.calls import call
from training import cli, cli_tune, pipeline
from training.config import RunConfig
from training.tuning import search

# MLflow's own store asks SQLAlchemy for what it will no longer have.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

SMALL = ["--dataset", "wine", "--hidden", "8", "--encoding", "standard", "--epochs", "2", "--seed", "3"]


def test_tune_publishes_the_best_and_prints_flags_that_parse_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[RunConfig] = []
    publish = pipeline.publish
    monkeypatch.setattr(pipeline, "publish", lambda run, *a: (published.append(run), publish(run, *a))[1])
    code, output = call(cli_tune.tune, *SMALL, "--models-dir", tmp_path, "--trials", "3")
    assert code == 0, output
    assert "3 trials, 0 ended early, 0 diverged" in output
    assert "defaults" in output
    assert output.rstrip().endswith(f"published {tmp_path}/wine/1/model.onnx")
    flags = next(line for line in output.splitlines() if line.startswith("the best: "))
    runs: list[RunConfig] = []
    monkeypatch.setattr(cli, "_run", lambda config, *_: runs.append(config))
    words = shlex.split(flags.removeprefix("the best: "))
    assert call(cli.train, "--dataset", "wine", *words)[0] == 0
    assert published[0].model.items() <= runs[0].model.items()
    assert published[0].loop.items() <= runs[0].loop.items()
    assert {"learning_rate", "weight_decay", "mixup", "ema", "batch_size"} <= set(published[0].loop)
    assert (tmp_path / ".tuning" / "wine.sqlite3").exists()
    assert (tmp_path / ".tuning" / "wine.history.svg").exists()


def test_a_second_call_has_no_more_to_try_and_publishes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []
    train = search.train
    monkeypatch.setattr(search, "train", lambda *a: (calls.append(a), train(*a))[1])
    study = tmp_path / "own.sqlite3"
    words = [*SMALL, "--models-dir", tmp_path, "--study", study, "--trials", "1"]
    assert call(cli_tune.tune, *words)[0] == call(cli_tune.tune, *words)[0] == 0
    assert len(calls) == 1
    assert (tmp_path / "wine" / "2" / "model.onnx").exists()
    code, output = call(cli_tune.tune, *words, "--clip", "1")
    assert (code, "own.sqlite3 is a study of other rows or other flags" in output) == (2, True)


def test_a_search_tells_each_trials_score_and_the_epochs_of_the_best(tmp_path: Path) -> None:
    from mlflow import MlflowClient
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    uri, boards = f"sqlite:///{tmp_path}/runs.sqlite3", tmp_path / "boards"
    words = [*SMALL, "--models-dir", tmp_path, "--trials", "2", "--tensorboard", boards, "--mlflow", uri]
    code, output = call(cli_tune.tune, *words)
    assert code == 0, output
    assert "was told no more" not in output
    [board] = (boards / "wine").iterdir()
    events = EventAccumulator(str(board))
    events.Reload()
    scores = events.Scalars("trials/score")
    assert [point.step for point in scores] == [0, 1]
    assert all(0 < point.value <= 1 for point in scores)
    assert [point.step for point in events.Scalars("score/validation")] == [1, 2]
    client = MlflowClient(uri)
    [run] = client.search_runs([client.get_experiment_by_name("wine").experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.tags["foldserve.model"] == str(tmp_path / "wine" / "1" / "model.onnx")
    history = client.get_metric_history(run.info.run_id, "trials/score")
    assert sorted((point.step, point.value) for point in history) == [
        (point.step, pytest.approx(point.value)) for point in scores
    ]


def test_ctrl_c_ends_with_one_line_that_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "train", interrupted)
    code, output = call(cli_tune.tune, *SMALL, "--models-dir", tmp_path)
    assert code == 130
    assert output.endswith(f"{tmp_path}/.tuning/wine.sqlite3 keeps the trials, and the same command goes on")
    assert not list(tmp_path.rglob("model.onnx"))


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, output = call(cli_tune.tune, *SMALL)
    assert (code, output) == (2, "optuna is not installed: pip install 'foldserve[tune,train,cpu]'")


def test_nothing_that_trains_or_serves_imports_optuna() -> None:
    code = (
        "import sys, service.commands, service.app, training.cli, training.cli_tune, training.pipeline\n"
        "assert 'optuna' not in sys.modules and 'sqlalchemy' not in sys.modules"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
