"""Load by wrk, in short windows that alternate between servers, so that a noisy neighbour hits all of
them."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from statistics import median

_SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "{kind}"
{headers}
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
"""
_UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6}


@dataclass(frozen=True)
class Window:
    """One short run.

    Attributes:
        rate: right answers a second.
        p50: the median latency, in microseconds.
        p99: the 99th percentile.
    """

    rate: float
    p50: float
    p99: float


@dataclass(frozen=True)
class Measured:
    """All windows of one server under one load."""

    windows: tuple[Window, ...]

    @property
    def rate(self) -> float:
        """The median rate."""
        return median(window.rate for window in self.windows)

    @property
    def p50(self) -> float:
        """The median of the medians."""
        return median(window.p50 for window in self.windows)

    @property
    def p99(self) -> float:
        """The median of the 99th percentiles."""
        return median(window.p99 for window in self.windows)

    @property
    def spread(self) -> float:
        """(largest − smallest) / median of the rates."""
        rates = [window.rate for window in self.windows]
        return (max(rates) - min(rates)) / self.rate


def script(
    folder: Path,
    name: str,
    body: bytes,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Path:
    """A wrk script that posts this body."""
    data, lua = folder / f"{name}.body", folder / f"{name}.lua"
    data.write_bytes(body)
    lines = "\n".join(f'wrk.headers["{key}"] = "{value}"' for key, value in (headers or {}).items())
    lua.write_text(_SCRIPT.format(kind=kind, headers=lines, body=data))
    return lua


def window(url: str, lua: Path, connections: int, seconds: int, core: str) -> Window:
    """One run of wrk on a core of its own.

    Raises:
        RuntimeError: an answer was not a success, or wrk failed.
    """
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency"]
    ended = subprocess.run([*command, "-s", lua, url], capture_output=True, text=True, check=False)
    text = ended.stdout
    if ended.returncode or "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"{url}: {text or ended.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if rate is None:
        raise RuntimeError(text)
    return Window(float(rate[1]), _latency(text, "50%"), _latency(text, "99%"))


def _latency(text: str, percentile: str) -> float:
    found = re.search(rf"{percentile}\s+([\d.]+)(us|ms|s)\b", text)
    return float(found[1]) * _UNITS[found[2]] if found else float("nan")
