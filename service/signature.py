"""What a served model takes through the doors for tables: one 2-D numeric input, rows × features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.errors import UnsupportedSignature
from service.metadata import ModelMetadata
from service.session import TensorSpec

NUMERIC = frozenset({"float16", "float32", "float64", "int8", "int16", "int32", "int64"}) | frozenset(
    {"uint8", "uint16", "uint32", "uint64"}
)

Rows = NDArray[np.generic]
"""A validated batch, (rows, features), in the dtype of the model's input."""


@dataclass(frozen=True)
class Signature:
    """One table in.

    Attributes:
        input: the graph input's name.
        dtype: the NumPy dtype of the input.
        features: the column names, in order; empty when the graph leaves their number open.
        rows: how many rows a batch must have; None when any number is accepted.
        output: the graph output that holds the predictions.
        named: whether the names are the model's own rather than made up from positions.
    """

    input: str
    dtype: str
    features: tuple[str, ...]
    rows: int | None
    output: str
    named: bool

    @property
    def width(self) -> int | None:
        """How many features a row has; None when the graph leaves it open."""
        return len(self.features) or None

    @cached_property
    def feature_set(self) -> frozenset[str]:
        """The column names, for comparing with a record's keys."""
        return frozenset(self.features)

    def feature(self, index: int) -> str:
        """The name of a column, or its position when the graph names none."""
        return self.features[index] if index < len(self.features) else str(index)


def read_signature(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], metadata: ModelMetadata | None
) -> Signature:
    """The signature of a session.

    Raises:
        UnsupportedSignature: the graph takes something else than one 2-D tensor of numbers.
        ValueError: the metadata name another number of features than the graph takes.
    """
    if len(inputs) != 1:
        raise UnsupportedSignature(f"it has {len(inputs)} inputs: {', '.join(i.name for i in inputs)}")
    only = inputs[0]
    if len(only.shape) != 2 or only.dtype not in NUMERIC:
        raise UnsupportedSignature(f"input {only.name!r} is {only.dtype} {list(only.shape)}")
    output = next((o.name for o in outputs if o.is_tensor), None)
    if output is None:
        raise UnsupportedSignature("none of its outputs is a tensor")
    rows, width = only.shape
    features = _features(width, metadata)
    return Signature(only.name, only.dtype, features, rows, output, metadata is not None)


def _features(width: int | None, metadata: ModelMetadata | None) -> tuple[str, ...]:
    if metadata is None:
        return tuple(f"f{index}" for index in range(width or 0))
    if width != len(metadata.features):
        raise ValueError(f"its metadata name {len(metadata.features)} features, its graph takes {width}")
    return tuple(feature.name for feature in metadata.features)
