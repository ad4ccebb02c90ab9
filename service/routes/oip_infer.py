"""POST /v2/models/{name}/infer: the hot path of the protocol."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.types import Scope

from service.errors import UnsupportedMediaType
from service.payloads.oip import Answer, Decoder, InferRequest
from service.routes.bodies import header
from service.routes.hot import INLINE_BYTES, STRICT_BYTES, Call, HotRoute, Reply
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


class InferRoute(HotRoute):
    """The door."""

    packs = True

    def open(self, call: Call) -> None:
        """JSON, bytes, or nothing at all, which is what Triton's client sends."""
        _check_media_type(call.scope)

    async def answer(self, call: Call, _: None) -> Reply:
        """Tensors in, tensors out."""
        watch, tensors = call.watch, call.model.tensors
        json_length = call.header(_JSON_LENGTH)
        request = await _read(call, tensors.decode, json_length)
        if request.timeout is not None:
            watch.limit(request.timeout)
        watch.decode = watch.lap()
        names = [wanted.name for wanted in request.outputs]
        answer = tensors.encode(request, await call.infer(request.feeds, names, request.rows))
        watch.encode = watch.lap()
        return Reply(reply_headers(answer), answer.body)


async def _read(call: Call, decode: Decoder, json_length: str | None) -> InferRequest:
    """The request in a body; a long one is read beside the event loop."""
    if len(call.body) > (STRICT_BYTES if decode.has_text else INLINE_BYTES):
        return await call.beside(decode.apart, call.body, json_length)
    request = decode.usual(call.body, json_length)
    if request is None:
        return await call.strictly(decode.strict, call.body, json_length)
    return request


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


def _check_media_type(scope: Scope) -> None:
    given = header(scope, b"content-type")
    media, _, rest = (given or "").partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    if media.strip().lower() not in ("", JSON, BINARY) or charset not in ("", "utf-8", "utf8"):
        raise UnsupportedMediaType(given, [JSON, BINARY])


def reply_headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    """What an answer says of itself, but for its length."""
    if answer.json_length is None:
        return [(b"content-type", JSON.encode())]
    json_length = (_JSON_LENGTH, str(answer.json_length).encode())
    return [(b"content-type", BINARY.encode()), json_length]
