"""Running the application under uvicorn: the socket, the words at the start, the workers, the end."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sys
from functools import partial

import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from service.app import create_app
from service.errors import AddressUnavailable
from service.repository import Refused, Repository
from service.session import choose_device
from service.settings import Settings

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on the address; port 0 takes a free one.

    Raises:
        AddressUnavailable: the port is taken, or the host is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise AddressUnavailable(host, port, error.strerror or str(error)) from error
    # Connections wait in the backlog from now on, not refused while the workers start.
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def run(settings: Settings, *, check_only: bool = False, quiet: bool = False) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight are finished first. Say what is served, and where.

    Raises:
        AddressUnavailable: nothing can listen there.
        RuntimeMissing, DeviceUnavailable, UnknownModel: the application cannot be made.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn hands the signal on once it has finished: the process has done what it was asked.
        signal.signal(number, _leave)
    with bind(settings.host, settings.port) as listener:
        app = create_app(settings)
        if not quiet:
            announce(app, listener.getsockname()[1])
        if not check_only:
            _serve(settings, app, listener)


def announce(app: FastAPI, port: int) -> None:
    """Print the device, each model with its state, the address and a call that works when pasted."""
    settings: Settings = app.state.settings
    repository: Repository = app.state.repository
    device, why = choose_device(settings.device)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{host}:{port}"
    lines = [f"device {device} ({why}), {settings.workers} worker(s)"]
    lines += [_state_line(repository, name) for name in repository.names]
    lines += (
        [] if repository.names else [f"no models in {settings.models_dir}: foldserve train puts them there"]
    )
    lines += [f"listening on {address}  (documentation at {address}/docs)"]
    call = example_call(repository, address)
    sys.stdout.write("\n".join([*lines, *([f"try:  {call}"] if call else [])]) + "\n")
    sys.stdout.flush()


def example_call(repository: Repository, address: str) -> str | None:
    """A curl line for the default model, or the first that has golden rows."""
    for name in ([repository.default] if repository.default else []) + repository.names:
        model = repository.find(name) if repository.latest(name) is not None else None
        golden = model.metadata.golden if model and model.metadata else None
        if golden is not None and golden.inputs:
            path = "/predict" if name == repository.default else f"/models/{name}/predict"
            row = ",".join(_shown(value) for value in golden.inputs[0])
            header = "-H 'Content-Type: application/json'"
            return f"curl -s {address}{path} {header} -d '{{\"inputs\": [[{row}]]}}'"
    return None


def _shown(value: float | str | bool | None) -> str:
    """A value of a row in JSON, within single quotes; a number with the digits that float32 needs."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.9g}" if number else json.dumps(value).replace("'", "\\u0027")


def _state_line(repository: Repository, name: str) -> str:
    versions = repository.models[name]
    refused = [f"version {n} refused: {v.reason}" for n, v in versions.items() if isinstance(v, Refused)]
    latest = repository.latest(name)
    mark = ", default" if name == repository.default else ""
    state = f"version {latest}{mark}" if latest is not None else "not served"
    return "; ".join([f"model {name}: {state}", *refused])


def _serve(settings: Settings, app: FastAPI, listener: socket.socket) -> None:
    config = uvicorn.Config(
        app if settings.workers == 1 else partial(create_app, settings),
        factory=settings.workers > 1,
        workers=settings.workers,
        log_level=logging.WARNING,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=round(settings.shutdown_timeout),
    )
    if settings.workers == 1:
        uvicorn.Server(config).run(sockets=[listener])
    else:
        Multiprocess(config, sockets=[listener]).run()


def _leave(*_: object) -> None:
    sys.exit(0)
