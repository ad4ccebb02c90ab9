"""The words at the start: the device in truth, each model with its state, the addresses, a call to paste."""

from __future__ import annotations

import json

from fastapi import FastAPI

from service.repository import Refused, Repository
from service.repository.index import UNWANTED
from service.session import choose_device
from service.settings import Settings


def words(app: FastAPI) -> str:
    """All of them, a line each; a port of 0 must have become a number before."""
    settings: Settings = app.state.settings
    repository: Repository = app.state.repository
    device, why = choose_device(settings.device)
    address = _address(settings)
    lines = [f"device {device} ({why}), {app.state.budget}"]
    lines += [_state_line(repository, name) for name in repository.names]
    lines += (
        [] if repository.names else [f"no models in {settings.models_dir}: foldserve train puts them there"]
    )
    if settings.grpc_port is not None:
        lines.append(f"grpc on {_host(settings)}:{settings.grpc_port}")
    if settings.metrics_port is not None:
        lines.append(f"metrics on {_scheme(settings)}://{_host(settings)}:{settings.metrics_port}/metrics")
    page = "a page for the browser, " if settings.page else ""
    lines.append(f"listening on {address}  ({page}documentation at {address}/docs)")
    call = example_call(repository, address, with_key=settings.api_key_file is not None)
    return "\n".join([*lines, *([f"try:  {call}"] if call else [])])


def _address(settings: Settings) -> str:
    """Where the server is found."""
    return f"{_scheme(settings)}://{_host(settings)}:{settings.port}"


def _scheme(settings: Settings) -> str:
    return "https" if settings.ssl_certfile else "http"


def example_call(repository: Repository, address: str, *, with_key: bool = False) -> str | None:
    """A curl line for the default model, or the first that has golden rows."""
    for name in ([repository.default] if repository.default else []) + repository.names:
        model = repository.find(name) if repository.latest(name) is not None else None
        golden = model.metadata.golden if model and model.metadata else None
        if golden is not None and golden.inputs:
            path = "/predict" if name == repository.default else f"/models/{name}/predict"
            row = ",".join(_shown(value) for value in golden.inputs[0])
            header = "-H 'Content-Type: application/json'"
            header += " -H 'Authorization: Bearer <key>'" if with_key else ""
            return f"curl -s {address}{path} {header} -d '{{\"inputs\": [[{row}]]}}'"
    return None


def _shown(value: float | str | bool | None) -> str:
    """A value of a row in JSON, within single quotes; a number with the digits that float32 needs."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value:.9g}" if number else json.dumps(value).replace("'", "\\u0027")


def _state_line(repository: Repository, name: str) -> str:
    index = repository.index
    refused = [
        f"version {number} refused: {version.reason}"
        for number, version in index.models[name].items()
        if isinstance(version, Refused) and version.stage != UNWANTED
    ]
    refused += [f"{odd or 'its folder'} refused: {why}" for odd, why in index.odd.get(name, {}).items()]
    latest = repository.latest(name)
    mark = ", default" if name == repository.default else ""
    state = f"version {latest}{mark}" if latest is not None else "not served"
    return "; ".join([f"model {name}: {state}", *refused])


def _host(settings: Settings) -> str:
    return f"[{settings.host}]" if ":" in settings.host else settings.host
