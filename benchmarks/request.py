"""Where the time of one request goes: each part by itself, then the whole, in microseconds.

    python benchmarks/request.py

The parts are called in a loop, so that they find their data in the cache; in a request they do not always,
and the whole is more than their sum. The best of many rounds counts, for what disturbs only adds.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from fastapi import FastAPI

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from service.app import create_app  # noqa: E402
from service.fastlane import FastLane, Target, target  # noqa: E402
from service.routes.gate import marks, request_id  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.watch import Watch  # noqa: E402
from tests.soak.questions import network  # noqa: E402

ROUNDS, CALLS = 30, 1000
BODY = json.dumps({"inputs": [[round(0.37 * i % 5 - 2, 3) for i in range(64)]]}).encode()
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
]


def main() -> None:
    """Time and print."""
    with application() as app:
        for name, part in {**_parts(app), **_wholes(app)}.items():
            print(f"{name:32} {best(part):6.1f} µs")


@contextmanager
def application() -> Iterator[FastAPI]:
    """The application with one small model."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "m", "1", "model.onnx")
        file.parent.mkdir(parents=True)
        onnx.save(network((64, 256, 128, 10), 0), file)
        yield create_app(Settings(models_dir=Path(folder), device="cpu"))


def best(part: Callable[[], object]) -> float:
    """The microseconds of one call."""
    return min(_round(part) for _ in range(ROUNDS)) / CALLS * 1e6


def _round(part: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        part()
    return time.perf_counter() - start


def _parts(app: Any) -> dict[str, Callable[[], object]]:
    model = app.state.repository.find()
    door, counters, watch = model.door, model.counters, Watch("a" * 16)
    feeds = door.decode.usual(BODY)
    arrays = model.run(feeds, door.signature.outputs)
    return {
        "decode": lambda: door.decode.usual(BODY),
        "run": lambda: model.run(feeds, door.signature.outputs),
        "encode": lambda: door.encode(*arrays),
        "count": lambda: (counters.answered(watch), counters.ran(1), app.state.tally.answered(200)),
        "name, watch and both headers": lambda: (Watch(request_id(HEADERS)), marks(watch)),
    }


def _wholes(app: Any) -> dict[str, Callable[[], object]]:
    lane, found = FastLane(app.state), target(b"/predict")
    assert found
    loop = asyncio.new_event_loop()
    return {
        "the whole, alone in a turn of the fast lane": lambda: loop.run_until_complete(turn(lane, found, 1)),
        "sixteen in a turn of the fast lane": lambda: loop.run_until_complete(turn(lane, found, 16)),
        "the whole, in the application": lambda: loop.run_until_complete(ask(app)),
    }


async def turn(lane: FastLane, asked: Target, count: int) -> None:
    """So many requests in one turn of the loop, without a socket."""
    for _ in range(count):
        lane.take(asked, HEADERS, BODY, str)
    await asyncio.sleep(0)


async def ask(app: Any) -> None:
    """One request, without a socket."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/predict",
        "raw_path": b"/predict",
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": list(HEADERS),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        pass

    await app(scope, receive, send)


if __name__ == "__main__":
    main()
