"""A run in MLflow's tracking, in a folder or on a server."""

from __future__ import annotations

import os
import time
from pathlib import Path

from service.metadata import ModelMetadata
from training import extras
from training.errors import TrainingError
from training.loop import Epoch
from training.tracking.log import TRIALS, choices, curves

_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
"""Nobody else is told, and a server that is not there is said within seconds; unless the environment says
otherwise."""


class MLflow:
    """A run in the experiment of the model's name.

    Args:
        uri: an empty one for MLflow's own, by its variables or in the present folder.

    Raises:
        ConfigError: mlflow is not installed.
        TrainingError: the folder or the server does not answer.
    """

    name = "MLflow"

    def __init__(self, uri: str, model: str) -> None:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)
        extras.require("mlflow,train,cpu", "mlflow")
        from mlflow import MlflowClient, get_tracking_uri

        try:
            self._client = MlflowClient(tracking_uri=uri or None)
            found = self._client.get_experiment_by_name(model)
            experiment = found.experiment_id if found else self._client.create_experiment(model)
            self._run = self._client.create_run(experiment).info.run_id
        except Exception as error:  # requests', SQLAlchemy's, the disk's and its own
            reason = str(error).splitlines()[0][:200]
            raise TrainingError(f"--mlflow {uri or get_tracking_uri()}: {reason}") from error

    def epoch(self, epoch: Epoch) -> None:
        """Its points."""
        self._numbers(curves(epoch), epoch.number)

    def trial(self, number: int, score: float) -> None:
        """Its score."""
        self._numbers({TRIALS: score}, number)

    def published(self, metadata: ModelMetadata, model: Path) -> None:
        """Choices, scores, and where the model lies."""
        from mlflow.entities import Param

        params = [Param(name, str(value)) for name, value in choices(metadata).items()]
        self._client.log_batch(self._run, params=params)
        self._numbers({f"final/{name}": value for name, value in metadata.metrics.items()}, 0)
        self._client.set_tag(self._run, "foldserve.model", str(model))

    def end(self, *, well: bool) -> None:
        """Close the run, as failed when it was."""
        self._client.set_terminated(self._run, "FINISHED" if well else "FAILED")

    def _numbers(self, values: dict[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._run, [Metric(name, value, now, step) for name, value in values.items()])
