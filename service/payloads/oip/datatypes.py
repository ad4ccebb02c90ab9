"""The protocol's datatypes beside NumPy's, and the sizes a shape stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from service.session import TensorSpec

DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
    "bfloat16": "BF16",
    "string": "BYTES",
}
"""From our names of dtypes to the protocol's."""

INTEGERS = {name: dtype for dtype, name in DATATYPES.items() if dtype.lstrip("u").startswith("int")}
"""From the protocol's names of integers to ours."""

BINARY_ONLY = frozenset({"FP16", "BF16"})
"""The datatypes that have no JSON form."""

LARGEST_EMPTY = 2**20
"""How large the other dimensions of an empty tensor may be, together: they cost the sender nothing, but a
graph that reduces over the empty one would make room for them all."""


def datatype(spec: TensorSpec) -> str:
    """The protocol's name of a tensor's datatype."""
    return DATATYPES[spec.dtype]


def numpy_dtype(spec: TensorSpec) -> np.dtype[np.generic]:
    """The dtype of the array that onnxruntime takes: objects for text."""
    return np.dtype(object if spec.dtype == "string" else spec.dtype)


def dimensions(spec: TensorSpec) -> list[int]:
    """The shape as the protocol writes it, −1 where it is free."""
    return [-1 if size is None else size for size in spec.shape]


def elements(shape: Sequence[int]) -> int:
    """How many elements a shape holds; Python's integers do not overflow."""
    return math.prod(shape)
