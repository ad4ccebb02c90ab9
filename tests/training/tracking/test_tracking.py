"""`--tensorboard` and `--mlflow`, read back by the packages themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.training.calls import call
from training import pipeline
from training.cli import train
from training.errors import TrainingError
from training.tracking import Logs
from training.tracking.log import Log

# MLflow's own store asks SQLAlchemy for what it will no longer have.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

SMALL = ["--dataset", "wine", "--hidden", "8", "--encoding", "standard", "--no-report", "--seed", "3"]


def test_both_keep_curves_choices_and_final_scores(tmp_path: Path) -> None:
    boards, runs = tmp_path / "boards", tmp_path / "runs.sqlite3"
    words = [*SMALL, "--epochs", "3", "--ensemble", "2", "--models-dir", tmp_path / "models"]
    code, said = call(train, *words, "--tensorboard", boards, "--mlflow", f"sqlite:///{runs}")
    assert code == 0, said
    assert "warning: TensorBoard" not in said
    assert "warning: MLflow" not in said
    model = tmp_path / "models" / "wine" / "1" / "model.onnx"
    kept_by_tensorboard(boards, model)
    kept_by_mlflow(f"sqlite:///{runs}", model)


def kept_by_tensorboard(boards: Path, model: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [run] = (boards / "wine").iterdir()
    events = EventAccumulator(str(run))
    events.Reload()
    for member in (1, 2):
        losses = events.Scalars(f"member_{member}/loss/train")
        assert [point.step for point in losses] == [1, 2, 3]
        assert losses[0].value > losses[-1].value
        assert len(events.Scalars(f"member_{member}/learning_rate")) == 3
    assert 0 < events.Scalars("final/test_accuracy")[0].value <= 1
    assert str(model).encode() in events.Tensors("model/text_summary")[0].tensor_proto.string_val[0]
    assert "_hparams_/session_start_info" in events.summary_metadata


def kept_by_mlflow(uri: str, model: Path) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("wine")
    [run] = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params["hidden"] == "8"
    assert run.data.params["seed"] == "3"
    assert 0 < run.data.metrics["final/test_accuracy"] <= 1
    assert run.data.tags["foldserve.model"] == str(model)
    history = client.get_metric_history(run.info.run_id, "member_2/score/validation")
    assert sorted(point.step for point in history) == [1, 2, 3]


def test_mlflow_without_a_uri_is_told_where_it_looks_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/runs.sqlite3"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    code, said = call(train, *SMALL, "--models-dir", tmp_path / "models", "--mlflow", "--epochs", "1")
    assert code == 0, said
    client = MlflowClient(uri)
    [run] = client.search_runs([client.get_experiment_by_name("wine").experiment_id])
    assert run.info.status == "FINISHED"


def test_where_mlflow_looks_itself_is_named_when_it_cannot_be_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path}/file/runs.sqlite3"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    code, said = call(train, *SMALL, "--models-dir", tmp_path / "models", "--mlflow")
    assert code == 1
    assert said.strip().splitlines()[-1].startswith(f"--mlflow {uri}: ")


@pytest.mark.parametrize(
    ("flag", "package"), [("--tensorboard", "tensorboard"), ("--mlflow", "mlflow")], ids=["tb", "mlflow"]
)
def test_without_the_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flag: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    code, said = call(train, *SMALL, "--models-dir", tmp_path / "models", flag, tmp_path / "logs")
    line = f"{package} is not installed: pip install 'foldserve[{package},train,cpu]'"
    assert (code, said.strip()) == (2, line)


def test_where_nothing_can_be_written_one_line_says_so_before_anything_is_trained(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    models = ["--models-dir", tmp_path / "models"]
    code, said = call(train, *SMALL, *models, "--tensorboard", tmp_path / "file" / "logs")
    assert code == 1
    assert said.strip().startswith(f"--tensorboard cannot write to {tmp_path}/file/logs/wine")
    uri = f"sqlite:///{tmp_path}/file/runs.sqlite3"
    code, said = call(train, *SMALL, *models, "--mlflow", uri)
    assert code == 1
    assert said.strip().splitlines()[-1].startswith(f"--mlflow {uri}: ")
    assert not (tmp_path / "models").exists()


def test_a_run_that_fails_is_a_failed_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    def failing(*_: object) -> None:
        raise TrainingError("no model came of it")

    monkeypatch.setattr(pipeline, "publish", failing)
    uri = f"sqlite:///{tmp_path}/runs.sqlite3"
    code, _ = call(train, *SMALL, "--epochs", "1", "--models-dir", tmp_path / "models", "--mlflow", uri)
    assert code == 1
    client = MlflowClient(uri)
    [run] = client.search_runs([client.get_experiment_by_name("wine").experiment_id])
    assert run.info.status == "FAILED"


def test_who_fails_later_is_told_no_more_and_costs_a_warning(tmp_path: Path) -> None:
    class Full:
        name = "Full"
        epochs = 0

        def epoch(self, epoch: object) -> None:
            self.epochs += 1
            raise OSError("No space left on device\nand more")

        def published(self, *_: object) -> None:
            pytest.fail("it was told once more")

        def end(self, *, well: bool) -> None:
            pytest.fail("it was told once more")

    log: Log = Full()
    with Logs([log]) as logs:
        for _ in range(2):
            logs.epoch(None)  # type: ignore[arg-type]
        logs.published(None, tmp_path)  # type: ignore[arg-type]
    assert logs.warnings == ["Full was told no more: No space left on device"]


def test_a_training_that_tells_nobody_imports_neither() -> None:
    code = (
        "import sys, training.cli, training.pipeline, training.tracking\n"
        "assert not {'tensorboard', 'mlflow'} & set(sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
