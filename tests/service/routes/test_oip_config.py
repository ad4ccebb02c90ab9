"""A model's configuration in Triton's form."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.cost import Cost
from service.routes.oip_config import configuration
from service.settings import Settings
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio


async def config(serving: Serving, folder: Path, name: str = "m", **settings: Any) -> dict[str, Any]:
    async with serving(folder, **settings) as client:
        answer = await client.get(f"/v2/models/{name}/config")
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document


async def test_the_batch_is_not_among_the_dimensions(tmp_path: Path, serving: Serving) -> None:
    graphs.put(graphs.linear(np.eye(3, 2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    assert await config(serving, tmp_path, max_rows=500, workers=3) == {
        "name": "m",
        "platform": "onnxruntime_onnx",
        "backend": "onnxruntime",
        "version_policy": {"all": {}},
        "max_batch_size": 500,
        "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": [3]}],
        "output": [{"name": "y", "data_type": "TYPE_FP32", "dims": [2]}],
        "instance_group": [{"name": "m", "kind": "KIND_CPU", "count": 3, "gpus": []}],
        "default_model_filename": "model.onnx",
    }


@pytest.mark.parametrize("shape", [[], [2, 3]])
async def test_a_graph_without_a_free_first_dimension_takes_no_batches(
    tmp_path: Path, serving: Serving, shape: list[int]
) -> None:
    graphs.put(graphs.identity(graphs.STRING, shape), tmp_path, "m")
    document = await config(serving, tmp_path)
    assert document["max_batch_size"] == 0
    assert document["input"] == [{"name": "x0", "data_type": "TYPE_STRING", "dims": shape}]


async def test_every_datatype_has_tritons_name(tmp_path: Path, serving: Serving) -> None:
    graphs.put(graphs.of_all_datatypes(), tmp_path, "all")
    document = await config(serving, tmp_path, "all")
    assert {tensor["data_type"] for tensor in document["input"]} == {
        f"TYPE_{kind}"
        for kind in [
            *("BOOL", "FP16", "FP32", "FP64", "STRING"),
            *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
        ]
    }


@pytest.mark.parametrize(
    ("versions", "policy"),
    [("latest", {"latest": {"num_versions": 1}}), ("1, 3", {"specific": {"versions": [1, 3]}})],
)
async def test_the_version_policy_is_that_of_the_server(
    tmp_path: Path, serving: Serving, versions: str, policy: dict[str, Any]
) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    assert (await config(serving, tmp_path, versions=versions))["version_policy"] == policy


def test_a_model_whose_rows_run_together_says_so(tmp_path: Path) -> None:
    from service.app import create_app

    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    state = create_app(Settings(models_dir=tmp_path)).state
    assert configuration(state, "m").dynamic_batching is None
    model = state.repository.find("m")
    model.cost = Cost(0.1, 0.001)
    model._batcher = model._new_batcher()
    found = configuration(state, "m").dynamic_batching
    assert found is not None
    assert found.preferred_batch_size == [20]
    state.executor.shutdown()
