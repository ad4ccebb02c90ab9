"""POST /predict and its two longer forms: the hot path.

One table in, in any of the forms; one prediction a row out, in any of them.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from numpy.typing import NDArray
from pydantic import BaseModel

from service.metadata import Label
from service.model import Door
from service.payloads import formats
from service.routes.hot import INLINE_BYTES, Call, HotRoute, Reply
from service.routes.negotiation import JSON, Exchange, negotiate
from service.settings import Settings
from service.signature import Feeds

FORMS = (JSON, *formats.TABLES)
"""The media types that are read and written, the usual one first."""

_CONTENT_TYPES = {form: (b"content-type", form.encode()) for form in FORMS} | {
    formats.CSV: (b"content-type", b"text/csv; charset=utf-8; header=present")
}


class Prediction(BaseModel):
    """The answer: one prediction a row, in the order of the rows."""

    model: str
    version: int
    predictions: list[Label | float]
    """The label of each row, or its value for a regression."""
    probabilities: list[list[float]] | None = None
    """The probability of each class, for a classification."""
    classes: list[Label] | None = None
    """The order of the probabilities."""


_ROWS = {"type": "array", "minItems": 1, "items": {"type": "array", "items": {"type": "number"}}}
_REQUEST_SCHEMA = {
    "oneOf": [
        {
            "type": "object",
            "title": "Rows in feature order",
            "properties": {"inputs": _ROWS},
            "required": ["inputs"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "title": "Records by feature name",
            "properties": {
                "records": {
                    "type": "array",
                    "minItems": 1,
                    "items": {"type": "object", "additionalProperties": {"type": "number"}},
                }
            },
            "required": ["records"],
            "additionalProperties": False,
        },
    ]
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_TABLES: dict[str, Any] = dict.fromkeys(formats.TABLES, _BINARY) | {
    formats.CSV: {"schema": {"type": "string"}}
}
_OPENAPI = {"requestBody": {"required": True, "content": {JSON: {"schema": _REQUEST_SCHEMA}} | _TABLES}}


class PredictRoute(HotRoute):
    """The door."""

    def open(self, call: Call) -> tuple[Door, Exchange]:
        """The model must take rows of columns; the forms must be ones we know."""
        return call.model.door, negotiate(call.scope["headers"], FORMS, FORMS)

    async def answer(self, call: Call, opened: tuple[Door, Exchange]) -> Reply:
        """Rows in, predictions out."""
        (door, exchange), watch = opened, call.watch
        feeds = await read_rows(call, door, exchange)
        watch.decode = watch.lap()
        signature = door.signature
        outputs = await call.infer(feeds, signature.outputs, signature.count(feeds))
        body = door.encode(*outputs) if exchange.writes == JSON else await _write(call, exchange, *outputs)
        watch.encode = watch.lap()
        return Reply([_CONTENT_TYPES[exchange.writes]], body)


async def read_rows(call: Call, door: Door, exchange: Exchange) -> Feeds:
    """The rows of a body; a table or a long document is read beside the event loop."""
    if exchange.reads == JSON:
        if len(call.body) > INLINE_BYTES:
            return await call.beside(door.decode.apart, call.body)
        feeds = door.decode.usual(call.body)
        return await call.strictly(door.decode.strict, call.body) if feeds is None else feeds
    settings: Settings = call.state.settings
    most = formats.most_numbers(settings.max_body_bytes)
    header = formats.csv_header(exchange.parameters.get("header"))
    given = (exchange.reads, call.body, door.signature, most, header, settings.max_rows)
    return await call.beside(formats.decode, *given)


async def _write(
    call: Call, exchange: Exchange, output: NDArray[Any], beside: NDArray[Any] | None = None
) -> bytes:
    """The answer as a table, written beside the event loop."""
    classes = call.model.metadata.classes if call.model.metadata else None
    return await call.beside(formats.encode, exchange.writes, output, classes, beside)


def add_predict_routes(app: FastAPI) -> None:
    """Add the three forms of the door."""

    async def default_model() -> Any:
        """Predict with the default model: the only one, or the one named by --default-model."""

    async def named_model(name: str) -> Any:
        """Predict with a model's default version: the highest that is served."""

    async def exact_version(name: str, version: str) -> Any:
        """Predict with one version of a model."""

    for path, endpoint in (
        ("/predict", default_model),
        ("/models/{name}/predict", named_model),
        ("/models/{name}/versions/{version}/predict", exact_version),
    ):
        app.router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            response_model=Prediction,
            responses={200: {"content": _TABLES}},
            openapi_extra=_OPENAPI,
            route_class_override=PredictRoute,
            tags=["predict"],
        )
