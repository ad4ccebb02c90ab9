"""Runs the blocks of one page in order, in a folder of its own, against the server that the page starts."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.blocks import ROOT, Block

LIMIT = 300
PORTS = ("8000", "8001", "8002")
SHORTER: Mapping[str, tuple[str, ...]] = {
    "train": ("--epochs", "2"),
    "tune": ("--epochs", "1", "--trials", "2"),
    "compare": ("--epochs", "1", "--seeds", "2", "--rates", "0.002"),
}
"""Flags that end what would take minutes sooner; the last of a flag given twice counts."""

_SERVE = re.compile(r"^(\w+=\S+ )*(\.venv/bin/)?foldserve serve\b(?!.*--check)")
_SHORTEN = re.compile(r"^(?:\.venv/bin/)?foldserve (\w+)\b")


class BlockFailedError(Exception):
    """A command of a page did not do what the page says."""


@dataclass
class Desk:
    """The folder of a page, and the server that runs in it.

    Attributes:
        ports: those of the page, and the free ones that stand for them here.
    """

    folder: Path
    ports: dict[str, str] = field(
        default_factory=lambda: {port: free_port() for port in ("8000", "8001", "8002")}
    )
    server: subprocess.Popen[str] | None = None

    def __post_init__(self) -> None:
        with suppress(FileExistsError):
            (self.folder / ".venv").symlink_to(Path(sys.prefix))
        # An answer of 400 or above is a failure of the command.
        (self.folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")

    def run(self, block: Block) -> None:
        """Do what the block says.

        Raises:
            BlockFailedError: a command ended with an error, or without one where the page shows one.
        """
        if block.fate == "file":
            (self.folder / block.said).write_text(block.text)
        elif block.fate == "run" and block.language == "python":
            self._expect(block, [sys.executable, "-W", "error::SyntaxWarning", "-c", self._ours(block.text)])
        elif block.fate == "run":
            *before, last = commands(block.text)
            for command in before:
                self._command(Block(block.page, block.line, "sh", command), command)
            self._command(block, last)

    def end(self) -> None:
        """End the server, and its workers with it."""
        if self.server is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.server.pid, signal.SIGTERM)
        try:
            self.server.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.server.pid, signal.SIGKILL)
        if self.server.stdout:
            self.server.stdout.close()
        self.server = None

    def _command(self, block: Block, command: str) -> None:
        if _SERVE.match(command):
            self._serve(block, self._ours(command))
            return
        short = _SHORTEN.match(command)
        more = SHORTER.get(short[1], ()) if short and "--help" not in command else ()
        self._expect(block, ["bash", "-ec", self._ours(" ".join([command, *more]))])

    def _serve(self, block: Block, command: str) -> None:
        self.end()
        port = "" if "--port" in command else f" --port {self.ports['8000']}"
        self.server = subprocess.Popen(
            ["bash", "-ec", f"exec env {command}{port}"],
            cwd=self.folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        words = ""
        for line in self.server.stdout or ():
            words += line
            if line.startswith("listening on"):
                return
        raise BlockFailedError(f"{block.place}: {command}: the server ended: {words}")

    def _expect(self, block: Block, words: list[str]) -> None:
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        if (done.returncode != 0) != (block.mark == "fails"):
            said = f"{done.stdout[-600:]}{done.stderr[-1200:]}"
            raise BlockFailedError(f"{block.place}: {words[-1].strip()}: exit code {done.returncode}\n{said}")

    def _ours(self, text: str) -> str:
        """The page's ports as the free ones of this run."""
        return re.sub(r"\b800[012]\b", lambda found: self.ports[found[0]], text)

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        python = ":".join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        ours = {"PATH": path, "PYTHONPATH": python, "CURL_HOME": str(self.folder), "OMP_NUM_THREADS": "1"}
        return os.environ | ours


def commands(text: str) -> Iterator[str]:
    """The commands of a block of shell: a line each, longer where a quote or a backslash goes on."""
    command = ""
    for line in text.splitlines():
        command += line
        if line.endswith("\\"):
            command = command[:-1]
            continue
        try:
            words = shlex.split(command, comments=True)
        except ValueError:  # a quote is open
            command += "\n"
            continue
        if words:
            yield command
        command = ""
    if command.strip():
        raise BlockFailedError(f"a command without its end: {command}")


def free_port() -> str:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@dataclass(frozen=True)
class Outcome:
    """What became of a block."""

    block: Block
    seconds: float
    fault: str = ""


def run_page(blocks: list[Block], folder: Path) -> Iterator[Outcome]:
    """Run a page's blocks in order; after a failure the rest is tried all the same."""
    desk = Desk(folder)
    try:
        for block in blocks:
            begun, fault = time.perf_counter(), ""
            try:
                desk.run(block)
            except BlockFailedError as error:
                fault = str(error)
            yield Outcome(block, time.perf_counter() - begun, fault)
    finally:
        desk.end()
