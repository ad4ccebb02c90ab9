"""Where the time of one request goes, in microseconds: each part alone, in place, and the whole.

    python benchmarks/request.py

Alone a part is called in a loop of its own, where it finds its code and its data in the caches; the best of
many rounds counts, for what disturbs only adds. "Slept" is one call after a sleep of 50 µs, in place it is
timed within whole requests of the fast lane; the median counts, and the clock adds some 0.1 µs to each.
The wholes come without a socket, under the event loop that serves, and without those clocks.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import onnx
import uvloop
from fastapi import FastAPI

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from service import gathering, ways  # noqa: E402
from service.app import create_app  # noqa: E402
from service.fastlane import FastLane, Target  # noqa: E402
from service.settings import Settings  # noqa: E402
from service.ways import Item, Reply  # noqa: E402
from tests.soak.questions import network  # noqa: E402

ROUNDS, CALLS, TURN = 30, 1000, 16
SLEEP = 50e-6
PREDICT = Target(tensors=False, name=None, version=None)
BODY = json.dumps({"inputs": [[round(0.37 * i % 5 - 2, 3) for i in range(64)]]}).encode()
HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(BODY)),
]


def main() -> None:
    """Time and print."""
    with application() as app:
        alone = {name: best(part) for name, part in _parts(app).items()}
        slept = {name: after_sleep(part) for name, part in _parts(app).items()}
        wholes = {name: uvloop.run(whole(app)) for name, whole in WHOLES.items()}
        print(f"{'part':34} {'alone':>8} {'slept':>8} {'in place':>9}   µs")
        for name, middle in uvloop.run(_in_place(app)).items():
            print(f"{name:34} {alone[name]:8.1f} {slept[name]:8.1f} {middle:9.1f}")
        for name, each in wholes.items():
            print(f"{name:34} {'':8} {'':8} {each:9.1f}")


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


def after_sleep(part: Callable[[], object]) -> float:
    """The median microseconds of a call after a sleep, as a server has one before each lone request."""
    found = []
    for _ in range(CALLS):
        time.sleep(SLEEP)
        start = time.perf_counter_ns()
        part()
        found.append(time.perf_counter_ns() - start)
    return median(found) / 1e3


def _round(part: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        part()
    return time.perf_counter() - start


def _parts(app: Any) -> dict[str, Callable[[], object]]:
    model = app.state.repository.find()
    door, counters = model.door, model.counters
    values = door.decode.part(BODY)
    feeds = door.decode.join([values])
    arrays = model.run(feeds, door.signature.outputs)
    item = Item("a" * 16, values, 1, 1, str)
    reply = Reply(b"content-type: application/json\r\n", door.encode.together([1], *arrays)[0])
    return {
        "decode": lambda: door.decode.part(BODY),
        "join": lambda: door.decode.join([values]),
        "run": lambda: model.run(feeds, door.signature.outputs),
        "encode": lambda: door.encode.together([1], *arrays),
        "count": lambda: counters.answered_together([item], 5000, 700),
        "write the head": lambda: ways.written(reply, item),
    }


async def _in_place(app: Any) -> dict[str, float]:
    """The same parts within whole requests."""
    model, times = app.state.repository.find(), {}
    places = {
        "decode": (type(model.door.decode), "part"),
        "join": (type(model.door.decode), "join"),
        "run": (type(model), "run"),
        "encode": (type(model.door.encode), "together"),
        "count": (type(model.counters), "answered_together"),
        "write the head": (gathering, "written"),
    }
    with ExitStack() as stack:
        for name, (owner, attribute) in places.items():
            times[name] = stack.enter_context(_timed(owner, attribute))
        await _turns(FastLane(app.state), 1)
    return {name: median(found[len(found) // 2 :]) / 1e3 for name, found in times.items()}


@contextmanager
def _timed(owner: Any, attribute: str) -> Iterator[list[int]]:
    """The nanoseconds of every call of a function, while it is watched."""
    function, found = getattr(owner, attribute), []

    def watched(*arguments: Any) -> Any:
        start = time.perf_counter_ns()
        result = function(*arguments)
        found.append(time.perf_counter_ns() - start)
        return result

    setattr(owner, attribute, watched)
    try:
        yield found
    finally:
        setattr(owner, attribute, function)


async def _lone(app: Any) -> float:
    return await _turns(FastLane(app.state), 1)


async def _shared(app: Any) -> float:
    return await _turns(FastLane(app.state), TURN)


async def _without_a_run(app: Any) -> float:
    """With the answer of the model known beforehand."""
    model = app.state.repository.find()
    arrays = model.run(model.door.decode.join([model.door.decode.part(BODY)]), model.door.signature.outputs)
    model.run = lambda *_: arrays
    try:
        return await _turns(FastLane(app.state), 1)
    finally:
        del model.run


async def _application(app: Any) -> float:
    async def one() -> None:
        await ask(app)

    return await _best_of(one, 1)


WHOLES: dict[str, Callable[[Any], Coroutine[Any, Any, float]]] = {
    "the whole, alone in its turn": _lone,
    "the same without the run": _without_a_run,
    f"the whole, one of {TURN} in a turn": _shared,
    "the whole, in the application": _application,
}


async def _turns(lane: FastLane, count: int) -> float:
    """The microseconds of each of so many requests that come in one turn of the loop."""

    async def turn() -> None:
        for _ in range(count):
            assert lane.take(PREDICT, HEADERS, BODY, str)
        await asyncio.sleep(0)

    return await _best_of(turn, count)


async def _best_of(work: Callable[[], Coroutine[Any, Any, None]], requests: int) -> float:
    best_seconds = float("inf")
    for _ in range(ROUNDS // 3):
        start = time.perf_counter()
        for _ in range(CALLS // requests):
            await work()
        best_seconds = min(best_seconds, time.perf_counter() - start)
    return best_seconds / (CALLS // requests * requests) * 1e6


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
