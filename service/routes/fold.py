"""POST /fold: the report of folding an ONNX file, for whoever wants to look before installing anything.

Off unless the operator turns it on. The file is neither kept nor served.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from service import folder
from service.errors import FolderMissing, FoldingClosed
from service.metadata import Folding, Layer
from service.routes.bodies import read_body
from service.routes.hangup import unless_gone
from service.routes.negotiation import JSON
from service.settings import Settings

router = APIRouter(prefix="/fold", tags=["folding"])

_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODY: dict[str, Any] = {"requestBody": {"required": True, "content": {"application/octet-stream": _FILE}}}


class FoldDoor(BaseModel):
    """Whether files are folded here."""

    open: bool
    reason: str | None = None
    """Why not."""
    max_bytes: int


class FoldedUpload(Folding):
    """What folding a file does."""

    folded: int
    """How many normalisations are gone, wholly or up to one Sub."""
    after: tuple[Layer, ...]


@router.get("/state")
async def door(request: Request) -> FoldDoor:
    """Whether ONNX files are folded here, and how large they may be."""
    settings: Settings = request.app.state.settings
    reason = None
    if not settings.fold_uploads:
        reason = str(FoldingClosed())
    elif not folder.is_installed():
        reason = str(FolderMissing())
    return FoldDoor(open=reason is None, reason=reason, max_bytes=settings.max_body_bytes)


@router.post("", response_model=FoldedUpload, openapi_extra=_BODY)
async def fold(request: Request) -> Response:
    """Fold an ONNX file and say what became of each normalisation. Off unless the operator turns it on."""
    settings: Settings = request.app.state.settings
    if not settings.fold_uploads:
        raise FoldingClosed
    if not folder.is_installed():
        raise FolderMissing
    model = await read_body(request.scope, request.receive, settings.max_body_bytes)
    report = await unless_gone(request.receive, request.app.state.folder.report(model))
    return Response(report, media_type=JSON)
