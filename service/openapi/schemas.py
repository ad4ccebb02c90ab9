"""What a model takes and answers, in JSON Schema: real names, types, ranges and classes.

A range of the training rows is told, not demanded: values outside are accepted. A dtype's own range is both.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from service.metadata import Feature, ModelMetadata
from service.payloads.oip.datatypes import DATATYPES
from service.payloads.values import names
from service.session import TensorSpec
from service.signature import BOOL, FLOATS, NUMERIC, TEXT, Column, Signature

Schema = dict[str, Any]

_MOST_CATEGORIES = 20
_CODE = {"type": "integer", "minimum": -(2**53), "maximum": 2**53}
_NUMBER_OR_NAN = {"type": ["number", "null"], "description": "null for NaN and infinities"}


def dtypes() -> dict[str, Schema]:
    """A schema for the values of each dtype."""
    numbers = {dtype: _number(dtype) for dtype in sorted(NUMERIC)}
    return numbers | {BOOL: {"type": "boolean"}, TEXT: {"type": "string"}}


def reference(name: str) -> Schema:
    """A schema that stands elsewhere in the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def row(signature: Signature, metadata: ModelMetadata | None) -> Schema:
    """A row: values in feature order."""
    width = signature.width
    if width is None:
        return {"type": "array", "minItems": 1, "items": reference(signature.inputs[0].dtype)}
    row: Schema = {"type": "array", "minItems": width, "maxItems": width}
    row["description"] = f"in this order: {names(signature.features, most=100)}"
    if signature.table and not any(column.missing for column in signature.columns):
        return row | {"items": reference(signature.table.dtype)}
    return row | {"prefixItems": _values(signature, metadata), "items": False}


def record(signature: Signature, metadata: ModelMetadata | None) -> Schema:
    """A row: values by feature name."""
    properties = dict(zip(signature.features, _values(signature, metadata), strict=True))
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def rows_of(name: str, signature: Signature) -> Schema:
    """A list of rows, as many as the graph takes."""
    count = {"maxItems": signature.rows} if signature.rows else {}
    return {"type": "array", "items": reference(name), "minItems": signature.rows or 1} | count


def prediction(metadata: ModelMetadata | None, outputs: list[TensorSpec]) -> Schema:
    """The answer of /predict."""
    properties: Schema = {
        "model": {"type": "string"},
        "version": {"type": "integer"},
        "predictions": predictions(metadata, outputs),
    }
    classes = metadata.classes if metadata else None
    if classes is not None or len(outputs) > 1:
        width = {"minItems": len(classes), "maxItems": len(classes)} if classes else {}
        shares = {"type": "array", "items": {"type": "array", "items": _NUMBER_OR_NAN} | width}
        properties["probabilities"] = shares | {"description": "of each class, row by row"}
    if classes is not None:
        properties["classes"] = {"const": list(classes), "description": "the order of the probabilities"}
    return {"type": "object", "properties": properties, "required": list(properties)}


def predictions(metadata: ModelMetadata | None, outputs: list[TensorSpec]) -> Schema:
    """The predictions alone, one for each row."""
    item: Schema = _answer(outputs[0])
    if metadata is not None:
        unit = f", in {metadata.unit}" if metadata.unit else ""
        item = {"enum": list(metadata.classes)} if metadata.classes else dict(_NUMBER_OR_NAN)
        item["description"] = f"{metadata.target}{unit}"
    return {"type": "array", "items": item}


def tensor(spec: TensorSpec) -> Schema:
    """An input of the v2 door, in JSON."""
    shape = [
        {"const": size} if size is not None else {"type": "integer", "minimum": 0} for size in spec.shape
    ]
    items = reference(spec.dtype) if spec.dtype in dtypes() else {}
    properties: Schema = {
        "name": {"const": spec.name},
        "shape": {"type": "array", "prefixItems": shape, "minItems": len(shape), "maxItems": len(shape)},
        "datatype": {"const": DATATYPES.get(spec.dtype, spec.dtype)},
        "parameters": {"type": "object"},
        "data": {
            "type": "array",
            # Nested data are lists of lists.
            "items": {"anyOf": [items, {"type": "array"}]},
            "description": "row by row, flat or nested; absent when the tensor follows in binary form",
        },
    }
    return {"type": "object", "properties": properties, "required": ["name", "shape", "datatype"]}


def _values(signature: Signature, metadata: ModelMetadata | None) -> list[Schema]:
    features = metadata.features if metadata else [None] * len(signature.columns)
    return [_value(column, feature) for column, feature in zip(signature.columns, features, strict=True)]


def _value(column: Column, feature: Feature | None) -> Schema:
    others = [_CODE] * column.codes + [{"type": "null"}] * column.missing
    schema: Schema = {"anyOf": [reference(column.dtype), *others]} if others else reference(column.dtype)
    if feature is not None and (said := _said(feature)):
        schema["description"] = said
    return schema


def _said(feature: Feature) -> str:
    """What the training rows were like."""
    parts = [f"in {feature.unit}"] if feature.unit else []
    if feature.minimum is not None and feature.maximum is not None:
        parts.append(f"{feature.minimum:.6g} to {feature.maximum:.6g} in the training rows")
    if feature.categories:
        parts.append(f"in the training rows: {names(feature.categories, most=_MOST_CATEGORIES)}")
    return ", ".join(parts)


def _number(dtype: str) -> Schema:
    if dtype in FLOATS:
        limits = np.finfo(dtype)
        return {"type": "number", "minimum": float(limits.min), "maximum": float(limits.max)}
    whole = np.iinfo(dtype)
    return {"type": "integer", "minimum": int(whole.min), "maximum": int(whole.max)}


def _answer(spec: TensorSpec) -> Schema:
    """One row of an output."""
    item: Schema = {"type": "string"} if spec.dtype == TEXT else dict(_NUMBER_OR_NAN)
    item = {"type": "boolean"} if spec.dtype == BOOL else item
    for _ in spec.shape[1:]:
        item = {"type": "array", "items": item}
    return item if spec.shape else {}
