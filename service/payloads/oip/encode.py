"""Named arrays → the answer: JSON, or JSON and after it the binary tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from service.metadata import Label
from service.payloads.oip import binary_data
from service.payloads.oip.classification import top_classes
from service.payloads.oip.datatypes import datatype
from service.payloads.oip.decode import InferRequest, Wanted
from service.session import TensorSpec


class Answer(NamedTuple):
    """The body of an answer, and how much of it is JSON when binary tensors follow."""

    body: bytes
    json_length: int | None


class Encoder:
    """Writes the answers of one model version."""

    def __init__(
        self, name: str, version: int, outputs: Sequence[TensorSpec], labels: Sequence[Label] | None = None
    ) -> None:
        head = orjson.dumps({"model_name": name, "model_version": str(version)})
        self._head = head[:-1]
        self._labels = labels
        self._names: Mapping[str, bytes] = {
            spec.name: orjson.dumps({"name": spec.name, "datatype": datatype(spec)})[:-1]
            for spec in outputs
            if spec.is_tensor
        }
        self._texts: Mapping[str, bytes] = {
            name: orjson.dumps({"name": name, "datatype": "BYTES"})[:-1] for name in self._names
        }

    def __call__(self, request: InferRequest, outputs: Sequence[NDArray[Any]]) -> Answer:
        """The answer; the outputs are in the order in which the request wants them."""
        tails: list[bytes] = []
        entries = [
            self._entry(wanted, array, tails) for wanted, array in zip(request.outputs, outputs, strict=True)
        ]
        given_id = b"" if request.id is None else b',"id":' + orjson.dumps(request.id)
        text = b"".join((self._head, given_id, b',"outputs":[', b",".join(entries), b"]}"))
        binary = any(wanted.binary for wanted in request.outputs)
        return Answer(b"".join((text, *tails)), len(text)) if binary else Answer(text, None)

    def shown(self, wanted: Wanted, array: NDArray[Any]) -> NDArray[Any]:
        """An output as it is wanted: whole, or as the largest of each row."""
        return top_classes(array, wanted.classes, self._labels) if wanted.classes else array

    def _entry(self, wanted: Wanted, array: NDArray[Any], tails: list[bytes]) -> bytes:
        array = self.shown(wanted, array)
        head = (self._texts if wanted.classes else self._names)[wanted.name]
        shape = b',"shape":' + orjson.dumps(array.shape)
        if not wanted.binary:
            return b"".join((head, shape, b',"data":', _json(array), b"}"))
        tails.append(binary_data.write(array))
        size = b',"parameters":{"binary_data_size":%d}}' % len(tails[-1])
        return head + shape + size


def _json(array: NDArray[Any]) -> bytes:
    """The elements in one flat list; JSON has no NaN and no infinity, they become null."""
    if array.dtype == object:
        return orjson.dumps(array.ravel().tolist())
    return orjson.dumps(np.ascontiguousarray(array).reshape(-1), option=orjson.OPT_SERIALIZE_NUMPY)
