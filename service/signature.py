"""What a served model takes through the doors for tables: columns, and which graph inputs they fill.

A column is one feature: a number, true or false, or text. Two kinds of graphs take tables: those with one 2-D
input, whose second dimension is the columns, and those with several inputs of one or more columns each. The
doors read rows of columns; `Signature.inputs` says which of them go into which input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import UnsupportedSignature
from service.metadata import Feature, ModelMetadata, Written
from service.session import TensorSpec

NUMERIC = frozenset({"float16", "float32", "float64", "int8", "int16", "int32", "int64"}) | frozenset(
    {"uint8", "uint16", "uint32", "uint64"}
)
FLOATS = frozenset({"float16", "float32", "float64"})
BOOL, TEXT = "bool", "string"

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
"""An integer as `str` writes it: "007" and "+1" are texts."""

Array = NDArray[Any]
Feeds = Mapping[str, Array]
"""An array for each graph input; the first dimension of each is the rows."""


class Column(NamedTuple):
    """One feature.

    Attributes:
        dtype: what its values become: a NumPy dtype of numbers, "bool" or "string".
        missing: whether null is accepted. It reaches the graph as NaN, or as the empty text.
        codes: whether the texts that the model knows have integers among them, such as "7756"; then an
            integer stands for its digits.
        trims: whether none of the texts that the model knows has blanks around it; then a CSV may have them.
        marks: texts that stand for a missing number in a CSV.
        written: how numbers are written in a CSV, where not only plainly.
    """

    name: str
    dtype: str
    missing: bool = False
    codes: bool = False
    trims: bool = False
    marks: tuple[str, ...] = ()
    written: Written | None = None


class Input(NamedTuple):
    """One graph input.

    Attributes:
        columns: the places of its columns in a row; empty when the graph leaves their number open.
        flat: whether it has one dimension, the rows, for its one column.
    """

    name: str
    dtype: str
    columns: tuple[int, ...]
    flat: bool = False


@dataclass(frozen=True)
class Signature:
    """One table in.

    Attributes:
        inputs: what the graph takes, in its order.
        columns: what a row holds, in order; empty when the graph leaves their number open.
        rows: how many rows a batch must have; None when any number is accepted.
        outputs: the predictions, and after them the probabilities when the predictions are labels.
        named: whether the names are the model's own rather than made up from positions.
    """

    inputs: tuple[Input, ...]
    columns: tuple[Column, ...]
    rows: int | None
    outputs: tuple[str, ...]
    named: bool

    @classmethod
    def of_table(
        cls, name: str, dtype: str, features: Sequence[str], rows: int | None, output: str, *, named: bool
    ) -> Signature:
        """One 2-D input whose columns have one dtype; without features their number is open."""
        columns = tuple(Column(feature, dtype) for feature in features)
        return cls((Input(name, dtype, tuple(range(len(columns)))),), columns, rows, (output,), named)

    @property
    def width(self) -> int | None:
        """How many features a row has; None when the graph leaves it open."""
        return len(self.columns) or None

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def feature_set(self) -> frozenset[str]:
        """The column names, for comparing with a record's keys."""
        return frozenset(self.features)

    @cached_property
    def table(self) -> Input | None:
        """The only input, when it is one table of numbers."""
        only = self.inputs[0]
        plain = len(self.inputs) == 1 and not only.flat and only.dtype in NUMERIC
        return only if plain else None

    @cached_property
    def dtypes(self) -> frozenset[str]:
        """The dtypes of its columns."""
        return frozenset(entry.dtype for entry in self.inputs)

    @cached_property
    def missing(self) -> Mapping[str, NDArray[np.bool_]]:
        """For each input, which of its columns may be NaN. Shape: (columns,), or () for a flat input."""
        return {
            entry.name: np.array([self.columns[i].missing for i in entry.columns]).reshape(
                () if entry.flat else -1
            )
            for entry in self.inputs
            if any(self.columns[i].missing for i in entry.columns)
        }

    @cached_property
    def coded(self) -> frozenset[str]:
        """The inputs of text all of whose columns may be integers."""
        return frozenset(
            entry.name
            for entry in self.inputs
            if entry.columns and all(self.columns[i].codes for i in entry.columns)
        )

    def column(self, index: int) -> Column:
        """A column; its position is its name when the graph names none."""
        return self.columns[index] if self.columns else Column(str(index), self.inputs[0].dtype)

    def count(self, feeds: Feeds) -> int:
        """How many rows were read."""
        return len(feeds[self.inputs[0].name])


def read_signature(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], metadata: ModelMetadata | None
) -> Signature:
    """The signature of a session.

    Raises:
        UnsupportedSignature: the graph takes something else than rows of columns.
        ValueError: the metadata name other features than the graph takes.
    """
    if not inputs:
        raise UnsupportedSignature("it has 0 inputs")
    for spec in inputs:
        _check_input(spec, alone=len(inputs) == 1)
    sizes = {spec.shape[0] for spec in inputs}
    if len(sizes) > 1:
        raise UnsupportedSignature(f"its {len(inputs)} inputs have different numbers of rows")
    widths = [1 if len(spec.shape) == 1 else spec.shape[1] for spec in inputs]
    features = metadata.features if metadata else None
    blocks, columns = _described(inputs, widths, features) if features else _bare(inputs, widths)
    named = metadata is not None or len(inputs) > 1 or blocks[0].flat
    return Signature(blocks, columns, inputs[0].shape[0], _outputs(outputs, inputs[0].shape[0]), named)


def _check_input(spec: TensorSpec, *, alone: bool) -> None:
    known = spec.dtype in NUMERIC or spec.dtype in (BOOL, TEXT)
    # Beside other inputs a free width does not say which columns belong to which.
    open_width = len(spec.shape) == 2 and spec.shape[1] is None
    if not known or len(spec.shape) not in (1, 2) or (open_width and not alone):
        raise UnsupportedSignature(f"input {spec.name!r} is {spec.dtype} {list(spec.shape)}")


def _bare(
    inputs: Sequence[TensorSpec], widths: Sequence[int | None]
) -> tuple[tuple[Input, ...], tuple[Column, ...]]:
    """Columns named by the graph: by its inputs when each is one column, by position when there is one."""
    if len(inputs) == 1 and len(inputs[0].shape) == 2:
        [spec], [width] = inputs, widths
        columns = tuple(Column(f"f{index}", spec.dtype) for index in range(width or 0))
        return (Input(spec.name, spec.dtype, tuple(range(width or 0))),), columns
    wide = next((s for s, width in zip(inputs, widths, strict=True) if width != 1), None)
    if wide is not None:
        shape = list(wide.shape)
        raise UnsupportedSignature(f"nothing names the columns of input {wide.name!r}, {wide.dtype} {shape}")
    blocks = [Input(spec.name, spec.dtype, (i,), len(spec.shape) == 1) for i, spec in enumerate(inputs)]
    return tuple(blocks), tuple(Column(spec.name, spec.dtype) for spec in inputs)


def _described(
    inputs: Sequence[TensorSpec], widths: Sequence[int | None], features: Sequence[Feature]
) -> tuple[tuple[Input, ...], tuple[Column, ...]]:
    """Columns named by the metadata: each input takes those of its name, else of its kind, in their order."""
    if sum(width or 0 for width in widths) != len(features):
        taken = " + ".join(str(width) for width in widths)
        raise ValueError(f"its metadata name {len(features)} features, its graph takes {taken}")
    places = _by_name(inputs, features) or _by_kind(inputs, widths, features)
    dtypes = {place: spec.dtype for spec in inputs for place in places[spec.name]}
    columns = [_column(feature, dtypes[place]) for place, feature in enumerate(features)]
    blocks = [Input(s.name, s.dtype, places[s.name], len(s.shape) == 1) for s in inputs]
    return tuple(blocks), tuple(columns)


def _column(feature: Feature, dtype: str) -> Column:
    missing = _may_miss(feature, dtype)
    if dtype != TEXT:
        marks = feature.marks if missing else ()
        return Column(feature.name, dtype, missing, marks=marks, written=feature.written)
    texts = feature.categories or ()
    trims = bool(texts) and all(text == text.strip() for text in texts)
    return Column(feature.name, dtype, missing, _has_codes(feature), trims)


def _by_name(inputs: Sequence[TensorSpec], features: Sequence[Feature]) -> dict[str, tuple[int, ...]] | None:
    found = {feature.name: (index,) for index, feature in enumerate(features)}
    same = len(inputs) == len(found) and all(spec.name in found for spec in inputs)
    return {spec.name: found[spec.name] for spec in inputs} if same else None


def _by_kind(
    inputs: Sequence[TensorSpec], widths: Sequence[int | None], features: Sequence[Feature]
) -> dict[str, tuple[int, ...]]:
    left: dict[bool, list[int]] = {True: [], False: []}
    for index, feature in enumerate(features):
        left[feature.kind == "categorical"].append(index)
    if len(inputs) == 1:
        left = {inputs[0].dtype == TEXT: list(range(len(features))), inputs[0].dtype != TEXT: []}
    places = {}
    for spec, width in zip(inputs, widths, strict=True):
        kind = left[spec.dtype == TEXT]
        places[spec.name], kind[: width or 0] = tuple(kind[: width or 0]), []
        if len(places[spec.name]) != width:
            raise ValueError(f"its metadata do not name the {width} features of input {spec.name!r}")
    return places


def _may_miss(feature: Feature, dtype: str) -> bool:
    if feature.missing and dtype not in FLOATS and dtype != TEXT:
        raise ValueError(f"feature {feature.name!r} may be missing, but {dtype} has no value for that")
    return feature.missing


def _has_codes(feature: Feature) -> bool:
    return any(_INTEGER.fullmatch(text) for text in feature.categories or ())


def _outputs(outputs: Sequence[TensorSpec], rows: int | None) -> tuple[str, ...]:
    """The first tensor with a row for each row; probabilities beside it when it is a vector of labels."""
    tensors = [spec for spec in outputs if spec.is_tensor and spec.dtype != "bfloat16"]
    found = [s for s in tensors if not s.shape or s.shape[0] is None or s.shape[0] == rows]
    if not found:
        raise UnsupportedSignature("none of its outputs is a tensor of as many rows as its inputs")
    first = next((spec for spec in found if spec.shape), found[0])
    labels = len(first.shape) == 1 and (first.dtype == TEXT or np.dtype(first.dtype).kind in "iub")
    beside = [s.name for s in found if s.dtype in FLOATS and len(s.shape) == 2] if labels else []
    return (first.name, *beside[:1])
