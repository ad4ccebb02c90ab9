"""Tables of numbers, categories and gaps, from file to answer, where the shared data sets are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import numpy as np
import polars as pl
import pytest

from service.metadata import ModelMetadata, read_metadata
from service.session import Session
from tests.processes import run, serve

ROWS = 2000


class Case(NamedTuple):
    """A table of `../shared/data`, and what a short run must reach on it."""

    data: str
    test: str | None
    target: str
    metric: str
    goal: float


CASES = {
    "adult": Case("adult/train.csv", "adult/test.csv", "income", "test_accuracy", 0.85),
    "housing": Case("california-housing-mixed/housing.csv", None, "median_house_value", "test_r2", 0.7),
}


@pytest.fixture(scope="module", params=CASES)
def trained(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, shared_data: Path
) -> Any:
    """A folder with a model trained for three epochs, and what it was trained on."""
    case, folder = CASES[request.param], tmp_path_factory.mktemp(request.param)
    options = ["--target", case.target, "--name", "m", "--epochs", "3", "--hidden", "64,32"]
    options += ["--test", shared_data / case.test] if case.test else []
    ended = run("train", shared_data / case.data, *options, "--models-dir", folder)
    assert ended.returncode == 0, ended.stderr
    return folder, case


def metadata_of(folder: Path) -> ModelMetadata:
    found = read_metadata(Session(folder / "m" / "1" / "model.onnx").properties)
    assert found is not None
    return found


def test_three_epochs_already_learn_most_of_it(trained: tuple[Path, Case]) -> None:
    folder, case = trained
    metadata = metadata_of(folder)
    assert metadata.metrics[case.metric] > case.goal
    assert metadata.certificate is not None
    assert metadata.certificate.parameters_max_ulp <= 0.501
    assert {feature.kind for feature in metadata.features} == {"numeric", "categorical"}


def test_served_records_are_answered_as_the_same_file_is_offline(
    trained: tuple[Path, Case], shared_data: Path, tmp_path: Path
) -> None:
    folder, case = trained
    marks = ["?", ""]
    frame = pl.read_csv(shared_data / (case.test or case.data), null_values=marks, n_rows=ROWS)
    names = [feature.name for feature in metadata_of(folder).features]
    frame = frame.select(names)
    assert sum(frame.null_count().row(0)) > 0
    frame.write_parquet(tmp_path / "rows.parquet")
    ended = run(
        "predict", folder / "m" / "1" / "model.onnx", tmp_path / "rows.parquet", "-o", tmp_path / "o.parquet"
    )
    assert ended.returncode == 0, ended.stderr
    offline = pl.read_parquet(tmp_path / "o.parquet")
    answers = served(folder, frame.to_dicts())
    if "probabilities" in answers[0]:
        mine = np.array([row for answer in answers for row in answer["probabilities"]], np.float32)
        theirs = offline.select(pl.exclude("prediction")).to_numpy()
    else:
        mine = np.array([row for answer in answers for row in answer["predictions"]], np.float32)
        theirs = offline["prediction"].to_numpy()
    assert len(mine) == len(frame)
    assert mine.tobytes() == np.ascontiguousarray(theirs, np.float32).tobytes()


def served(folder: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of `/predict`, a hundred records at a time, null where a value is missing."""
    assert "null" in json.dumps(records)
    with serve(folder) as server, httpx.Client(base_url=server.address, timeout=60) as client:
        parts = [records[start : start + 100] for start in range(0, len(records), 100)]
        answers = [client.post("/predict", json={"records": part}) for part in parts]
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    return [answer.json() for answer in answers]
