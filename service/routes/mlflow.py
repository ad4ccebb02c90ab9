"""MLflow's scoring protocol: POST /invocations, GET /ping, /health and /version.

The default model answers. Errors have the body of MLflow's own server, `error_code` and `message`, and keep
our facts beside it; where /predict says 422 this door says 400, as that server does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.datastructures import State

from service import __version__
from service.metadata import Label
from service.model import Door
from service.payloads import formats, mlflow
from service.repository import Repository
from service.routes.bodies import read_body
from service.routes.negotiation import JSON, MediaType, content_type

INVOCATIONS = "/invocations"
READS = (JSON, formats.CSV, formats.PARQUET)
INLINE_BYTES = 16 * 1024
"""A longer body is decoded beside the event loop."""

_CODES = {
    404: "RESOURCE_DOES_NOT_EXIST",
    413: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}
_EXAMPLE = {"dataframe_split": {"columns": ["a", "b"], "data": [[1.5, 2.0]]}}
_CONTENT = {
    JSON: {"schema": {"type": "object", "minProperties": 1}, "example": _EXAMPLE},
    formats.CSV: {"schema": {"type": "string"}},
    formats.PARQUET: {"schema": {"type": "string", "format": "binary"}},
}

router = APIRouter(tags=["mlflow"])


class Predictions(BaseModel):
    """The answer: one prediction a row, in the order of the rows."""

    predictions: list[Label | float]


@router.post(
    INVOCATIONS,
    response_model=Predictions,
    openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
)
async def invocations(request: Request) -> Response:
    """Predict with the default model: the label of each row, or its value for a regression."""
    state: State = request.app.state
    repository: Repository = state.repository
    model = repository.find()
    door = model.door
    media = content_type(request.headers.get("content-type", "").encode("latin-1") or None, READS)
    body = await read_body(request.scope, request.receive, state.settings.max_body_bytes)
    if body is None:
        return Response()
    most = formats.most_numbers(state.settings.max_body_bytes)
    if media.name == JSON and len(body) <= INLINE_BYTES:
        rows = mlflow.decode(body, door.signature)
    else:
        loop = asyncio.get_running_loop()
        rows = await loop.run_in_executor(state.threads, _decode, media, body, door, most)
    output = await model.predict_async(rows, state.threads)
    return Response(mlflow.encode(door.encode.predictions(output)), media_type=JSON)


@router.get("/ping")
@router.get("/health")
async def ready(request: Request) -> Response:
    """200 when some model answers, else 503; /health/live and /health/ready say the same in JSON."""
    status = 200 if request.app.state.repository.ready else 503
    return Response("\n", status, media_type=JSON)


@router.get("/version")
async def version() -> Response:
    """The version of foldserve."""
    return Response(__version__, media_type="text/plain")


def refusal(status: int, facts: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    """A refusal as MLflow's server words it: its status, and `error_code` and `message` before the facts."""
    ours = 400 if status == 422 else status
    return ours, {"error_code": _CODES.get(ours, "BAD_REQUEST"), "message": facts["error"], **facts}


def _decode(media: MediaType, body: bytes, door: Door, most: int) -> Any:
    if media.name == JSON:
        return mlflow.decode(body, door.signature)
    # MLflow's server reads CSV with pandas, to which the first line is always the header.
    return formats.decode(media.name, body, door.signature, most, "present")
