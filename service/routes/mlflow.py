"""MLflow's scoring protocol: POST /invocations, GET /ping, /health and /version.

The default model answers. Errors have the body of MLflow's own server, `error_code` and `message`, and keep
our facts beside it; where /predict says 422 this door says 400, as that server does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import BaseModel
from starlette.responses import PlainTextResponse

from service import __version__
from service.metadata import Label
from service.model import Door
from service.payloads import formats, mlflow
from service.routes.health import is_ready
from service.routes.hot import Call, HotRoute, Reply
from service.routes.negotiation import JSON, MediaType, content_type
from service.settings import Settings
from service.signature import Feeds

INVOCATIONS = "/invocations"
READS = (JSON, formats.CSV, formats.PARQUET)

_CODES = {
    401: "UNAUTHENTICATED",
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


class InvocationsRoute(HotRoute):
    """The door."""

    def open(self, call: Call) -> tuple[Door, MediaType]:
        """The model must take rows of columns; the form must be one that MLflow's server reads."""
        given = call.header(b"content-type")
        return call.model.door, content_type(given.encode("latin-1") if given else None, READS)

    async def answer(self, call: Call, opened: tuple[Door, MediaType]) -> Reply:
        """Rows in, predictions out."""
        (door, media), watch = opened, call.watch
        feeds = await _read_rows(call, door, media)
        watch.decode = watch.lap()
        signature = door.signature
        output, *_ = await call.infer(feeds, signature.outputs[:1], signature.count(feeds))
        body = mlflow.encode(door.encode.predictions(output))
        watch.encode = watch.lap()
        return Reply([(b"content-type", JSON.encode())], body)


async def _read_rows(call: Call, door: Door, media: MediaType) -> Feeds:
    if media.name == JSON:
        return await call.strictly(mlflow.decode, call.body, door.signature)
    settings: Settings = call.state.settings
    most = formats.most_numbers(settings.max_body_bytes)
    # MLflow's server reads CSV with pandas, to which the first line is always the header.
    given = (media.name, call.body, door.signature, most, "present", settings.max_rows)
    return await call.beside(formats.decode, *given)


def add_invocations_route(app: FastAPI) -> None:
    """Add the scoring route."""

    async def invocations() -> Any:
        """Predict with the default model: the label of each row, or its value for a regression."""

    app.router.add_api_route(
        INVOCATIONS,
        invocations,
        methods=["POST"],
        response_model=Predictions,
        openapi_extra={"requestBody": {"required": True, "content": _CONTENT}},
        route_class_override=InvocationsRoute,
        tags=["mlflow"],
    )


@router.get("/ping", response_class=Response)
@router.get("/health", response_class=Response)
async def ready(request: Request) -> Response:
    """200 when some model answers, else 503; /health/live and /health/ready say the same in JSON."""
    status = 200 if is_ready(request.app.state) else 503
    return Response("\n", status, media_type=JSON)


@router.get("/version", response_class=PlainTextResponse)
async def version() -> Response:
    """The version of foldserve."""
    return PlainTextResponse(__version__)


def refusal(status: int, facts: Mapping[str, str]) -> tuple[int, dict[str, str]]:
    """A refusal as MLflow's server words it: its status, and `error_code` and `message` before the facts."""
    ours = 400 if status == 422 else status
    return ours, {"error_code": _CODES.get(ours, "BAD_REQUEST"), "message": facts["error"], **facts}
