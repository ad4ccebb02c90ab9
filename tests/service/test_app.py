from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from service import errors
from service.app import STATUS
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio


def concrete(root: type[errors.FoldserveError]) -> Iterator[type[errors.FoldserveError]]:
    for kind in root.__subclasses__():
        yield from concrete(kind) if kind.__subclasses__() else (kind,)


def test_every_error_of_a_request_has_a_status() -> None:
    assert set(STATUS) == set(concrete(errors.RequestError))


async def test_a_fault_of_ours_shows_no_traceback(
    tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    async with serving(tmp_path) as client:
        monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
        answer = await client.post("/predict", json={"inputs": [[1, 2]]})
        assert answer.status_code == 500
        assert answer.json()["error"].startswith("internal error")
        assert "ZeroDivisionError" not in answer.text
        monkeypatch.undo()
        assert (await client.post("/predict", json={"inputs": [[1, 2]]})).status_code == 200


async def test_unknown_paths_and_wrong_methods_say_what_to_do(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        missing = await client.get("/nowhere")
        assert (missing.status_code, missing.json()["got"]) == (404, "GET /nowhere")
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            wrong = await client.request(method, "/predict")
            assert wrong.status_code == 405
            assert wrong.headers["allow"] == "POST"
            assert wrong.json()["wanted"] == "POST /predict"


async def test_what_utf8_cannot_hold_is_told_without_a_fault(tmp_path: Path, serving: Serving) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    headers = {"content-type": "application/json"}
    async with serving(tmp_path) as client:
        answer = await client.post("/predict", content=b'{"inputs":[[1, 2]],"\\ud800":1}', headers=headers)
        assert (answer.status_code, answer.json()["where"]) == (422, "\\ud800")


async def test_the_openapi_document_describes_the_doors(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        document = (await client.get("/openapi.json")).json()
        post = document["paths"]["/models/{name}/versions/{version}/predict"]["post"]
        forms = post["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
        assert [form["required"] for form in forms] == [["inputs"], ["records"]]
        assert {"200", "400", "404", "413", "415", "422", "503"} <= set(post["responses"])
        assert {"/predict", "/models", "/models/{name}", "/health/live", "/health/ready"} <= set(
            document["paths"]
        )
        assert (await client.get("/docs")).status_code == 200
