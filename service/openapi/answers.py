"""Which errors each operation can answer with, and what their bodies look like.

The application says for all its routes together which errors there are; here each keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel

Document = dict[str, Any]


class ErrorBody(BaseModel):
    """What every failed request gets."""

    error: str
    """One line: what came, what was wanted, what to do."""
    got: str
    wanted: str
    where: str


class Error(BaseModel):
    """What every failed request below /v2 gets."""

    error: str


_EVERYWHERE = frozenset({401, 404, 405, 429, 500, 503})
_WITH_A_BODY = frozenset({400, 413, 415, 504})
_MLFLOW = "/invocations"


def failures(body: type[BaseModel], statuses: Iterable[int]) -> dict[int | str, Document]:
    """These errors, for FastAPI's routes.

    By reference: of a class that it is given, FastAPI makes validators anew for each status of each route,
    and never calls them.
    """
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}
    return {status: {"description": _phrase(status), "content": content} for status in statuses}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Client Error"


def correct(document: Document) -> None:
    """Drop the errors that an operation has no use for, and add those that the framework makes."""
    errors = {body.__name__: body.model_json_schema() for body in (ErrorBody, Error)}
    document["components"]["schemas"] |= {"MlflowError": _MLFLOW_ERROR, **errors}
    for path, method, operation in _operations(document):
        responses = operation["responses"]
        body = _error_body(path)
        wanted = _statuses(path, method)
        for status in [s for s in responses if s.isdigit() and int(s) >= 400 and int(s) not in wanted]:
            del responses[status]
        for status, words in ((405, "Method Not Allowed"), (500, "Internal Server Error")):
            responses.setdefault(str(status), {"description": words})["content"] = body
        if path == _MLFLOW:
            for status in (s for s in responses if int(s) >= 400):
                responses[status]["content"] = body


def _operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def _statuses(path: str, method: str) -> frozenset[int]:
    """The errors that may be met there."""
    if method != "post":
        return _EVERYWHERE
    if path.startswith("/v2/repository"):
        return _EVERYWHERE | {400, 403, 413}
    if path == "/fold":
        return _EVERYWHERE | {403, 413, 422}
    if path.endswith("/predict"):
        return _EVERYWHERE | _WITH_A_BODY | {406, 422}
    return _EVERYWHERE | _WITH_A_BODY | ({422} if path.startswith("/v2") else frozenset())


def _error_body(path: str) -> Document:
    name = "MlflowError" if path == _MLFLOW else "Error" if path.startswith("/v2") else "ErrorBody"
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}


_FIELDS = ("error_code", "message", "error", "got", "wanted", "where")
_MLFLOW_ERROR = {
    "type": "object",
    "description": "A refusal as MLflow's server words it, and our facts beside it.",
    "properties": {field: {"type": "string"} for field in _FIELDS},
    "required": list(_FIELDS),
}
