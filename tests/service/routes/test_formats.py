"""The same rows through every form of /predict, in and out: the answers of JSON, bit for bit."""

import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from service.payloads.formats import ARROW, CSV, NPY, PARQUET, TABLES
from tests import graphs
from tests.conftest import Serving
from tests.records import metadata
from tests.service.payloads.tables import npy, write

pytestmark = pytest.mark.anyio
GENERATOR = np.random.default_rng(0)
WEIGHT = GENERATOR.normal(size=(3, 2)).astype(np.float32)
ROWS = np.concatenate([GENERATOR.normal(size=(500, 3)), 10.0 ** GENERATOR.uniform(-30, 6, (50, 3))])
FRAME = pl.DataFrame(ROWS, schema=["f0", "f1", "f2"]).select("f2", "f0", "f1")
BODIES = {
    CSV: write(FRAME, "csv"),
    ARROW: write(FRAME, "arrow", compression="lz4"),
    PARQUET: write(FRAME, "parquet"),
    NPY: npy(np.asfortranarray(ROWS, ">f8")),
}
READERS: dict[str, Callable[[io.BytesIO], Any]] = {
    CSV: pl.read_csv,
    ARROW: pl.read_ipc_stream,
    PARQUET: pl.read_parquet,
    NPY: np.load,
}


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    named = graphs.metadata_property(metadata(3).model_dump_json())
    value = metadata(3, task="regression", classes=None).model_dump_json()
    bias = np.array([1, 0], np.float32)
    graphs.put(graphs.linear(WEIGHT, bias, softmax=True, properties=named), tmp_path, "named")
    graphs.put(
        graphs.linear(WEIGHT[:, :1], bias[:1], properties=graphs.metadata_property(value)), tmp_path, "value"
    )
    graphs.put(graphs.linear(WEIGHT, bias), tmp_path, "bare")
    async with serving(tmp_path, default_model="named", max_body_bytes=100_000) as client:
        yield client


@pytest.mark.parametrize("form", TABLES)
@pytest.mark.parametrize("model", ["named", "value"])
async def test_every_form_in_gives_the_bytes_that_json_gives(
    client: httpx.AsyncClient, form: str, model: str
) -> None:
    path = f"/models/{model}/predict"
    expected = await client.post(path, json={"inputs": ROWS.tolist()})
    answer = await client.post(path, content=BODIES[form], headers={"content-type": form})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.content == expected.content


@pytest.mark.parametrize("form", TABLES)
async def test_every_form_out_holds_the_numbers_of_json(client: httpx.AsyncClient, form: str) -> None:
    plain = (await client.post("/predict", json={"inputs": ROWS.tolist()})).json()
    answer = await client.post("/predict", json={"inputs": ROWS.tolist()}, headers={"accept": form})
    assert answer.headers["content-type"].split(";")[0] == form
    content = READERS[form](io.BytesIO(answer.content))
    if form != NPY:
        assert content["prediction"].to_list() == plain["predictions"]
        assert content.columns == ["prediction", "probability_no", "probability_yes"]
        content = content.select(pl.exclude("prediction")).to_numpy()
    expected = np.array(plain["probabilities"], np.float32)
    assert np.ascontiguousarray(content, np.float32).tobytes() == expected.tobytes()


async def test_in_and_out_may_differ(client: httpx.AsyncClient) -> None:
    headers = {"content-type": PARQUET, "accept": "text/csv, application/json;q=0.1"}
    answer = await client.post("/models/value/predict", content=BODIES[PARQUET], headers=headers)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    assert answer.text.startswith("prediction\n")
    assert len(answer.text.splitlines()) == len(ROWS) + 1


async def test_a_bare_model_reads_a_csv_as_its_header_parameter_says(client: httpx.AsyncClient) -> None:
    for parameter, rows in (("", 2), ("; header=absent", 2), ("; header=present", 1)):
        headers = {"content-type": f"text/csv{parameter}"}
        answer = await client.post("/models/bare/predict", content=b"1,2,3\n4,5,6\n", headers=headers)
        assert len(answer.json()["predictions"]) == rows


BOMB = write(pl.DataFrame(np.zeros((100_000, 3)), schema=["f0", "f1", "f2"]), "parquet")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{}", {"content-type": "application/json", "accept": "image/png"}, 406),
        (b"{}", {"content-type": "application/xml"}, 415),
        (b"f0,f1\n1,2\n", {"content-type": CSV}, 422),
        (b"f0,f1,f2\n1,2,x\n", {"content-type": CSV}, 422),
        (b"\xff", {"content-type": CSV}, 400),
        (b"f0\n", {"content-type": f"{CSV}; charset=utf-16"}, 415),
        (b"junk", {"content-type": ARROW}, 400),
        (b"junk", {"content-type": PARQUET}, 400),
        (b"junk", {"content-type": NPY}, 400),
        (b"", {"content-type": PARQUET}, 400),
        (BOMB, {"content-type": PARQUET}, 413),
    ],
)
async def test_bad_bodies_and_headers_get_their_status_and_harm_nothing(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await client.post("/predict", content=body, headers=headers)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "got", "wanted", "where"}
    assert all(answer.json().values())
    assert (await client.post("/predict", json={"inputs": [[1, 2, 3]]})).status_code == 200


async def test_the_openapi_document_lists_the_forms(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    post = document["paths"]["/predict"]["post"]
    forms = {"application/json", *TABLES}
    assert set(post["requestBody"]["content"]) == forms
    assert set(post["responses"]["200"]["content"]) == forms
    assert {"406", "413", "415"} <= set(post["responses"])
