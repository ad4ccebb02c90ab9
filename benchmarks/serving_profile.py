"""Where the processor time of a request goes, behind a real socket, beside the bare application.

    python benchmarks/serving_profile.py [--rounds N] [--seconds S]

`perf record` samples a server while wrk loads it, on a core of its own each. Shares of samples become µs of a
request by the processor time that the server's process has spent, which no waiting adds to. Both servers
alternate and medians are printed. The bare application reads the body and answers a constant, so what it
spends is what no server on uvicorn can save.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks import section, serving  # noqa: E402
from benchmarks.serving_load import Window, script, window  # noqa: E402
from benchmarks.serving_peers import BARE, Running  # noqa: E402

LOADS = (("1 row, one connection", 1, 1), ("1 row", 1, 16), ("256 rows", 256, 16))
SAMPLES = 4999  # a second; no divisor of the clocks that a server has
# A part of a library's name, and what it does for a request; the first that fits counts.
PARTS = (
    ("[kernel.kallsyms]", "kernel: sockets, switches"),
    ("onnxruntime_pybind11_state", "onnxruntime"),
    ("csimdjson", "simdjson"),
    ("orjson", "orjson"),
    ("_multiarray_umath", "numpy"),
    ("uvloop", "uvloop, httptools"),
    ("parser.", "uvloop, httptools"),
    ("url_parser", "uvloop, httptools"),
)
REST = "Python and the C library"


class Profile(NamedTuple):
    """One window of one server, in microseconds.

    Attributes:
        parts: the processor time of a request by what spent it.
    """

    measured: Window
    parts: Mapping[str, float]

    @property
    def spent(self) -> float:
        """The processor time of a request."""
        return sum(self.parts.values())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="serving_profile.py")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2)
    given = parser.parse_args()
    for tool in ("wrk", "perf"):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed: apt-get install {'linux-perf' if tool == 'perf' else tool}")
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = serving._prepare(Path(folder))
        with serving.started(bench, bench.small, [BARE, serving.OURS], {}) as servers:
            for title, rows, connections in LOADS:
                found = _alternate(bench, servers, rows, connections, given)
                lines += [f"**{title}**", "", *_told(found), ""]
    lines.append(f"Medians of {given.rounds} windows of {given.seconds} s.")
    text = "\n".join(lines)
    print(text)
    section.write("performance.md", "bench-profile", text)


def _alternate(
    bench: serving.Bench,
    servers: Mapping[str, Running],
    rows: int,
    connections: int,
    given: argparse.Namespace,
) -> dict[str, list[Profile]]:
    found: dict[str, list[Profile]] = {name: [] for name in servers}
    for number in range(given.rounds):
        for name in list(servers)[:: 1 if number % 2 else -1]:
            server = servers[name]
            lua = script(bench.folder, f"{rows}-{name}", server.peer.body(bench.rows(rows)))
            with serving.awake(server):
                window(server.url, lua, connections, 1, serving.CLIENT_CORE)
                found[name].append(_profile(bench.folder, server, lua, connections, given.seconds))
    return found


def _profile(folder: Path, server: Running, lua: Path, connections: int, seconds: int) -> Profile:
    record = folder / "perf.data"
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(SAMPLES), "-p", str(server.process.pid)]
    before = _seconds(server)
    with subprocess.Popen(
        [*command, "-o", record, "--", "sleep", str(seconds + 1)], stderr=subprocess.DEVNULL
    ) as recorder:
        measured = window(server.url, lua, connections, seconds, serving.CLIENT_CORE)
        each = (_seconds(server) - before) / (measured.rate * seconds) * 1e6
        recorder.wait()
    shares = _shares(record)
    return Profile(measured, {part: share * each for part, share in shares.items()})


def _seconds(server: Running) -> float:
    spent = psutil.Process(server.process.pid).cpu_times()
    return spent.user + spent.system


def _shares(record: Path) -> dict[str, float]:
    """The share of the samples of each part."""
    command = ["perf", "script", "-i", record, "-F", "ip,dso"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    counts = Counter(_part(line) for line in listed.splitlines() if line.strip())
    return {part: count / counts.total() for part, count in counts.items()}


def _part(line: str) -> str:
    """What a sample was spent for; `line` ends with its library in parentheses."""
    file = Path(line.rpartition("(")[2].rstrip(") \n")).name
    return next((part for name, part in PARTS if name in file), REST)


def _told(found: Mapping[str, list[Profile]]) -> Iterator[str]:
    names = list(found)
    middle = {
        name: {part: median(p.parts.get(part, 0.0) for p in profiles) for part in _parts(found)}
        for name, profiles in found.items()
    }
    yield f"| µs of a request | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for part in sorted(_parts(found), key=lambda part: -middle[names[-1]][part]):
        yield _row(part, (middle[name][part] for name in names))
    yield _row("**processor time of the server**", (median(p.spent for p in found[name]) for name in names))
    yield _row(
        "**p50 that the client sees**", (median(p.measured.p50 for p in found[name]) for name in names)
    )


def _row(title: str, values: Iterable[float]) -> str:
    return f"| {title} | {' | '.join(f'{value:.1f}' for value in values)} |"


def _parts(found: Mapping[str, list[Profile]]) -> list[str]:
    return list(dict.fromkeys(part for profiles in found.values() for p in profiles for part in p.parts))


if __name__ == "__main__":
    main()
