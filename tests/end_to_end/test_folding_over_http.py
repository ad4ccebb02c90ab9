"""Folding correctness over HTTP: what the server answers against the unfolded model in float64."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import httpx
import numpy as np
import pytest
import torch

from service.metadata import row_errors
from tests.conftest import Serving
from training.config import Activation, DataConfig, Moments, RunConfig, Task
from training.data import load
from training.pipeline import publish, train

pytestmark = pytest.mark.anyio
EPS = 2.0**-23

DATA: dict[Task, str] = {"classification": "wine", "regression": "diabetes"}
ACTIVATIONS: tuple[Activation, ...] = ("relu", "gelu", "tanh", "sigmoid")
MOMENTS: tuple[Moments, ...] = ("feature", "all")
MATRIX = list(itertools.product(ACTIVATIONS, MOMENTS, (1, 2, 4), DATA))


@pytest.mark.parametrize(("activation", "moments", "layers", "task"), MATRIX)
async def test_answers_are_those_of_the_unfolded_model(
    tmp_path: Path, serving: Serving, activation: Activation, moments: Moments, layers: int, task: Task
) -> None:
    model = {"hidden": (12,) * layers, "activation": activation, "moments": moments, "encoding": "standard"}
    config = RunConfig(DataConfig(DATA[task]), "m", model, {"epochs": 2}, tmp_path, report=False)
    splits = load(config.data, 0)
    trained = train(splits, config)
    publish(config, splits, trained)
    rows = splits.test.numeric
    with torch.no_grad():
        truth = copy.deepcopy(trained.predictor).double()(torch.from_numpy(rows).double()).numpy()
    async with serving(tmp_path) as client:
        answer = await ask(client, rows, splits.features)
    if task == "classification":
        outputs = np.array(answer["probabilities"])
        assert answer["predictions"] == [answer["classes"][best] for best in truth.argmax(axis=1)]
    else:
        outputs = np.array(answer["predictions"])[:, None]
    errors = row_errors(outputs, truth)
    assert errors.mean() < 8 * EPS
    assert errors.max() < 64 * EPS


async def ask(client: httpx.AsyncClient, rows: np.ndarray, names: tuple[str, ...]) -> dict[str, list[object]]:
    """The answer for rows, which must be the same for records."""
    inputs = await client.post("/predict", json={"inputs": rows.astype(float).tolist()})
    assert inputs.status_code == 200
    records = [dict(zip(names, row, strict=True)) for row in rows.astype(float).tolist()]
    assert (await client.post("/predict", json={"records": records})).content == inputs.content
    answer: dict[str, list[object]] = inputs.json()
    return answer
