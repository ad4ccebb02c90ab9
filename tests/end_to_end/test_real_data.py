"""Fashion-MNIST from the table to the answer, where the shared data sets are at hand."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from service.metadata import read_metadata
from service.session import Session
from tests.processes import run, serve


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """A folder with a model trained for two epochs on all rows."""
    folder = tmp_path_factory.mktemp("models")
    data = shared_data / "fashion-mnist"
    options = ["--target", "y", "--test", data / "test.npz", "--name", "fashion", "--epochs", "2"]
    ended = run("train", data / "train.npz", *options, "--models-dir", folder)
    assert ended.returncode == 0, ended.stderr
    return folder


def test_two_epochs_already_learn_most_of_it(models: Path) -> None:
    metadata = read_metadata(Session(models / "fashion" / "1" / "model.onnx").properties)
    assert metadata is not None
    assert metadata.metrics["test_accuracy"] > 0.86
    assert metadata.certificate is not None
    assert metadata.certificate.held_out_rows == 10_000


def test_all_served_answers_equal_the_offline_ones(models: Path, shared_data: Path, tmp_path: Path) -> None:
    test = shared_data / "fashion-mnist" / "test.npz"
    ended = run("predict", models / "fashion" / "1" / "model.onnx", test, "-o", tmp_path / "out.parquet")
    assert ended.returncode == 0, ended.stderr
    offline = pl.read_parquet(tmp_path / "out.parquet")
    rows = np.load(test)["X"]
    served, labels = [], []
    with serve(models) as server, httpx.Client(base_url=server.address, timeout=60) as client:
        for start in range(0, len(rows), 1000):
            answer = client.post("/predict", json={"inputs": rows[start : start + 1000].tolist()}).json()
            served += answer["probabilities"]
            labels += answer["predictions"]
    probabilities = offline.select(pl.exclude("prediction")).to_numpy()
    assert np.array(served, np.float32).tobytes() == np.ascontiguousarray(probabilities).tobytes()
    assert labels == offline["prediction"].to_list()
    assert len(labels) == 10_000
