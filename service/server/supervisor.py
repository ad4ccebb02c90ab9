"""Several workers on one port: started, announced together, replaced when they die, ended together.

A dead worker is replaced at once. The supervisor holds a copy of its listening socket, so connections in its
backlog wait for the replacement; only what the worker had accepted is lost. A worker that cannot start ends
the server when it starts; later it is tried again, less and less often, while another answers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from service.errors import WorkerFailed
from service.server.signals import Signals
from service.settings import Settings

_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_MARGIN = 5.0
"""How much longer than it may take a worker is waited for, in seconds."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of its own is made in it

_log = logging.getLogger("foldserve.server")


def supervise(settings: Settings, listeners: Sequence[socket.socket], say: Callable[[str], None]) -> None:
    """Serve with a worker for each listener, until a signal.

    Raises:
        WorkerFailed: one cannot start.
    """
    # In memory where there is such a place: it can be written even where the file system cannot.
    place = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="foldserve-", dir=place))
    try:
        asyncio.run(_Supervisor(settings, listeners, folder, say).run())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Worker:
    """A running worker, and the socket to it."""

    def __init__(self, process: Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self.ready = False
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, order: dict[str, Any], listener: socket.socket) -> _Worker:
        """Start one; it knows nothing but what the order says."""
        ours, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                # -P: a folder named service in the working directory is not ours.
                *(sys.executable, "-P", "-m", "service.server.process", str(its.fileno())),
                pass_fds=(its.fileno(), listener.fileno()),
            )
        reader, writer = await asyncio.open_connection(sock=ours, limit=2**24)
        writer.write(json.dumps(order).encode() + b"\n")
        return cls(process, reader, writer)

    async def start_up(self) -> str:
        """Its words when it is ready.

        Raises:
            WorkerFailed: it ended before.
        """
        message = await self._message()
        if "words" not in message:
            fate = _fate(await self.end())
            reason = message.get("error", f"a worker {fate} before it was ready")
            raise WorkerFailed(reason, message.get("code", 1))
        self.ready = True
        return str(message["words"])

    async def end(self) -> int:
        """Wait for its end: what it ended with."""
        code = await self.process.wait()
        self.ready = False
        self._writer.close()
        return code

    async def _message(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
        except OSError:  # it ended before it had read its order
            return {}
        message: dict[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        return message

    @property
    def serves(self) -> bool:
        """Whether it is ready and alive; its death may be news that nobody has told us yet."""
        try:
            ended = os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
        except ChildProcessError:
            return False
        return self.ready and ended is None

    def signal(self, number: int) -> None:
        """Send a signal, if it is still there."""
        if self.process.returncode is None:
            self.process.send_signal(number)


class _Supervisor:
    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[socket.socket],
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._listeners = listeners
        self._folder = folder
        self._say = say
        self._workers: dict[int, _Worker] = {}
        self._announced = False
        self._asked = asyncio.Event()

    async def run(self) -> None:
        Signals(self._asked.set, self._end_at_once)
        keepers = [asyncio.create_task(self._keep(number)) for number in range(len(self._listeners))]
        asked = asyncio.create_task(self._asked.wait())
        # A keeper ends only by failing, until the end is asked for.
        await asyncio.wait([*keepers, asked], return_when=asyncio.FIRST_COMPLETED)
        self._asked.set()
        await self._end(keepers)
        for keeper in keepers:
            if keeper.done() and (error := keeper.exception()) is not None:
                raise error

    def _end_at_once(self, code: int) -> None:
        for worker in self._workers.values():
            worker.signal(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(code)

    async def _end(self, keepers: list[asyncio.Task[None]]) -> None:
        for number, worker in self._workers.items():
            # One that has just died, or is not ready yet, has a backlog that somebody must still answer.
            if worker.serves or not self._announced:
                self._let_go(number, worker)
        limit = self._settings.drain_delay + self._settings.shutdown_timeout + _MARGIN
        _, late = await asyncio.wait(keepers, timeout=limit)
        if late:
            await self._kill(late)

    async def _kill(self, late: set[asyncio.Task[None]]) -> None:
        _log.error("%d workers did not end in time: they are killed", len(late))
        for number, worker in self._workers.items():
            self._listeners[number].close()
            worker.signal(signal.SIGKILL)
        await asyncio.wait(late, timeout=_MARGIN)

    def _let_go(self, number: int, worker: _Worker) -> None:
        # Nobody accepts from our copy: a worker that closes its own closes the last.
        self._listeners[number].close()
        worker.signal(signal.SIGTERM)

    def _has_gone(self, number: int) -> bool:
        return self._asked.is_set() and self._listeners[number].fileno() == -1

    async def _keep(self, number: int) -> None:
        """Keep one worker alive."""
        failures = 0
        while not self._has_gone(number):
            try:
                worker = await self._start(number)
            except WorkerFailed as error:
                if self._asked.is_set():
                    return
                if not any(other.ready for other in self._workers.values()) or not self._announced:
                    raise
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                failures += 1
                _log.error("worker %d cannot start, tried again in %g s: %s", number, pause, error)
                await self._pause(pause)
                continue
            failures = 0
            fate = _fate(await worker.end())
            if not self._has_gone(number):
                _log.error("worker %d %s: it is replaced", number, fate)

    async def _start(self, number: int) -> _Worker:
        listener = self._listeners[number]
        order = {
            "settings": self._settings.model_dump(mode="json"),
            "number": number,
            "count": len(self._listeners),
            "folder": str(self._folder),
            "listener": listener.fileno(),
        }
        worker = self._workers[number] = await _Worker.start(order, listener)
        if self._asked.is_set() and not self._announced:
            self._let_go(number, worker)
        words = await worker.start_up()
        if self._asked.is_set():
            self._let_go(number, worker)
        if not self._announced and sum(other.ready for other in self._workers.values()) == len(
            self._listeners
        ):
            self._announced = True
            self._say(words)
        return worker

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._asked.wait(), seconds)


def _fate(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
