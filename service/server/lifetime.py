"""The life of one process: ready, draining, ended.

SIGTERM or SIGINT: not ready from this moment, and every answer is the last of its connection. For the drain
delay new connections are still accepted, then no more begin. Those in the backlog are accepted, connections
that stay quiet are closed, and what is in flight is finished.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager

import uvicorn
from fastapi import FastAPI

from service.fastlane import FastLane
from service.server.configuration import configuration
from service.server.connection import Connection
from service.server.metrics_door import metrics_door
from service.server.patience import Limits, Shared
from service.server.signals import Signals
from service.server.sockets import refuse_newcomers, welcome_newcomers
from service.settings import Settings

QUIET = 0.2
"""How many seconds a connection must say nothing before it is closed, and how long a handshake may take."""

_STEP = 0.02
_LAST_WORDS = 2.0

_log = logging.getLogger("foldserve.server")


_KNOWN = "0.54."
"""The versions of uvicorn whose protocol the fast lane is known to fit."""


class Server(uvicorn.Server):
    """Serves an application until it is told to end.

    Args:
        ready: called once connections are answered.
        hurried: called with the exit code when a second signal comes.
    """

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        ready: Callable[[], None],
        hurried: Callable[[int], None] = os._exit,
    ) -> None:
        super().__init__(configuration(app, settings, lifespan="on"))
        self.server_state: Shared = Shared(Limits.of(settings), _lane(app))
        self._app = app
        self._settings = settings
        self._ready = ready
        self._hurried = hurried
        self._asked = asyncio.Event()
        self._beside = AsyncExitStack()

    def stop(self) -> None:
        """Begin to end; from the thread of the loop, as often as you like."""
        self._app.state.draining = self.server_state.draining = True
        for connection in self._connections():
            connection.drain()
        self._asked.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        for listener in sockets or []:
            welcome_newcomers(listener)
        await super().startup(sockets)
        await self._beside.enter_async_context(metrics_door(self._app))
        # What is there now stays: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self._ready()

    async def main_loop(self) -> None:
        """Wait for the end."""
        await self._asked.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Lose nobody who has been accepted, as far as the time allows."""
        await asyncio.sleep(self._settings.drain_delay)
        try:
            async with asyncio.timeout(self._settings.shutdown_timeout):
                await asyncio.gather(self._drain_http(sockets or []), self._drain_grpc())
        except TimeoutError:
            await self._cut_off()
        await self._beside.aclose()
        await self.lifespan.shutdown()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM, in the main thread."""
        if threading.current_thread() is threading.main_thread():
            Signals(self.stop, self._hurried)
        yield

    async def _stop_listening(self, listeners: list[socket.socket]) -> None:
        for listener in listeners:
            refuse_newcomers(listener)
        await asyncio.sleep(QUIET)
        for _ in range(3):  # however late it is: the loop looks at the backlog once more
            await asyncio.sleep(0)
        for server in self.servers:
            server.close()
        for listener in listeners:
            listener.close()

    async def _drain_http(self, listeners: list[socket.socket]) -> None:
        await self._stop_listening(listeners)
        await self._finish()

    async def _drain_grpc(self) -> None:
        if self._app.state.grpc_door is not None:
            await self._app.state.grpc_door.drain(QUIET)

    async def _finish(self) -> None:
        while self.server_state.connections or self.server_state.tasks:
            for connection in self._connections():
                connection.close_if_quiet(QUIET)
            await asyncio.sleep(_STEP)

    async def _cut_off(self) -> None:
        for connection in self._connections():
            connection.leave_lane()  # what waits there is a task from now on
        tasks = list(self.server_state.tasks)
        _log.error("the shutdown timeout is over: %d requests are cut off", len(tasks))
        # A run in a thread cannot be stopped; the process does not wait for it.
        watchdog = threading.Timer(_LAST_WORDS, os._exit, (0,))
        watchdog.daemon = True
        watchdog.start()
        for connection in self._connections():
            connection.cut_off()
        if tasks:
            _, stubborn = await asyncio.wait(tasks, timeout=_LAST_WORDS / 2)
            for task in stubborn:
                task.cancel()

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]


def _lane(app: FastAPI) -> FastLane | None:
    lane = FastLane.of(app.state)
    if lane is None or uvicorn.__version__.startswith(_KNOWN):
        return lane
    _log.warning("uvicorn %s is not one that the fast lane knows: it stays off", uvicorn.__version__)
    return None
