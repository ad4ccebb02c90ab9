"""POST /predict and its two longer forms: the hot path.

The routes stand in the OpenAPI document like any other, but a request does not pass through FastAPI's
dependency solver or pydantic: `PredictRoute.handle` reads the body once, decodes it once and answers.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from service.errors import UnsupportedMediaType
from service.metadata import Label
from service.repository import Repository
from service.routes.bodies import read_body

JSON = "application/json"
_HEADERS = (b"content-type", JSON.encode())


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
_OPENAPI = {"requestBody": {"required": True, "content": {JSON: {"schema": _REQUEST_SCHEMA}}}}


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
        _check_media_type(scope)
        body = await read_body(scope, receive, state.settings.max_body_bytes)
        if body is None:
            return
        threads: ThreadPoolExecutor = state.threads
        with model.counters.request() as watch:
            rows = door.decode(body)
            watch.rows, watch.compute_input = len(rows), watch.lap()
            output = await model.predict_async(rows, threads)
            watch.compute_infer = watch.lap()
            answer = door.encode(output)
            watch.compute_output = watch.lap()
        length = (b"content-length", str(len(answer)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [_HEADERS, length]})
        await send({"type": "http.response.body", "body": answer})


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
            openapi_extra=_OPENAPI,
            route_class_override=PredictRoute,
            tags=["predict"],
        )


def _check_media_type(scope: Scope) -> None:
    given = next((value for name, value in scope["headers"] if name == b"content-type"), None)
    if given == b"application/json":
        return
    text = given.decode("latin-1") if given is not None else None
    media, _, parameters = (text or "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() != JSON or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(text, [JSON])
