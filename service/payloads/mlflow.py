"""MLflow's scoring protocol in JSON: dataframe_split, dataframe_records, instances or inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.errors import InvalidRows
from service.payloads import feeds, rules, strict_json
from service.payloads.values import kind, names, show
from service.signature import Feeds, Signature

KEYS = ("dataframe_split", "dataframe_records", "instances", "inputs")
WANTED = "an object with one of " + ", ".join(KEYS)
_SPLIT = '{"columns": [name, ...], "data": [[value, ...], ...]}'


def decode(body: bytes, signature: Signature) -> Feeds:
    """The rows of a body; `params` are accepted and have no meaning here.

    Raises:
        MalformedBody: it is not JSON.
        InvalidRows: it is JSON, but not rows that fit the signature.
    """
    key, value = _door(strict_json.parse(body, WANTED))
    if key == "dataframe_split":
        return _split(value, signature)
    if key == "inputs" and isinstance(value, dict):
        return _columns(value, signature)
    if key == "dataframe_records" or (isinstance(value, list) and value and isinstance(value[0], dict)):
        return strict_json.of_records(value, signature, key)
    return strict_json.of_lists(value, signature, key)


def encode(predictions: bytes) -> bytes:
    """The answer around a JSON list of predictions."""
    return b'{"predictions":' + predictions + b"}"


def _door(document: Any) -> tuple[str, Any]:
    if not isinstance(document, dict):
        text = f"the body is {kind(document)}, expected an object"
        raise rules.invalid(text, document, WANTED, "body")
    given = [key for key in KEYS if key in document]
    unknown = [key for key in document if key not in (*KEYS, "params")]
    if len(given) != 1 or unknown:
        keys = names(document) or "no keys"
        text = f"the body has {keys}: send exactly one of {', '.join(KEYS)}, and params if you like"
        raise InvalidRows(text, got=keys, wanted=WANTED)
    params = document.get("params")
    if not isinstance(params, dict | None):
        text = f"params is {kind(params)}, expected an object"
        raise rules.invalid(text, params, "an object", "params")
    return given[0], document[given[0]]


def _split(value: Any, signature: Signature) -> Feeds:
    """Columns by name in any order when the model has names, by position when it is bare."""
    door = "dataframe_split"
    if not isinstance(value, dict) or not {"columns", "data"} <= set(value) <= {"columns", "index", "data"}:
        came = names(value) or "no keys" if isinstance(value, dict) else kind(value)
        text = f"{door} has {came}: columns and data are needed, index may be there"
        raise InvalidRows(text, got=came, wanted=_SPLIT, where=door)
    columns = value["columns"]
    if not isinstance(columns, list):
        text = f"columns is {kind(columns)}, expected a list of names"
        raise rules.invalid(text, columns, _SPLIT, f"{door}.columns")
    if not signature.named:
        return strict_json.of_lists(value["data"], signature, f"{door}.data")
    return strict_json.of_lists(_in_order(columns, value["data"], signature), signature, f"{door}.data")


def _in_order(columns: list[Any], data: Any, signature: Signature) -> Any:
    """The data with its columns in the model's order; what is no list of lists is left to be refused."""
    where = "dataframe_split.columns"
    strange = next((name for name in columns if not isinstance(name, str)), None)
    if strange is not None:
        text = f"a column is named {kind(strange)}: the model's features have names"
        raise rules.invalid(text, strange, names(signature.features), where)
    places = {name: index for index, name in enumerate(columns)}
    if len(places) != len(columns):
        twice = next(name for index, name in enumerate(columns) if places[name] != index)
        raise rules.invalid(f"the column {show(twice)} is given twice", twice, "each once", where)
    rules.check_names(places, signature, "columns", where)
    order = [places[name] for name in signature.features]
    if order == sorted(order) or not isinstance(data, list):
        return data
    return [_picked(row, order) for row in data]


def _picked(row: Any, order: list[int]) -> Any:
    return [row[index] for index in order] if isinstance(row, list) and len(row) == len(order) else row


def _columns(value: Mapping[str, Any], signature: Signature) -> Feeds:
    """{"feature": [value, ...], ...}, or a table for each of the graph's inputs under its name."""
    only = signature.inputs[0].name
    if len(signature.inputs) == 1 and set(value) == {only} and _is_table(value[only]):
        return strict_json.of_lists(value[only], signature, f"inputs.{only}")
    if set(value) == {entry.name for entry in signature.inputs} and any(map(_is_table, value.values())):
        value = _out_of_tables(value, signature)
    rules.check_names(value, signature, "inputs", "inputs")
    lengths = {name: _length(name, column) for name, column in value.items()}
    count = next(iter(lengths.values()), 0)
    odd = next((name for name, length in lengths.items() if length != count), None)
    if odd is not None:
        text = f"the columns have {count} values, {show(odd)} has {lengths[odd]}"
        raise InvalidRows(text, got=f"{lengths[odd]} values", wanted=f"{count} values", where=f"inputs.{odd}")
    columns = [
        [rules.value(item, column, row, f"inputs.{column.name}", row) for row, item in enumerate(items)]
        for column, items in ((column, value[column.name]) for column in signature.columns)
    ]
    return feeds.of_rows(list(zip(*columns, strict=True)), signature, "inputs")


def _is_table(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(row, list) for row in value)


def _out_of_tables(value: Mapping[str, Any], signature: Signature) -> Mapping[str, Any]:
    """The columns of tables, by feature; what is no table stays as it is, to be judged as a column."""
    columns = {}
    for entry in signature.inputs:
        table, width = value[entry.name], len(entry.columns)
        for position, index in enumerate(entry.columns):
            name = signature.features[index]
            columns[name] = _column(table, position, width, entry.name) if _is_table(table) else table
    return columns


def _column(table: list[Any], position: int, width: int, name: str) -> list[Any]:
    for index, row in enumerate(table):
        if not isinstance(row, list) or len(row) != width:
            came = f"{len(row)} values" if isinstance(row, list) else kind(row)
            text = f"row {index} of input {show(name)}: expected a list of {width} values, got {came}"
            raise InvalidRows(text, got=came, wanted=f"{width} values", where=f"inputs.{name}[{index}]")
    return [row[position] for row in table]


def _length(name: str, column: Any) -> int:
    if not isinstance(column, list):
        text = f"column {show(name)} is {kind(column)}, expected a list of values"
        raise rules.invalid(text, column, "a list of values", f"inputs.{name}")
    return len(column)
