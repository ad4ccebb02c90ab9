"""A heavy model with batching and without, beside the same of another checkout when one is given.

    python benchmarks/heavy.py [--rounds N] [--seconds S] [--connections N] [--beside FOLDER]

The heavy windows of `benchmarks/serving.py`, alternating between all servers. Beside rates it prints what of
them a busy machine changes least: the processor time of the server for each request, and the rows of a run.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks import serving  # noqa: E402
from benchmarks.serving_load import Window, script, window  # noqa: E402
from benchmarks.serving_peers import Peer, Running, ours  # noqa: E402

COLUMNS = ("requests/s", "CPU µs", "rows of a run", "lone p50 µs", "lone CPU µs")


class Counted(NamedTuple):
    """What a server has done so far."""

    rows: int
    runs: int
    seconds: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="heavy.py")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--beside", type=Path, help="another checkout of this project")
    given = parser.parse_args()
    trees = {"": ROOT.parent} | ({"before, ": given.beside.resolve()} if given.beside else {})
    peers = [peer for prefix, tree in trees.items() for peer in _peers(prefix, tree)]
    with tempfile.TemporaryDirectory() as folder:
        found = _measure(serving._prepare(Path(folder)), peers, given)
    print(f"{'median [lowest to highest]':28}" + "".join(f"{column:>26}" for column in COLUMNS))
    for name, rows in found.items():
        columns = zip(*rows, strict=True)
        shown = (f"{median(c):.1f} [{min(c):.0f} to {max(c):.0f}]" for c in columns)
        print(f"{name:28}" + "".join(f"{text:>26}" for text in shown))


def _peers(prefix: str, tree: Path) -> list[Peer]:
    environment = {"PYTHONPATH": str(tree)}
    return [
        ours(f"{prefix}batching", environment=environment),
        ours(f"{prefix}no batching", "--max-batch-rows", "1", environment=environment),
    ]


def _measure(
    bench: serving.Bench, peers: list[Peer], given: argparse.Namespace
) -> dict[str, list[tuple[float, ...]]]:
    body = serving._heavy_body(bench)
    many, one = (script(bench.folder, f"heavy-{n}", body) for n in ("many", "one"))
    found: dict[str, list[tuple[float, ...]]] = {peer.name: [] for peer in peers}
    with ExitStack() as stack:
        servers = []
        for peer in peers:
            servers.append(server := serving._launch(bench, peer, bench.large))
            stack.callback(server.end)
            server.wait(body)
            server.rest()
        for number in range(given.rounds):
            for server in servers if number % 2 else servers[::-1]:
                with serving.awake(server):
                    window(server.url, many, given.connections, 1, serving.CLIENT_CORE)
                    crowd = _counted(server, many, given.connections, given.seconds)
                    lone = _counted(server, one, 1, given.seconds)
                found[server.peer.name].append((crowd[0].rate, *crowd[1:], lone[0].p50, lone[1]))
            print(f"round {number + 1}/{given.rounds}", file=sys.stderr)
    return found


def _counted(server: Running, lua: Path, connections: int, seconds: int) -> tuple[Window, float, float]:
    """One window, the server's µs for each of its rows, and the rows of a run."""
    before = _so_far(server)
    measured = window(server.url, lua, connections, seconds, serving.CLIENT_CORE)
    after = _so_far(server)
    rows = after.rows - before.rows
    return measured, (after.seconds - before.seconds) / rows * 1e6, rows / (after.runs - before.runs)


def _so_far(server: Running) -> Counted:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/models/m/stats") as answer:
        stats: Any = json.load(answer)["model_stats"][0]
    spent = psutil.Process(server.process.pid).cpu_times()
    return Counted(stats["inference_count"], stats["execution_count"], spent.user + spent.system)


if __name__ == "__main__":
    main()
