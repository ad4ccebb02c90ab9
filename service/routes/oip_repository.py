"""The repository extension of the Open Inference Protocol: what there is, and loading and unloading it."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import State

from service.errors import RepositoryClosed, UnknownModel
from service.payloads.oip.index import read_index_request
from service.payloads.oip.loading import read_load_request, read_unload_request
from service.repository import Repository
from service.routes.bodies import read_body
from service.routes.oip import RESPONSES
from service.routes.oip_forms import IndexEntry

router = APIRouter(prefix="/v2/repository", tags=["open inference protocol"], responses=RESPONSES)


def _body(**properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


_FILES = {"type": "string", "format": "byte", "description": "one for each file: file:<version>/<name>"}
_LOAD = {
    "type": "object",
    "properties": {"config": {"type": "string", "description": "its version_policy is honoured"}},
    "patternProperties": {"^file:[1-9][0-9]*/.+$": _FILES},
}
_UNLOAD = {"type": "object", "properties": {"unload_dependents": {"type": "boolean", "default": False}}}


@router.post("/index", openapi_extra=_body(ready={"type": "boolean", "default": False}))
async def repository_index(request: Request) -> list[IndexEntry]:
    """Every version on disk, served or not and why; with {"ready": true} only those served."""
    return index(request.app.state, only_ready=read_index_request(await _read(request)))


@router.post("/models/{name}/load", openapi_extra=_body(parameters=_LOAD))
async def load(request: Request, name: str) -> None:
    """Load or reload a model; the answer comes when it is live. Off unless the operator turns it on."""
    refuse_change(request.app.state, name)
    body = await _read(request)
    # Files in base64 may be long.
    given = await asyncio.to_thread(read_load_request, body)
    await request.app.state.repository.load(name, given.files, given.config)


@router.post("/models/{name}/unload", openapi_extra=_body(parameters=_UNLOAD))
async def unload(request: Request, name: str) -> None:
    """Unload a model; it stays so until it is loaded by request. Off unless the operator turns it on."""
    refuse_change(request.app.state, name)
    read_unload_request(await _read(request))
    await request.app.state.repository.unload(name)


def index(state: State, *, only_ready: bool) -> list[IndexEntry]:
    """Every version on disk, or those that are served."""
    repository: Repository = state.repository
    lines = repository.listing()
    return [IndexEntry(**line._asdict()) for line in lines if line.state == "READY" or not only_ready]


def refuse_change(state: State, name: str) -> None:
    """Refuse to load or unload where that is not allowed.

    Raises:
        UnknownModel, RepositoryClosed: as they say.
    """
    repository: Repository = state.repository
    if state.settings.repository_api:
        return
    if name not in repository.models:
        raise UnknownModel(name, repository.names)
    raise RepositoryClosed


async def _read(request: Request) -> bytes:
    return await read_body(request.scope, request.receive, request.app.state.settings.max_body_bytes)
