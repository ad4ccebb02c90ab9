"""The server beside its peers: requests a second on one core, the client on another.

    python benchmarks/serving.py [--quick] [--rounds N] [--seconds S]

Every server gets the same model file, 64 → 256 → 128 → 10, and the same rows. All are started once and
stopped by signal; a window wakes one of them, warms it up, and loads it with wrk. The windows of all servers
alternate in several rounds and the medians are compared, so that whatever else the machine does hits all of
them alike. Peers are set up as their own documentation recommends (benchmarks/peers), each in an environment
of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import orjson
import psutil

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks import serving_report  # noqa: E402
from benchmarks.serving_load import Measured, Window, script, window  # noqa: E402
from benchmarks.serving_peers import BARE, OTHERS, USUAL, CannotRun, Peer, Rows, Running, ours  # noqa: E402
from tests.soak.questions import network  # noqa: E402

SMALL, LARGE = (64, 256, 128, 10), (512, 2048, 2048, 100)
SERVER_CORE, CLIENT_CORE = "0", "1"
OURS = ours()


@dataclass(frozen=True)
class Plan:
    """How long to measure; wrk knows whole seconds only."""

    rounds: int
    seconds: int
    warm_up: int = 1


@dataclass(frozen=True)
class Bench:
    """Where a run keeps its files, and its models."""

    folder: Path
    small: Path
    large: Path

    def rows(self, count: int, wide: int = SMALL[0]) -> Rows:
        """Rows whose numbers have seven digits, as measured features do."""
        values = np.random.default_rng(0).normal(size=(count, wide)).round(6)
        rows: Rows = values.tolist()
        return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="bare uvicorn, the usual endpoint and us only")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=int)
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    plan = Plan(given.rounds or (3 if given.quick else 7), given.seconds or (1 if given.quick else 2))
    with tempfile.TemporaryDirectory() as folder:
        report = run(_prepare(Path(folder)), plan, [] if given.quick else list(OTHERS))
    report["quick"] = given.quick
    serving_report.write(report, ROOT / "results")


def run(bench: Bench, plan: Plan, others: Sequence[Peer]) -> dict[str, object]:
    """All measurements, as what the report is made from."""
    left_out: dict[str, str] = {}
    tables: dict[str, dict[str, dict[str, float]]] = {}
    with started(bench, bench.small, [BARE, OURS, USUAL, *others], left_out) as servers:
        for title, rows, connections in (
            ("1 row", 1, 16),
            ("256 rows", 256, 16),
            ("1 row, one connection", 1, 1),
        ):
            tables[title] = _as_numbers(_alternate(bench, plan, servers, rows, connections, left_out))
    lines = {
        "binary": _binary(bench, plan),
        "heavy": _heavy(bench, plan),
        "workers": _workers(bench, plan),
        "start": _start(bench, plan),
        "memory": _memory(bench),
    }
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs",
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "tables": tables,
        "lines": lines,
        "left_out": left_out,
    }


@contextmanager
def started(
    bench: Bench, model: Path, peers: Sequence[Peer], left_out: dict[str, str]
) -> Iterator[dict[str, Running]]:
    """The servers that can run here, each answering and then put to rest."""
    running: dict[str, Running] = {}
    with ExitStack() as stack:
        for peer in peers:
            try:
                server = _launch(bench, peer, model)
                server.wait(peer.body(bench.rows(1, _width(model))))
            except CannotRun as reason:
                left_out[peer.name] = str(reason)
                print(f"{peer.name}: {reason}", file=sys.stderr)
                continue
            stack.callback(server.end)
            server.rest()
            running[peer.name] = server
        yield running


def _launch(bench: Bench, peer: Peer, model: Path, core: str = SERVER_CORE) -> Running:
    folder = Path(tempfile.mkdtemp(dir=bench.folder))
    if peer.requirements is None:
        target = folder / "models" / "m" / "1" / "model.onnx"
        target.parent.mkdir(parents=True)
        shutil.copy(model, target)
    return Running(peer, model, core, folder)


def _alternate(
    bench: Bench,
    plan: Plan,
    servers: dict[str, Running],
    rows: int,
    connections: int,
    left_out: dict[str, str],
) -> dict[str, Measured]:
    """Windows of all servers, one after another, in rounds; without those that refuse the load."""
    asked = {
        name: script(bench.folder, f"{index}-{rows}", server.peer.body(bench.rows(rows)))
        for index, (name, server) in enumerate(servers.items())
    }
    windows: dict[str, list[Window]] = {name: [] for name in servers}
    for number in range(plan.rounds):
        for name in list(windows):
            server, load = servers[name], (asked[name], connections)
            try:
                with awake(server):
                    window(server.url, *load, plan.warm_up, CLIENT_CORE)
                    windows[name].append(window(server.url, *load, plan.seconds, CLIENT_CORE))
            except RuntimeError as refusal:
                del windows[name]
                left_out[f"{name}, {rows} rows, {connections} connections"] = _refused(str(refusal))
        print(f"{rows} rows, {connections} connections: round {number + 1}/{plan.rounds}", file=sys.stderr)
    return {name: Measured(tuple(of_one)) for name, of_one in windows.items()}


def _refused(text: str) -> str:
    """What wrk says went wrong."""
    found = re.search(r"(Non-2xx.*|Socket errors.*)", text)
    return " ".join((found[1] if found else text).split())[:120]


@contextmanager
def awake(server: Running) -> Iterator[None]:
    """The server, for one window."""
    server.wake()
    try:
        yield
    finally:
        server.rest()


def _as_numbers(measured: dict[str, Measured]) -> dict[str, dict[str, float]]:
    return {
        name: {"rate": one.rate, "p50": one.p50, "p99": one.p99, "spread": one.spread}
        for name, one in measured.items()
    }


def _binary(bench: Bench, plan: Plan) -> dict[str, float]:
    """Rows a second through /v2/…/infer in binary form, beside `session.run` in a loop in one process."""
    x = np.array(bench.rows(256), np.float32)
    tensor = {"name": "x", "shape": list(x.shape), "datatype": "FP32"}
    tensor["parameters"] = {"binary_data_size": x.nbytes}
    head = orjson.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}})
    length = {"Inference-Header-Content-Length": str(len(head))}
    lua = script(bench.folder, "binary", head + x.tobytes(), "application/octet-stream", length)
    peer = ours(path="/v2/models/m/infer")
    served: list[float] = []
    alone: list[float] = []
    server = _launch(bench, peer, bench.small)
    try:
        server.wait(_plain_infer(bench))
        for _ in range(plan.rounds):
            with awake(server):
                window(server.url, lua, 4, plan.warm_up, CLIENT_CORE)
                served.append(256 * window(server.url, lua, 4, plan.seconds, CLIENT_CORE).rate)
            alone.append(_loop(bench.small, 256, plan.seconds))
    finally:
        server.end()
    return {"rows per second": _median(served), "session.run alone": _median(alone)}


def _plain_infer(bench: Bench) -> bytes:
    row = bench.rows(1)[0]
    return json.dumps({"inputs": [{"name": "x", "shape": [1, 64], "datatype": "FP32", "data": row}]}).encode()


_LOOP = """
import sys, time, numpy, onnxruntime
options = onnxruntime.SessionOptions(); options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
x = numpy.random.default_rng(0).normal(size=(int(sys.argv[2]), 64)).astype("f4")
for _ in range(50): session.run(None, {"x": x})
start, runs = time.perf_counter(), 0
while time.perf_counter() - start < float(sys.argv[3]):
    session.run(None, {"x": x}); runs += 1
print(runs * len(x) / (time.perf_counter() - start))
"""


def _loop(model: Path, rows: int, seconds: float) -> float:
    """Rows a second of `session.run`, on the server's core."""
    command = ["taskset", "-c", SERVER_CORE, sys.executable, "-c", _LOOP, str(model), str(rows), str(seconds)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _heavy(bench: Bench, plan: Plan) -> dict[str, float]:
    """A heavy model with and without batching: throughput at 16 connections, latency at one."""
    peers = [ours("batching"), ours("no batching", "--max-batch-rows", "1")]
    many, one = (script(bench.folder, f"heavy-{n}", _heavy_body(bench)) for n in (16, 1))
    found: dict[str, list[float]] = {f"{what}, {p.name}": [] for what in ("rate", "p50") for p in peers}
    with started(bench, bench.large, peers, {}) as servers:
        for _ in range(plan.rounds):
            for name, server in servers.items():
                with awake(server):
                    window(server.url, many, 16, plan.warm_up, CLIENT_CORE)
                    found[f"rate, {name}"].append(
                        window(server.url, many, 16, plan.seconds, CLIENT_CORE).rate
                    )
                    found[f"p50, {name}"].append(window(server.url, one, 1, plan.seconds, CLIENT_CORE).p50)
    return {what: _median(values) for what, values in found.items()}


def _heavy_body(bench: Bench) -> bytes:
    return json.dumps({"inputs": bench.rows(1, LARGE[0])}).encode()


def _workers(bench: Bench, plan: Plan) -> dict[str, float]:
    """One worker and two, on both cores, with the client on the same cores."""
    cores = f"{SERVER_CORE},{CLIENT_CORE}"
    lua = script(bench.folder, "workers", json.dumps({"inputs": bench.rows(1)}).encode())
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        servers = []
        for count in ("1", "2"):
            server = _launch(bench, ours(f"{count} workers", "--workers", count), bench.small, cores)
            stack.callback(server.end)
            server.wait(json.dumps({"inputs": bench.rows(1)}).encode())
            server.rest()
            servers.append(server)
        for _ in range(plan.rounds):
            for server in servers:
                with awake(server):
                    window(server.url, lua, 32, plan.warm_up, cores)
                    rates.setdefault(server.peer.name, []).append(
                        window(server.url, lua, 32, plan.seconds, cores).rate
                    )
    return {name: _median(values) for name, values in rates.items()}


def _start(bench: Bench, plan: Plan) -> dict[str, float]:
    """Seconds from the start of the process to the first answered prediction."""
    times = []
    for _ in range(max(3, plan.rounds)):
        server = _launch(bench, OURS, bench.small)
        times.append(server.wait(json.dumps({"inputs": bench.rows(1)}).encode()))
        server.end()
    return {"seconds": _median(times)}


def _memory(bench: Bench) -> dict[str, float]:
    """Resident memory before and after 100,000 requests, in MB."""
    lua = script(bench.folder, "memory", json.dumps({"inputs": bench.rows(1)}).encode())
    server = _launch(bench, OURS, bench.small)
    try:
        server.wait(json.dumps({"inputs": bench.rows(1)}).encode())
        before, answered = psutil.Process(server.process.pid).memory_info().rss, 0.0
        while answered < 100_000:
            answered += 5 * window(server.url, lua, 16, 5, CLIENT_CORE).rate
        after = psutil.Process(server.process.pid).memory_info().rss
    finally:
        server.end()
    return {"MB at the start": before / 1e6, "MB after 100,000 requests": after / 1e6}


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))


def _prepare(folder: Path) -> Bench:
    bench = Bench(folder, folder / "small.onnx", folder / "large.onnx")
    onnx.save(network(SMALL, 0), bench.small)
    onnx.save(network(LARGE, 0), bench.large)
    return bench


def _width(model: Path) -> int:
    return LARGE[0] if model.name == "large.onnx" else SMALL[0]


if __name__ == "__main__":
    started_at = time.perf_counter()
    main()
    print(f"{time.perf_counter() - started_at:.0f} s", file=sys.stderr)
