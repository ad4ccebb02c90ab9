"""Named arrays → a ModelInferResponse, raw or typed as it is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from service.grpc.decode import CONTENTS
from service.grpc.messages import ModelInferResponse
from service.model import ServedModel
from service.payloads.oip import InferRequest, binary_data
from service.payloads.oip.datatypes import DATATYPES

Array = NDArray[Any]


def encode(model: ServedModel, request: InferRequest, arrays: Sequence[Array]) -> Any:
    """The answer; the arrays are in the order in which the request wants them.

    The protocol knows no mixture: when one output is wanted in binary form, all of them come raw.
    """
    response = ModelInferResponse(
        model_name=model.name, model_version=str(model.version), id=request.id or ""
    )
    raw = any(wanted.binary for wanted in request.outputs)
    for wanted, whole in zip(request.outputs, arrays, strict=True):
        array = model.tensors.encode.shown(wanted, whole)
        dtype = "string" if array.dtype == object else array.dtype.name
        output = response.outputs.add(name=wanted.name, datatype=DATATYPES[dtype], shape=array.shape)
        if raw:
            response.raw_output_contents.append(binary_data.write(array))
        else:
            getattr(output.contents, CONTENTS[dtype]).extend(_elements(array))
    return response


def _elements(array: Array) -> list[Any]:
    values: list[Any] = array.ravel().tolist()
    return [text.encode() for text in values] if array.dtype == object else values
