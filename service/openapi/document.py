"""The whole document: the routes as FastAPI knows them, and in place of the generic predictions one operation
for each served model.

It is made anew when what is served has changed, and only when somebody asks for it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import orjson

from service.errors import FoldserveError, UnsupportedSignature
from service.model import ServedModel
from service.openapi import answers, schemas
from service.openapi.operations import Content, ModelDoors, infer
from service.openapi.sample import read_sample
from service.repository import Repository

Document = dict[str, Any]

_PREDICT, _INFER, _INVOCATIONS = "/models/{name}/predict", "/v2/models/{name}/infer", "/invocations"


class OpenApi:
    """Makes the document and keeps it.

    Args:
        base: makes the document of the routes.
    """

    def __init__(self, base: Callable[[], Document], repository: Repository) -> None:
        self._base = base
        self._repository = repository
        self._made: tuple[object, bytes] | None = None

    def __call__(self) -> Document:
        """The document."""
        document: Document = orjson.loads(self.body())
        return document

    def body(self) -> bytes:
        """The document in JSON."""
        served = list(_served(self._repository))
        key = [self._repository.default, *((m.name, m.version, m.loaded) for m in served)]
        if self._made is None or self._made[0] != key:
            self._made = key, orjson.dumps(self._make(served))
        return self._made[1]

    def _make(self, served: list[ServedModel]) -> Document:
        document = copy.deepcopy(self._base())
        answers.correct(document)
        paths, components = document["paths"], document["components"]["schemas"]
        components |= schemas.dtypes()
        generic = {path: paths.pop(path) for path in (_PREDICT, _INFER) if served and path in paths}
        for index, model in enumerate(served):
            self._add(model, _key(model.name, index), generic, document)
        document["paths"] = dict(sorted(paths.items(), key=lambda item: "{" in item[0]))
        return document

    def _add(self, model: ServedModel, key: str, generic: Document, document: Document) -> None:
        paths, name = document["paths"], quote(model.name, safe="")
        doors = _doors(model, key)
        if doors is not None:
            document["components"]["schemas"] |= doors.schemas
            path = _PREDICT.replace("{name}", name)
            paths[path] = _filled(generic[_PREDICT], doors.predict(), model.name, f"predict_{key}")
            if model.name == self._repository.default:
                for path, content in (("/predict", doors.predict()), (_INVOCATIONS, doors.invocations())):
                    _fill(paths[path]["post"], content)
        path = _INFER.replace("{name}", name)
        sample = read_sample(model) if doors else None
        paths[path] = _filled(generic[_INFER], infer(model, sample), model.name, f"infer_{key}")


def _served(repository: Repository) -> Iterator[ServedModel]:
    for name in repository.names:
        try:
            yield repository.find(name)
        except FoldserveError:
            continue


def _doors(model: ServedModel, key: str) -> ModelDoors | None:
    try:
        return ModelDoors(model, key)
    except UnsupportedSignature:
        return None


def _filled(item: Document, content: tuple[Content, Content], name: str, operation: str) -> Document:
    """A generic path made one model's own."""
    item = copy.deepcopy(item)
    post = item["post"]
    post["parameters"] = [p for p in post.get("parameters", []) if p["in"] != "path"]
    post["operationId"] = operation
    post["summary"] = f"{operation.partition('_')[0].capitalize()} {name}"
    _fill(post, content)
    return item


def _fill(post: Document, content: tuple[Content, Content]) -> None:
    reads, writes = content
    post["requestBody"] = {"required": True, "content": reads}
    post["responses"]["200"]["content"] = writes


def _key(name: str, index: int) -> str:
    """A name for components and operations: letters, digits, dots and dashes, and no other model's."""
    plain = re.sub(r"[^A-Za-z0-9.-]", "_", name)
    return plain if plain == name else f"{plain}_{index}"
