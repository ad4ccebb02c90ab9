"""What is long happens beside the event loop, whatever the door and however odd the body."""

import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.payloads import json_text
from service.routes.hot import INLINE_BYTES, STRICT_BYTES
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}


def rows(size: int) -> list[list[float]]:
    return [[1.0, 2.5]] * (size // 10)


def predict(size: int) -> tuple[str, bytes]:
    return "/predict", json.dumps({"records": [{"f0": 1, "f1": 2}] * (size // 20)}).encode()


def invocations(size: int) -> tuple[str, bytes]:
    return "/invocations", json.dumps({"instances": rows(size)}).encode()


def infer(size: int) -> tuple[str, bytes]:
    data = rows(size)
    tensor = {"name": "x", "shape": [len(data), 2], "datatype": "FP32", "data": data}
    return "/v2/models/m/infer", json.dumps({"inputs": [tensor], "extra": {"a": [1]}}).encode()


@pytest.mark.parametrize("door", [predict, invocations, infer])
async def test_a_body_for_the_strict_reader_leaves_the_loop_unless_it_is_short(
    tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch, door: Any
) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype=np.float32), np.zeros(2, np.float32)), tmp_path, "m")
    seen: list[bool] = []
    parse = json_text.parse

    def watched(*arguments: Any) -> Any:
        seen.append(threading.current_thread() is threading.main_thread())
        return parse(*arguments)

    monkeypatch.setattr(json_text, "parse", watched)
    async with serving(tmp_path) as client:
        for size in (STRICT_BYTES // 2, STRICT_BYTES * 2, INLINE_BYTES * 2):
            path, body = door(size)
            answer = await client.post(path, content=body, headers=JSON)
            assert answer.status_code == 200, answer.text
    assert seen == [True, False, False]


@pytest.mark.parametrize(
    "limit", ["0", "-1", "1.5", "1e3", "", "٣", "86400001", "000000000001" + "9" * 400, "9" * 5000]
)
async def test_a_timeout_that_is_none_is_told_so(tmp_path: Path, serving: Serving, limit: str) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype=np.float32), np.zeros(2, np.float32)), tmp_path, "m")
    async with serving(tmp_path) as client:
        headers = {b"x-request-timeout-ms": limit.encode(), b"content-type": b"application/json"}
        answer = await client.post("/predict", content=b'{"inputs": [[1, 2]]}', headers=headers)
        assert (answer.status_code, answer.json()["where"]) == (400, "header X-Request-Timeout-Ms")
        headers[b"x-request-timeout-ms"] = b"86400000"
        answer = await client.post("/predict", content=b'{"inputs": [[1, 2]]}', headers=headers)
        assert answer.status_code == 200
