"""POST /v2/models/{name}/infer: the hot path of the protocol, past FastAPI's request machinery."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from service.errors import UnsupportedMediaType
from service.model import ServedModel
from service.payloads.oip import Answer
from service.repository import Repository
from service.routes.bodies import header, read_body
from service.routes.oip import RESPONSES

JSON = "application/json"
BINARY = "application/octet-stream"
_JSON_LENGTH = b"inference-header-content-length"

_PARAMETERS = {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
_TENSOR = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
        "datatype": {"type": "string"},
        "parameters": _PARAMETERS,
        "data": {"description": "row by row, flat or nested; absent when the tensor follows in binary form"},
    },
    "required": ["name", "shape", "datatype"],
}
_WANTED = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "parameters": _PARAMETERS},
    "required": ["name"],
}
_REQUEST_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "parameters": _PARAMETERS,
        "inputs": {"type": "array", "items": _TENSOR},
        "outputs": {"type": "array", "items": _WANTED},
    },
    "required": ["inputs"],
}
_ANSWER_SCHEMA = {
    "type": "object",
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {"type": "array", "items": _TENSOR},
    },
    "required": ["model_name", "model_version", "outputs"],
}
_RAW = {"schema": {"type": "string", "format": "binary"}}
_OPENAPI = {
    "requestBody": {"required": True, "content": {JSON: {"schema": _REQUEST_SCHEMA}, BINARY: _RAW}},
    "parameters": [
        {
            "name": "Inference-Header-Content-Length",
            "in": "header",
            "required": False,
            "description": "how many bytes of the body are JSON; 0 for nothing but the only input",
            "schema": {"type": "integer", "minimum": 0},
        }
    ],
    "responses": {
        "200": {
            "description": "the outputs; binary when asked for",
            "content": {JSON: {"schema": _ANSWER_SCHEMA}, BINARY: _RAW},
        }
    },
}


class InferRoute(APIRoute):
    """A route that answers without FastAPI's request machinery."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors go to the application's table of statuses."""
        if scope["method"] != "POST":
            await super().handle(scope, receive, send)
            return
        state = scope["app"].state
        path: dict[str, str] = scope["path_params"]
        repository: Repository = state.repository
        model = repository.find(path["name"], path.get("version"))
        _check_media_type(scope)
        body = await read_body(scope, receive, state.settings.max_body_bytes)
        if body is None:
            return
        answer = await _infer(model, body, header(scope, _JSON_LENGTH), state.threads)
        await send({"type": "http.response.start", "status": 200, "headers": _headers(answer)})
        await send({"type": "http.response.body", "body": answer.body})


def add_infer_routes(app: FastAPI) -> None:
    """Add both forms of the path."""

    async def infer(name: str) -> Any:
        """Run a model's default version: the highest that is served."""

    async def infer_version(name: str, version: str) -> Any:
        """Run one version of a model."""

    for path, endpoint in (
        ("/v2/models/{name}/infer", infer),
        ("/v2/models/{name}/versions/{version}/infer", infer_version),
    ):
        app.router.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            response_model=None,
            responses=RESPONSES,
            openapi_extra=_OPENAPI,
            route_class_override=InferRoute,
            tags=["open inference protocol"],
        )


async def _infer(
    model: ServedModel, body: bytes, json_length: str | None, threads: ThreadPoolExecutor
) -> Answer:
    with model.counters.request() as watch:
        request = model.tensors.decode(body, json_length)
        watch.compute_input = watch.lap()
        names = [wanted.name for wanted in request.outputs]
        arrays, watch.compute_infer = await model.run_async(request.feeds, names, request.rows, threads)
        watch.queue = max(watch.lap() - watch.compute_infer, 0)
        answer = model.tensors.encode(request, arrays)
        watch.compute_output = watch.lap()
        watch.rows = request.rows
        return answer


def _check_media_type(scope: Scope) -> None:
    """JSON, bytes, or nothing at all, which is what Triton's client sends."""
    given = header(scope, b"content-type")
    media, _, rest = (given or "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() not in ("", JSON, BINARY) or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(given, [JSON, BINARY])
    encoding = header(scope, b"content-encoding")
    if encoding not in (None, "", "identity"):
        raise UnsupportedMediaType(f"Content-Encoding {encoding}", ["a body that is not compressed"])


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    length = (b"content-length", str(len(answer.body)).encode())
    if answer.json_length is None:
        return [(b"content-type", JSON.encode()), length]
    json_length = (_JSON_LENGTH, str(answer.json_length).encode())
    return [(b"content-type", BINARY.encode()), length, json_length]
