"""POST /predict and its two longer forms: the hot path.

The routes stand in the OpenAPI document like any other, but a request does not pass through FastAPI's
dependency solver or pydantic: `PredictRoute.handle` reads the body once, decodes it once and answers.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.datastructures import State
from starlette.types import Receive, Scope, Send

from service.metadata import Label
from service.model import Door, ServedModel
from service.payloads import formats
from service.repository import Repository
from service.routes.bodies import read_body
from service.routes.negotiation import JSON, Exchange, negotiate
from service.signature import Rows

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


class PredictRoute(APIRoute):
    """A route that answers without FastAPI's request machinery."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors go to the application's table of statuses."""
        if scope["method"] != "POST":
            await super().handle(scope, receive, send)
            return
        state = scope["app"].state
        path: dict[str, str] = scope["path_params"]
        repository: Repository = state.repository
        model = repository.find(path.get("name"), path.get("version"))
        door = model.door
        exchange = negotiate(scope["headers"], FORMS, FORMS)
        body = await read_body(scope, receive, state.settings.max_body_bytes)
        if body is None:
            return
        threads: ThreadPoolExecutor = state.threads
        with model.counters.request() as watch:
            rows = door.decode(body) if exchange.reads == JSON else await _read(door, exchange, body, state)
            watch.rows, watch.compute_input = len(rows), watch.lap()
            output = await model.predict_async(rows, threads)
            watch.compute_infer = watch.lap()
            answer = (
                door.encode(output)
                if exchange.writes == JSON
                else await _write(model, exchange, output, threads)
            )
            watch.compute_output = watch.lap()
        length = (b"content-length", str(len(answer)).encode())
        headers = [_CONTENT_TYPES[exchange.writes], length]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _read(door: Door, exchange: Exchange, body: bytes, state: State) -> Rows:
    """The rows of a table, read beside the event loop."""
    most = formats.most_numbers(state.settings.max_body_bytes)
    header = formats.csv_header(exchange.parameters.get("header"))
    return await asyncio.get_running_loop().run_in_executor(
        state.threads, formats.decode, exchange.reads, body, door.signature, most, header
    )


async def _write(
    model: ServedModel, exchange: Exchange, output: NDArray[Any], threads: ThreadPoolExecutor
) -> bytes:
    """The answer as a table, written beside the event loop."""
    classes = model.metadata.classes if model.metadata else None
    return await asyncio.get_running_loop().run_in_executor(
        threads, formats.encode, exchange.writes, output, classes
    )


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
