"""Bodies that were right and are no longer: every POST door answers, never with a fault of the server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.app import create_app
from service.settings import Settings
from tests import graphs
from tests.end_to_end.test_every_door import MODELS, binary, forms, tensors

_, PEOPLE = MODELS["people"]
SPLICES = [
    *(b"NaN", b"-Infinity", b"1e999", b"-1", b"0.5", b"null", b"true", b'""', b"[]", b"{}", b",", b":", b'"'),
    *(b"9" * 400, b"18446744073709551616", b"4611686018427387904", b"-9223372036854775809", b"1E-400"),
    *(b"[" * 70, b'{"a":' * 70, b"[" * 70 + b"]" * 70, b"[" * 100_000, b"]", b"}", b"\xef\xbb\xbf", b"\xff"),
    *(
        b"\\ud800",
        b"\\u0000",
        b"\x00",
        b"\xed\xa0\x80",
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x80",
        b"\n",
        b"\r\n",
    ),
    *(
        b'"age":1,',
        b'"inputs":[],',
        b'"parameters":{"binary_data_size":-1},',
        b'"shape":[4294967296,4294967296],',
    ),
]


def mutations(body: bytes) -> st.SearchStrategy[bytes]:
    """The body after a few cuts, splices and changed bytes."""
    return st.lists(
        st.tuples(PLACES, PLACES, st.sampled_from([*SPLICES, b""]) | st.binary(max_size=8)),
        min_size=1,
        max_size=3,
    ).map(lambda edits: _edited(body, edits))


PLACES = st.floats(0, 1)


def _edited(body: bytes, edits: list[tuple[float, float, bytes]]) -> bytes:
    for start, width, splice in edits:
        first = round(start * len(body))
        # Most edits take little away: what is left should still be nearly right.
        last = first + round(width**4 * (len(body) - first))
        body = body[:first] + splice + body[last:]
    return body


def requests() -> list[tuple[str, bytes, dict[str, str]]]:
    """Path, body and headers of valid requests to every door."""
    found = []
    for name, (_, rows) in MODELS.items():
        for door, request in forms(rows):
            if door == "/predict" or name == "people":
                path = "/invocations" if door == "/invocations" else f"/models/{name}/predict"
                found.append((path, *_encoded(request)))
        for request in ({"json": {"inputs": tensors(name, rows)}}, binary(tensors(name, rows))):
            found += [(f"/v2/models/{name}/infer", *_encoded(request))]
    found.append(("/v2/models/tensors/infer", *_encoded({"json": {"id": "a", "inputs": [], "outputs": []}})))
    found.append(("/v2/repository/index", *_encoded({"json": {"ready": True}})))
    return found


def _encoded(request: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    if "json" in request:
        return json.dumps(request["json"], ensure_ascii=False).encode(), {"content-type": "application/json"}
    return request["content"], request["headers"]


REQUESTS = requests()


class Client:
    """Posts to the application in this process; the loop is its own, for hypothesis calls plain functions."""

    def __init__(self, app: FastAPI, runner: asyncio.Runner) -> None:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._client = httpx.AsyncClient(transport=transport, base_url="http://test")
        self._runner = runner

    def post(self, path: str, content: bytes, headers: Mapping[str, str | bytes]) -> httpx.Response:
        return self._runner.run(self._client.post(path, content=content, headers=headers))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("models")
    for name, (make, _) in MODELS.items():
        make(folder / "made").parents[1].rename(folder / name)
    graphs.put(graphs.of_all_datatypes(), folder, "tensors")
    (folder / "made").rmdir()
    app = create_app(Settings(models_dir=folder, default_model="people", device="cpu"))
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        yield Client(app, runner)
        runner.run(lifespan.__aexit__(None, None, None))


def test_they_were_right(client: Client) -> None:
    for path, body, headers in REQUESTS:
        if b"NaN" not in body and "tensors" not in path:
            assert client.post(path, content=body, headers=headers).status_code == 200, (path, body)


@settings(max_examples=1500, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_answer_is_a_sound_one(client: Client, data: st.DataObject) -> None:
    path, body, headers = data.draw(st.sampled_from(REQUESTS))
    mutated = data.draw(mutations(body))
    answer = client.post(path, content=mutated, headers=headers)
    assert answer.status_code in (200, 400, 413, 415, 422), (answer.text, mutated)
    if answer.status_code != 200:
        error = answer.json()["error"]
        assert error
        assert "\n" not in error
        assert "Traceback" not in error
    elif headers.get("content-type") == "application/json" and not path.endswith("/index"):
        assert _rows_told(mutated) == _rows_answered(answer), mutated


@settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_length_of_json_before_binary_tensors_is_a_sound_one(client: Client, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(list(MODELS)))
    request = binary(tensors(name, MODELS[name][1]))
    right = int(request["headers"]["inference-header-content-length"])
    length = data.draw(st.integers(-3, 3).map(lambda off: str(right + off)) | st.integers().map(str) | WORDS)
    headers = {"inference-header-content-length": length.encode("latin-1")}
    answer = client.post(f"/v2/models/{name}/infer", content=request["content"], headers=headers)
    # All of it may be a tensor.
    allowed = {200} if length == str(right) else {200, 400} if length == "0" else {400}
    assert answer.status_code in allowed, (length, answer.text)


WORDS = st.text("0123456789+-_. eE٣", min_size=1, max_size=5).map(
    lambda text: text.encode().decode("latin-1")
)


def _rows_told(body: bytes) -> int:
    """How many rows a JSON body holds, read by nothing of ours."""
    document = json.loads(body)
    value = next(
        document[key] for key in document if key not in ("params", "id", "parameters", "outputs", "ready")
    )
    if isinstance(value, list) and value and isinstance(value[0], dict) and "shape" in value[0]:
        return int(value[0]["shape"][0])
    if isinstance(value, dict):
        value = value["data"] if "data" in value else next(iter(value.values()))
    return len(value) if any(isinstance(row, list | dict) for row in value) else _of_columns(value, document)


def _of_columns(value: list[Any], document: Any) -> int:
    """A flat list: one row for /predict, one column of many for MLflow."""
    return len(value) if isinstance(document.get("inputs"), dict) else 1


def _rows_answered(answer: httpx.Response) -> int:
    document = answer.json()
    if isinstance(document, list):
        return _rows_told(answer.request.content)
    if "predictions" in document:
        return len(document["predictions"])
    return int(document["outputs"][0]["shape"][0])
