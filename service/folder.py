"""Folding a file that a client sent: in a process of its own, which has a limit on time and memory.

What folds is `training.folding.uploaded`, started by name: the service itself imports neither it nor onnx.
The file goes in through a pipe and the report comes out through one; nothing is written anywhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from importlib.util import find_spec

import orjson

from service.errors import FolderBusy, FolderMissing, Unfoldable

SECONDS = 30.0
"""How long one file may take."""

AT_ONCE = 2
"""How many files one process of the server folds at once."""

MODULE = "training.folding.uploaded"
REFUSED, MISSING, MEMORY, BROKEN = 3, 4, 5, 6
"""What the process ends with when it refuses a file, when its packages are not there, when the memory that it
may have is too small, and when it meets a fault of its own."""

_AT_HOME = "fold it by `foldserve fold` on a machine of your own"


class Folder:
    """Folds files for the clients of one process of the server."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._running = 0

    async def report(self, model: bytes) -> bytes:
        """The report of folding a model, as JSON.

        Raises:
            FolderBusy, FolderMissing, Unfoldable: as they say.
        """
        if self._running >= AT_ONCE:
            raise FolderBusy(AT_ONCE)
        self._running += 1
        try:
            return await self._run(model)
        finally:
            self._running -= 1

    async def _run(self, model: bytes) -> bytes:
        # -P: modules are never taken from the folder that the server was started in.
        command = (sys.executable, "-P", "-m", MODULE, str(int(self._seconds)))
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        try:
            said, _ = await asyncio.wait_for(process.communicate(model), self._seconds)
        except TimeoutError:
            raise Unfoldable(_too_long(self._seconds)) from None
        finally:
            await _end(process)
        return _read(process.returncode, said, self._seconds)


def is_installed() -> bool:
    """Whether the packages that fold are there; looked for without being imported."""
    return all(find_spec(name) is not None for name in ("onnx", "onnx_ir", "training"))


def _read(code: int | None, said: bytes, seconds: float) -> bytes:
    if code == 0:
        return said
    if code == MISSING:
        raise FolderMissing
    raise Unfoldable(str(orjson.loads(said)["error"]) if code == REFUSED else _why(code, said, seconds))


def _why(code: int | None, said: bytes, seconds: float) -> str:
    """Why the process ended without a report, in a line that says what to do."""
    if code == MEMORY:
        return f"folding this file needs more memory than the server gives it: {_AT_HOME}"
    if code == -signal.SIGXCPU:
        return _too_long(seconds)
    if code == -signal.SIGKILL:
        return f"folding was killed (SIGKILL): the machine may be short of memory; try again, or {_AT_HOME}"
    if code is not None and code < 0:
        return f"folding this file crashed ({_signal(-code)}): `foldserve fold` shows where"
    fault = str(orjson.loads(said)["error"]) if code == BROKEN else f"exit code {code}"
    return f"folding this file failed by a fault of foldserve ({fault}): `foldserve fold` shows where"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _too_long(seconds: float) -> str:
    return f"folding took longer than {seconds:g} s: {_AT_HOME}"


async def _end(process: Process) -> None:
    """Whatever happened, no process is left."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
