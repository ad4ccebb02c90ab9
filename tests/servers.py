"""A real server on a real socket, in a thread of the tests."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from service.app import create_app
from service.server.lifetime import Server
from service.server.sockets import places
from service.settings import Settings
from service.worker import Worker


@dataclass
class Running:
    """A server that answers."""

    app: FastAPI
    server: Server
    port: int
    loop: asyncio.AbstractEventLoop
    thread: threading.Thread

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Ask for the end, as a signal would."""
        self.loop.call_soon_threadsafe(self.server.stop)


@contextmanager
def running(
    folder: Path, worker: Worker | None = None, *, reserve: bool = True, **settings: Any
) -> Iterator[Running]:
    """Serve a folder until the end of the block.

    Args:
        reserve: whether the ports besides the main one must be free; they are those of another worker if not.
    """
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def tell() -> None:
        loops.append(asyncio.get_running_loop())
        ready.set()

    asked = Settings(models_dir=folder, port=0, shutdown_timeout=5, **settings)
    theirs = {} if reserve else {"metrics_port": asked.metrics_port}
    with places(asked.model_copy(update=dict.fromkeys(theirs))) as (resolved, listeners):
        resolved = resolved.model_copy(update=theirs)
        app = create_app(resolved, worker)
        server = Server(app, resolved, tell)
        thread = threading.Thread(target=server.run, args=(listeners,))
        thread.start()
        assert ready.wait(10)
        running = Running(app, server, resolved.port, loops[0], thread)
        try:
            yield running
        finally:
            if thread.is_alive():
                running.stop()
            thread.join(20)
            gc.unfreeze()
            assert not thread.is_alive()
