"""One process that answers: the only one of a server, or a worker that a supervisor started.

A worker is told over a socket to its supervisor what it is, and says over it that it is ready, or why it
cannot be. The end of that socket is the end of the supervisor, which a worker does not outlive.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from service import logs
from service.app import create_app
from service.errors import FoldserveError
from service.server.announcement import words
from service.server.lifetime import Server
from service.server.signals import leave_at_once
from service.settings import Settings
from service.worker import Worker


def check(settings: Settings) -> str:
    """Load everything as if to serve; the words at the start."""
    return words(create_app(settings, Worker(count=settings.workers)))


def serve(settings: Settings, listener: socket.socket, say: Callable[[str], None]) -> None:
    """Serve in this process until a signal."""
    app = create_app(settings)
    Server(app, settings, lambda: say(words(app))).run(sockets=[listener])


def main() -> None:
    """Serve as a worker; the argument is the number of the socket to the supervisor."""
    leave_at_once()
    link = socket.socket(fileno=int(sys.argv[1]))
    order = json.loads(link.makefile("rb").readline())
    worker = Worker(order["number"], order["count"], Path(order["folder"]))
    try:
        _work(link, Settings(**order["settings"]), worker, socket.socket(fileno=order["listener"]))
    except FoldserveError as error:
        _report(link, {"error": str(error), "code": error.exit_code})
        sys.exit(error.exit_code)


def _work(link: socket.socket, settings: Settings, worker: Worker, listener: socket.socket) -> None:
    logs.configure(settings.log_level, settings.log_format)
    app = create_app(settings, worker)

    def ready() -> None:
        asyncio.get_running_loop().add_reader(link, orphaned)
        _report(link, {"words": words(app)})

    def orphaned() -> None:
        asyncio.get_running_loop().remove_reader(link)
        # The supervisor would have removed it.
        shutil.rmtree(worker.folder or "", ignore_errors=True)
        server.stop()

    # A signal to a whole group reaches workers too: how often it came is the supervisor's affair.
    server = Server(app, settings, ready, hurried=lambda _: None)
    server.run(sockets=[listener])


def _report(link: socket.socket, message: dict[str, Any]) -> None:
    with suppress(OSError):  # that nobody listens any more is noticed elsewhere
        link.sendall(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main()
