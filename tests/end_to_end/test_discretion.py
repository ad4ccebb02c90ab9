"""What answers must never show: folders, tracebacks, settings, keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest

from service.app import create_app
from service.settings import Settings
from tests import graphs
from tests.records import golden, metadata

pytestmark = pytest.mark.anyio

KEY = "a-key-that-is-long-enough"
JSON = {"content-type": "application/json"}
WEIGHT = np.eye(2, dtype="f4")


def outside(model: onnx.ModelProto, location: str) -> onnx.ModelProto:
    """The same model with its weights in a file elsewhere."""
    weight = model.graph.initializer[0]
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", location
    return model


def sound() -> onnx.ModelProto:
    return graphs.linear(WEIGHT, WEIGHT[0] * 0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models that are sound, and one of each kind that is refused, below a folder whose name is a secret."""
    home = tmp_path / "secret place" / "models"
    graphs.put(sound(), home, "m")
    graphs.put(graphs.lookup(), home, "lookup")
    for name, text in (("empty", b""), ("garbage", b"garbage"), ("cut", sound().SerializeToString()[:-9])):
        graphs.put(sound(), home, name).write_bytes(text)
    (home / "hollow" / "1").mkdir(parents=True)
    (home / "folder" / "1" / "model.onnx").mkdir(parents=True)
    for name, location in (
        ("climbs", "../../../../outside.bin"),
        ("rooted", "/etc/passwd"),
        ("lost", "w.bin"),
    ):
        graphs.put(outside(sound(), location), home, name)
    wrong = metadata(2, golden=golden([[1.0, 0.5]], [[9.0, 9.0]])).model_dump_json()
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0], properties=graphs.metadata_property(wrong)), home, "golden")
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0], properties=graphs.metadata_property("{")), home, "told")
    return home


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    *(
        ("POST", f"/models/{name}/predict", {"json": {"inputs": [[1, 2]]}})
        for name in ("cut", "climbs", "golden")
    ),
    *(
        ("GET", f"/v2/models/{name}/ready", {})
        for name in ("empty", "garbage", "rooted", "lost", "told", "hollow")
    ),
    ("GET", "/models", {}),
    ("GET", "/models/climbs", {}),
    ("POST", "/v2/repository/index", {"json": {}}),
    ("POST", "/v2/repository/models/m/load", {"json": {}}),
    ("POST", "/v2/repository/models/..%2F..%2Fetc/load", {"json": {}}),
    ("GET", "/models/..%2F..%2Fetc%2Fpasswd", {}),
    ("GET", "/../../etc/passwd", {}),
    ("POST", "/predict", {"content": b"{", "headers": JSON}),
    ("POST", "/predict", {"content": b"[" * 100_000, "headers": JSON}),
    ("POST", "/predict", {"content": b"\xff\xfe", "headers": JSON}),
    ("POST", "/models/m/predict", {"json": {"inputs": [[1]]}}),
    ("POST", "/models/m/predict", {"json": {"inputs": [["1", None]]}}),
    ("POST", "/models/m/predict", {"json": {"inputs": [[1, 2]] * 3}, "headers": {"accept": "image/png"}}),
    *(
        ("POST", "/models/m/predict", {"content": b"PAR1 nonsense PAR1", "headers": {"content-type": kind}})
        for kind in (
            "text/csv",
            "application/vnd.apache.parquet",
            "application/vnd.apache.arrow.stream",
            "application/x-npy",
            "text/html",
        )
    ),
    ("POST", "/models/m/predict", {"json": {"inputs": [[1, 2]]}, "headers": {"x-request-timeout-ms": "-1"}}),
    ("POST", "/v2/models/m/infer", {"content": b"", "headers": {"inference-header-content-length": "9"}}),
    (
        "POST",
        "/v2/models/lookup/infer",
        {
            "json": {
                "inputs": [
                    {"name": "table", "shape": [1], "datatype": "FP32", "data": [1]},
                    {"name": "i", "shape": [1], "datatype": "INT64", "data": [7]},
                ]
            }
        },
    ),
    ("POST", "/invocations", {"json": {"inputs": [[1]]}}),
    ("DELETE", "/predict", {}),
    ("GET", "/nowhere", {}),
    ("GET", "/metrics", {"headers": {"accept": "text/html"}}),
]


async def test_no_answer_shows_folders_tracebacks_settings_or_keys(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys").write_text(KEY)
    app = create_app(Settings(models_dir=folder, api_key_file=tmp_path / "keys"))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        headers = {"x-api-key": KEY}
        async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
            answers = [await client.request(method, path, **more) for method, path, more in REQUESTS]
            answers.append(await client.post("/predict", json={}, headers={"x-api-key": "wrong"}))
            answers.append(await client.get("/metrics"))
            monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
            answers.append(await client.post("/models/m/predict", json={"inputs": [[1, 2]]}))
    statuses = {answer.status_code for answer in answers}
    assert {200, 400, 401, 403, 404, 405, 406, 415, 422, 500, 503} <= statuses
    for answer in answers:
        told = f"{answer.text} {answer.headers}"
        for secret in (
            "secret place",
            str(tmp_path),
            "/etc",
            "Traceback",
            ".py",
            "site-packages",
            KEY,
            "api_key_file",
        ):
            if secret not in answer.request.url.path:  # what came may be quoted
                assert secret not in told, (answer.request.url, told)


async def test_a_reason_still_says_what_is_wrong(folder: Path) -> None:
    app = create_app(Settings(models_dir=folder))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            models = (await client.get("/models")).json()["models"]
    reasons = {
        model["name"]: model["versions"][0]["reason"]
        for model in models
        if model["default_version"] is None and model["versions"]
    }
    assert {"empty", "garbage", "cut", "climbs", "rooted", "lost", "golden", "told"} <= set(reasons)
    assert all(reasons.values())
    for reason in reasons.values():
        assert not re.search(r"(^|[\s:'\"(])/\w", reason), reason
