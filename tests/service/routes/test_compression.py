"""Compressed bodies are read, and answers compressed, without letting a small body become a large one."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BodyTooLarge, MalformedBody, UnsupportedMediaType
from service.routes.compression import WORTH_BYTES, Coding, coding, pack, unpack, wanted
from tests import graphs
from tests.conftest import Serving

JSON = {"content-type": "application/json"}
LIMIT = 100_000


@pytest.fixture
async def client(tmp_path: Path, serving: Serving) -> AsyncIterator[httpx.AsyncClient]:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    async with serving(tmp_path, max_body_bytes=LIMIT) as client:
        yield client


def request(rows: int) -> bytes:
    data = np.arange(rows * 2, dtype="f4").tolist()
    tensor = {"name": "x", "shape": [rows, 2], "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


@given(st.binary(max_size=5000), st.sampled_from(["gzip", "deflate"]))
def test_what_is_packed_is_unpacked(body: bytes, how: Coding) -> None:
    assert unpack(pack(body, how), how, len(body)) == body


def test_deflate_is_read_with_and_without_its_header() -> None:
    raw = zlib.compressobj(wbits=-15)
    assert unpack(raw.compress(b"text" * 99) + raw.flush(), "deflate", 1000) == b"text" * 99
    assert unpack(zlib.compress(b""), "deflate", 1000) == b""


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_the_limit_is_on_what_a_body_becomes(how: Coding) -> None:
    packed = pack(bytes(1_000_000), how)
    assert len(packed) < 10_000
    assert len(unpack(packed, how, 1_000_000)) == 1_000_000
    with pytest.raises(BodyTooLarge):
        unpack(packed, how, 999_999)


@given(st.binary(max_size=200), st.sampled_from(["gzip", "deflate"]))
def test_other_bytes_are_refused(body: bytes, how: Coding) -> None:
    with suppress(MalformedBody, BodyTooLarge):
        assert len(unpack(body, how, 1000)) <= 1000


# Without the time of day: it would name the tests, and each process of the tests another way.
_WHOLE = gzip.compress(b"a", mtime=0)


@pytest.mark.parametrize("body", [_WHOLE[:-1], _WHOLE + b"b", _WHOLE * 2, b"", b"\x1f\x8b"])
def test_a_body_is_one_whole_stream(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="is not gzip"):
        unpack(body, "gzip", 1000)


def test_codings_are_known_by_name() -> None:
    assert [coding(name) for name in (None, "", "identity", "GZIP", "x-gzip", " deflate ")] == [
        None, None, None, "gzip", "gzip", "deflate",
    ]  # fmt: skip
    for name in ("br", "gzip, gzip", "zstd", "\xff"):
        with pytest.raises(UnsupportedMediaType):
            coding(name)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, None),
        ("", None),
        ("*", None),
        ("br, zstd", None),
        ("gzip", "gzip"),
        ("deflate", "deflate"),
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=0.5, deflate", "deflate"),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.1", None),
        ("gzip;q=nonsense", None),
    ],
)
def test_answers_are_compressed_for_those_who_ask_by_name(accept: str | None, expected: str | None) -> None:
    assert wanted(accept) == expected


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["gzip", "deflate"])
@pytest.mark.parametrize("rows", [1, 3000])
async def test_every_hot_door_reads_compressed_bodies(
    client: httpx.AsyncClient, how: Coding, rows: int
) -> None:
    table = json.dumps({"inputs": np.ones((rows, 2)).tolist()}).encode()
    for path, body in (
        ("/v2/models/m/infer", request(rows)),
        ("/predict", table),
        ("/invocations", table),
    ):
        plain = await client.post(path, content=body, headers=JSON)
        packed = await client.post(path, content=pack(body, how), headers=JSON | {"content-encoding": how})
        assert packed.status_code == 200, packed.text
        assert packed.content == plain.content


@pytest.mark.anyio
async def test_bodies_that_unpack_to_too_much_are_413(client: httpx.AsyncClient) -> None:
    for size, status in ((LIMIT, 400), (LIMIT + 1, 413)):
        bomb = gzip.compress(b" " * size)
        headers = JSON | {"content-encoding": "gzip"}
        answer = await client.post("/v2/models/m/infer", content=bomb, headers=headers)
        assert answer.status_code == status
    answer = await client.post("/v2/models/m/infer", content=b"no gzip", headers=headers)
    assert answer.status_code == 400
    assert "not gzip" in answer.json()["error"]


@pytest.mark.anyio
@pytest.mark.parametrize("how", ["gzip", "deflate"])
async def test_long_answers_are_compressed_when_asked_for(client: httpx.AsyncClient, how: str) -> None:
    async def post(rows: int, accept: str) -> Any:
        headers = JSON | {"accept-encoding": accept}
        return await client.post("/v2/models/m/infer", content=request(rows), headers=headers)

    plain, packed = await post(3000, "identity"), await post(3000, how)
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == how
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert packed.content == plain.content
    assert len(plain.content) > WORTH_BYTES
    assert "content-encoding" not in (await post(3, how)).headers
