"""The operations of one model: what each door reads and answers, with examples that work as they stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from service.model import ServedModel
from service.openapi import schemas
from service.openapi.sample import FILES, Sample, read_sample
from service.openapi.schemas import Schema, reference
from service.payloads import formats
from service.payloads.oip.datatypes import DATATYPES, dimensions
from service.session import TensorSpec

JSON = "application/json"
BINARY = "application/octet-stream"
_BYTES: Schema = {"schema": {"type": "string", "format": "binary"}}

Content = dict[str, Schema]


class Names(NamedTuple):
    """The names of one model's schemas in the document."""

    row: str
    record: str
    prediction: str
    tensors: str

    @classmethod
    def of(cls, key: str) -> Names:
        """Those that begin with a key of the model's own."""
        return cls(f"{key}.Row", f"{key}.Record", f"{key}.Prediction", f"{key}.Tensors")


class ModelDoors:
    """What the document says of one served model."""

    def __init__(self, model: ServedModel, key: str) -> None:
        self._model = model
        self._signature = model.door.signature
        self._names = Names.of(key)
        self._sample = read_sample(model)
        specs = {spec.name: spec for spec in model.session.outputs}
        self._outputs = [specs[name] for name in self._signature.outputs]

    @property
    def schemas(self) -> Mapping[str, Schema]:
        """What the operations refer to."""
        metadata, signature = self._model.metadata, self._signature
        found = {
            self._names.row: schemas.row(signature, metadata),
            self._names.prediction: schemas.prediction(metadata, self._outputs),
        }
        return found | (
            {self._names.record: schemas.record(signature, metadata)} if signature.features else {}
        )

    def predict(self) -> tuple[Content, Content]:
        """What /predict reads and what it answers."""
        rows = {"inputs": schemas.rows_of(self._names.row, self._signature)}
        if not self._signature.rows or self._signature.rows == 1:
            rows["inputs"] = {"anyOf": [rows["inputs"], reference(self._names.row)]}
        choices = [_object(rows, "Rows in feature order")]
        if self._signature.features:
            records = {"records": schemas.rows_of(self._names.record, self._signature)}
            choices.append(_object(records, "Records by feature name"))
        reads = {JSON: {"schema": {"oneOf": choices}}} | self._tables(formats.TABLES)
        writes = {JSON: {"schema": reference(self._names.prediction)}} | _ANSWERED_TABLES
        if self._sample:
            said: dict[str, Any] = {"rows": {"inputs": self._sample.rows}}
            said |= {"records": {"records": self._sample.records}} if self._sample.records[0] else {}
            reads[JSON]["examples"] = _examples(said)
            answer = orjson.loads(self._model.door.encode(*self._sample.outputs))
            writes[JSON]["examples"] = _examples({"answer": answer})
        return reads, writes

    def invocations(self) -> tuple[Content, Content]:
        """What MLflow's door reads and what it answers."""
        rows = schemas.rows_of(self._names.row, self._signature)
        records = schemas.rows_of(self._names.record, self._signature)
        params: Schema = {"type": ["object", "null"], "description": "accepted, without effect"}
        either = {"anyOf": [rows, records]} if self._signature.features else rows
        split = {"columns": {"type": "array", "items": {"type": "string"}}, "data": rows}
        split |= {"index": {"type": "array"}}
        kinds: dict[str, Schema] = {"instances": either, "inputs": either}
        if self._signature.features:
            # The order of `columns` is free, so the values of a row may have any order too.
            split["columns"] = {"const": list(self._signature.features)}
            kinds["dataframe_records"] = records
            kinds["dataframe_split"] = _object(split, required=("columns", "data"))
        doors = [_object({key: kind, "params": params}, required=(key,)) for key, kind in kinds.items()]
        reads = {JSON: {"schema": {"oneOf": doors}}} | self._tables((formats.CSV, formats.PARQUET))
        answer = {"predictions": schemas.predictions(self._model.metadata, self._outputs)}
        writes: Content = {JSON: {"schema": _object(answer)}}
        if self._sample:
            reads[JSON]["examples"] = _examples(_mlflow(self._sample))
            predictions = self._model.door.encode.predictions(self._sample.outputs[0])
            writes[JSON]["examples"] = _examples({"answer": {"predictions": orjson.loads(predictions)}})
        return reads, writes

    def _tables(self, media: Sequence[str]) -> Content:
        """The forms that are no JSON; what cannot stand in a document can be had from the server."""
        content: Content = {}
        for file, form in FILES.items():
            if form not in media or (form == formats.NPY and not self._signature.table):
                continue
            content[form] = {"schema": {"type": "string"}} if form == formats.CSV else dict(_BYTES)
            if self._sample and form == formats.CSV:
                content[form]["examples"] = _examples({"table": self._sample.csv})
            elif self._sample:
                link = f"models/{quote(self._model.name, safe='')}/examples/{file}"
                content[form]["examples"] = {"table": {"externalValue": link}}
        return content


def infer(model: ServedModel, sample: Sample | None) -> tuple[Content, Content]:
    """What the v2 door reads and what it answers."""
    inputs = [schemas.tensor(spec) for spec in model.session.inputs]
    tensors = {"type": "array", "prefixItems": inputs, "minItems": len(inputs), "maxItems": len(inputs)}
    properties = {"id": {"type": "string"}, "parameters": _PARAMETERS, "inputs": tensors}
    properties["outputs"] = {"type": "array", "items": _wanted(model)}
    reads: Content = {JSON: {"schema": _object(properties, required=("inputs",), closed=False)}}
    reads[BINARY] = dict(_BYTES)
    outputs = [_answered(spec) for spec in model.session.outputs if spec.is_tensor]
    answer = {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "id": {"type": "string"},
        "outputs": {"type": "array", "items": {"anyOf": outputs}},
    }
    required = ("model_name", "model_version", "outputs")
    writes: Content = {JSON: {"schema": _object(answer, required=required)}, BINARY: dict(_BYTES)}
    if sample and (tensors_ := sample.tensors):
        reads[JSON]["examples"] = _examples({"tensors": {"id": "42", "inputs": tensors_}})
    return reads, writes


_PARAMETERS: Schema = {
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
    "properties": {
        "binary_data_output": {"type": "boolean"},
        "timeout": {"type": "integer", "minimum": 0, "description": "in microseconds; 0 is none"},
    },
}
_ANSWERED_TABLES: Content = {
    form: {"schema": {"type": "string"}} if form == formats.CSV else _BYTES for form in formats.TABLES
}


def _object(
    properties: Schema, title: str | None = None, required: Sequence[str] = (), *, closed: bool = True
) -> Schema:
    """An object; every property is needed unless it is said which are."""
    schema: Schema = {"type": "object", "properties": properties, "required": list(required or properties)}
    return schema | ({"title": title} if title else {}) | ({"additionalProperties": False} if closed else {})


def _examples(values: Mapping[str, Any]) -> Schema:
    return {name: {"value": value} for name, value in values.items()}


def _mlflow(sample: Sample) -> Mapping[str, Any]:
    rows = {"instances": {"instances": sample.rows}, "inputs": {"inputs": sample.rows}}
    if not sample.records[0]:
        return rows
    split = {"columns": list(sample.signature.features), "data": sample.rows}
    table = {"dataframe_split": {"dataframe_split": split}}
    return table | {"dataframe_records": {"dataframe_records": sample.records}} | rows


def _wanted(model: ServedModel) -> Schema:
    names = [spec.name for spec in model.session.outputs if spec.is_tensor]
    return _object(
        {"name": {"enum": names}, "parameters": {"type": "object"}}, required=("name",), closed=False
    )


def _answered(spec: TensorSpec) -> Schema:
    shape = {"type": "array", "description": f"{dimensions(spec)}, −1 is free"}
    properties = {"name": {"const": spec.name}, "datatype": {"const": DATATYPES[spec.dtype]}, "shape": shape}
    properties["data"] = {"type": "array"}
    properties["parameters"] = {"type": "object"}
    return _object(properties, required=("name", "datatype", "shape"))
