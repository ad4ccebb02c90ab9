"""Instructions per request, counted: a request must not become dearer unnoticed.

    python benchmarks/guard.py [--record]

callgrind counts what a process executes, which no neighbour on the machine can change. Each way of a request
is run twice in a process of its own, with few requests and with many; the difference, divided, is one
request. It fails when that is more than a tenth above the figure in benchmarks/results/guard.json, which
--record writes. The figures hold for one build of Python, NumPy and onnxruntime and one kind of CPU: they are
recorded with these, and elsewhere only shown.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks.request import BODY, HEADERS, application, ask  # noqa: E402
from service.cost import Cost  # noqa: E402
from service.fastlane import FastLane, target  # noqa: E402

RESULT = ROOT / "results" / "guard.json"
ALLOWED = 1.10
FEW, MANY = 96, 400
WAYS = ("fast lane, 1 row", "application, 1 row", "fast lane, 1 row of 16 in a turn")
TURN = 16


def main() -> int:
    """Count, compare, and say so."""
    parser = argparse.ArgumentParser(prog="guard.py")
    parser.add_argument("--record", action="store_true", help="write the figures instead of comparing")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        _serve(given.run[0], int(given.run[1]))
        return 0
    found = {way: (_count(way, MANY) - _count(way, FEW)) // (MANY - FEW) for way in WAYS}
    if given.record:
        RESULT.write_text(json.dumps({"machine": _machine(), "instructions": found}, indent=2) + "\n")
    return _report(found, json.loads(RESULT.read_text()))


def _report(found: dict[str, int], recorded: dict[str, Any]) -> int:
    same = recorded["machine"] == _machine()
    worst = 0.0
    for way, count in found.items():
        before = recorded["instructions"][way]
        worst = max(worst, count / before)
        print(f"{way}: {count:,} instructions, recorded {before:,}, ratio {count / before:.3f}")
    if not same:
        print(f"recorded on {recorded['machine']}, this is {_machine()}: shown, not judged")
    return int(same and worst > ALLOWED)


def _count(way: str, requests: int) -> int:
    """The instructions of a process that answers so many requests."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        script = [sys.executable, __file__, "--run", way, str(requests)]
        environment = os.environ | {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
        ended = subprocess.run(
            [*command, *script], capture_output=True, text=True, env=environment, check=False
        )
    found = re.search(r"Collected\s*:\s*(\d+)", ended.stderr)
    if ended.returncode or not found:
        sys.exit(f"callgrind failed:\n{ended.stderr[-2000:]}")
    return int(found[1])


def _serve(way: str, requests: int) -> None:
    """Answer requests in this process, without a socket."""
    with application() as app:
        # Under valgrind every model is slow; it must still be taken for a light one.
        app.state.repository.find("m").cost = Cost(1e-6, 1e-8)
        ways = dict(zip(WAYS, (_lane(app, 1), partial(ask, app), _lane(app, TURN)), strict=True))
        asyncio.run(_repeat(ways[way], requests // TURN if way == WAYS[2] else requests))


async def _repeat(answer: Callable[[], Any], requests: int) -> None:
    for _ in range(requests):
        await answer()


def _lane(app: Any, turn: int) -> Callable[[], Any]:
    lane, found = FastLane(app.state), target(b"/predict")
    assert found

    async def answer() -> None:
        for _ in range(turn):
            assert lane.take(found, HEADERS, BODY, str)
        lane.flush()
        await asyncio.sleep(0)

    return answer


def _machine() -> str:
    import numpy
    import onnxruntime

    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    versions = f"Python {platform.python_version()}, NumPy {numpy.__version__}"
    return f"{model[1] if model else platform.machine()}, {versions}, onnxruntime {onnxruntime.__version__}"


if __name__ == "__main__":
    sys.exit(main())
