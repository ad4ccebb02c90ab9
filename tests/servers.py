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
def running(folder: Path, **settings: Any) -> Iterator[Running]:
    """Serve a folder until the end of the block."""
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    def tell() -> None:
        loops.append(asyncio.get_running_loop())
        ready.set()

    with places(Settings(models_dir=folder, port=0, shutdown_timeout=5, **settings)) as (resolved, listeners):
        app = create_app(resolved)
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
