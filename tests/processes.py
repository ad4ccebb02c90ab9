"""The real command in a real process, on a loopback port of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

FOLDSERVE = str(Path(sys.executable).with_name("foldserve"))


@dataclass
class Server:
    """A running `foldserve serve`.

    Attributes:
        words: what it printed before it began to answer.
    """

    process: subprocess.Popen[str]
    address: str
    words: str


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[Server]:
    """Start a server, wait until it listens, and end it by its pid."""
    command = [FOLDSERVE, "serve", "--models-dir", str(folder), "--port", "0", *options]
    # A session of its own, so that workers end with it even when it is killed.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    try:
        words = _read_until_listening(process)
        address = re.search(r"listening on (\S+)", words)
        assert address, f"the server ended early: {words}"
        yield Server(process, address[1], words)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=10)


def run(*arguments: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """One foldserve command to its end."""
    command = [FOLDSERVE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def _read_until_listening(process: subprocess.Popen[str]) -> str:
    """The socket accepts connections from the moment this line is printed."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("listening on"):
            break
    return "".join(lines)
