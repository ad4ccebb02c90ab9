"""The same rows get the same answers from every door, in every form, and from `foldserve predict`."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import polars as pl
import pytest

from service.metadata import Feature
from service.offline import predict_file
from service.payloads.formats import ARROW, CSV, NPY, PARQUET
from tests import graphs, records
from tests.conftest import Serving
from tests.records import golden, metadata
from tests.service.payloads.tables import npy, write

pytestmark = pytest.mark.anyio

PEOPLE = [
    {"age": 40.5, "score": 0.1, "visits": 3, "vip": True, "city": "Köln"},
    {"age": -1.0, "score": 1e-300, "visits": -(2**40), "vip": False, "city": "北京"},
    {"age": 7.25, "score": 2.0, "visits": 0, "vip": True, "city": "no such place"},
    {"age": 0.0, "score": -0.0, "visits": 1, "vip": False, "city": "1"},
]
MIXED = [
    {"n0": 1.5, "c1": "Oslo", "n2": 2.0},
    {"n0": None, "c1": None, "n2": -3.25},
    {"n0": 4.0, "c1": "elsewhere", "n2": None},
]
NUMBERS = [{"f0": 0.1, "f1": -2.5}, {"f0": 3e-7, "f1": 4.0}]


def people(folder: Path) -> Path:
    return graphs.put(graphs.one_input_per_column(), folder, "m")


def mixed(folder: Path) -> Path:
    kinds = {"n0": "numeric", "c1": "categorical", "n2": "numeric"}
    features = tuple(Feature(name=name, kind=kind, missing=True) for name, kind in kinds.items())  # type: ignore[arg-type]
    document = metadata(3).model_copy(update={"features": features})
    return graphs.put(
        graphs.numeric_and_categorical(graphs.metadata_property(document.model_dump_json())), folder, "m"
    )


def table(folder: Path) -> Path:
    weight = np.array([[2, 0], [0, 2]], np.float32)
    properties = graphs.metadata_property(metadata(2).model_dump_json())
    return graphs.put(graphs.linear(weight, weight[0], softmax=True, properties=properties), folder, "m")


SAID = ["7756", "-3", None, "12", "0"]
"""12 is a code that the model does not know."""


def coded(folder: Path) -> Path:
    document = graphs.metadata_property(records.coded().model_dump_json())
    return graphs.put(graphs.numeric_and_categorical(document, records.CODES), folder, "m")


def in_codes(codes: list[Any]) -> pl.DataFrame:
    return pl.DataFrame({"n0": [1.5, -2.0, 0.0, 3.0, 1.0], "c1": codes, "n2": [2, 1, 0, 5, 7]})


MODELS = {
    "people": (people, PEOPLE),
    "mixed": (mixed, MIXED),
    "coded": (coded, in_codes([7756, -3, None, 12, 0]).to_dicts()),
    "table": (table, NUMBERS),
}


def forms(rows: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every way to say rows to /predict and MLflow: the path and the request."""
    frame = pl.DataFrame(rows)
    reverse = frame.select(frame.columns[::-1])
    split = {"columns": reverse.columns, "data": [list(row) for row in reverse.iter_rows()]}
    lists = [list(row.values()) for row in rows]
    yield "/predict", {"json": {"inputs": lists}}
    yield "/predict", {"json": {"records": [dict(reversed(row.items())) for row in rows]}}
    for form, media in {"csv": CSV, "arrow": ARROW, "parquet": PARQUET}.items():
        yield "/predict", {"content": write(reverse, form), "headers": {"content-type": media}}
    for compression in ("lz4", "zstd"):
        old = {"compression": compression, "compat_level": pl.CompatLevel.oldest()}
        yield "/predict", {"content": write(frame, "arrow", **old), "headers": {"content-type": ARROW}}
    yield "/invocations", {"json": {"dataframe_split": split}}
    yield "/invocations", {"json": {"dataframe_records": rows}}
    yield "/invocations", {"json": {"instances": rows}}
    yield "/invocations", {"json": {"inputs": lists}}
    yield "/invocations", {"json": {"inputs": frame.to_dict(as_series=False)}}
    for form, media in {"csv": CSV, "parquet": PARQUET}.items():
        yield "/invocations", {"content": write(reverse, form), "headers": {"content-type": media}}


def tensors(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The inputs of the v2 door, in JSON where JSON can say them."""
    if name == "table":
        return [tensor("x", "FP32", [list(row.values()) for row in rows])]
    if name in ("mixed", "coded"):
        numbers = [[float("nan") if row[n] is None else row[n] for n in ("n0", "n2")] for row in rows]
        return [
            tensor("numeric", "FP32", numbers),
            tensor("categorical", "BYTES", [["" if r["c1"] is None else str(r["c1"])] for r in rows]),
        ]
    kinds = {"age": "FP32", "score": "FP64", "vip": "BOOL", "city": "BYTES"}
    found = [tensor(name, kind, [[row[name]] for row in rows]) for name, kind in kinds.items()]
    return [*found, tensor("visits", "INT64", [row["visits"] for row in rows])]


def tensor(name: str, kind: str, data: list[Any]) -> dict[str, Any]:
    return {"name": name, "datatype": kind, "shape": list(np.shape(np.array(data, object))), "data": data}


def binary(inputs: list[dict[str, Any]]) -> dict[str, Any]:
    dtypes = {"FP32": "<f4", "FP64": "<f8", "INT64": "<i8", "BOOL": "?"}
    tails, entries = [], []
    for entry in inputs:
        flat = np.array(entry["data"], object).ravel()
        if entry["datatype"] == "BYTES":
            texts = [text.encode() for text in flat]
            tails.append(b"".join(struct.pack("<I", len(text)) + text for text in texts))
        else:
            tails.append(flat.astype(dtypes[entry["datatype"]]).tobytes())
        size = {"parameters": {"binary_data_size": len(tails[-1])}}
        entries.append({key: value for key, value in entry.items() if key != "data"} | size)
    header = json.dumps({"inputs": entries}).encode()
    return {
        "content": b"".join((header, *tails)),
        "headers": {"inference-header-content-length": str(len(header))},
    }


@pytest.mark.parametrize("name", MODELS)
async def test_the_same_rows_get_the_same_answers_everywhere(
    tmp_path: Path, serving: Serving, name: str
) -> None:
    make, rows = MODELS[name]
    path = make(tmp_path)
    async with serving(tmp_path) as client:
        expected = (await client.post("/predict", json={"inputs": [list(r.values()) for r in rows]})).json()
        assert len(expected["predictions"]) == len(expected["probabilities"]) == len(rows)
        for door, request in forms(rows):
            answer = await client.post(door, **request)
            assert answer.status_code == 200, (door, request, answer.text)
            wanted = {
                key: value for key, value in expected.items() if door == "/predict" or key == "predictions"
            }
            assert answer.json() == wanted, (door, request)
        await same_over_v2(client, name, rows, expected)
        await same_in_every_answer(client, rows, expected)
    same_offline(path, tmp_path, rows, expected)


async def same_over_v2(
    client: httpx.AsyncClient, name: str, rows: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    inputs = tensors(name, rows)
    json_has_no_nan = name == "mixed"
    for request in ([] if json_has_no_nan else [{"json": {"inputs": inputs}}]) + [binary(inputs)]:
        answer = await client.post("/v2/models/m/infer", **request)
        assert answer.status_code == 200, answer.text
        outputs = {entry["name"]: entry["data"] for entry in answer.json()["outputs"]}
        probabilities = outputs.get("probabilities", outputs.get("y"))
        assert probabilities == [share for row in expected["probabilities"] for share in row]
        assert outputs.get("label", expected["predictions"]) == expected["predictions"]


async def same_in_every_answer(
    client: httpx.AsyncClient, rows: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    read = {CSV: pl.read_csv, ARROW: pl.read_ipc_stream, PARQUET: pl.read_parquet}
    for media, reader in read.items():
        answer = await client.post("/predict", json={"records": rows}, headers={"accept": media})
        same_frame(reader(io.BytesIO(answer.content)), expected)
    answer = await client.post("/predict", json={"records": rows}, headers={"accept": NPY})
    array = np.load(io.BytesIO(answer.content), allow_pickle=False)
    assert array.tolist() in (expected["predictions"], same_bits(expected["probabilities"]))


def same_offline(path: Path, folder: Path, rows: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    frame = pl.DataFrame(rows)
    frame.write_csv(folder / "rows.csv")
    frame.write_parquet(folder / "rows.parquet")
    for file in ("rows.csv", "rows.parquet"):
        same_frame(predict_file(path, folder / file).frame(), expected)


def same_frame(frame: pl.DataFrame, expected: dict[str, Any]) -> None:
    assert frame["prediction"].to_list() == expected["predictions"]
    shares = frame.select(pl.exclude("prediction")).to_numpy().astype(np.float32)
    assert shares.tolist() == same_bits(expected["probabilities"])


def same_bits(values: list[list[float]]) -> Any:
    """JSON's shortest digits as the float32 they stand for."""
    return np.array(values, np.float32).tolist()


@pytest.mark.parametrize("number", [int, float], ids=["integers", "whole floats"])
async def test_an_integer_says_the_same_as_its_digits_where_categories_are_integers(
    tmp_path: Path, serving: Serving, number: type
) -> None:
    path = coded(tmp_path)
    texts = in_codes(SAID)
    numbers = in_codes([None if text is None else number(text) for text in SAID])
    async with serving(tmp_path) as client:
        expected = (await client.post("/predict", json={"records": texts.to_dicts()})).json()
        assert len({tuple(row) for row in expected["probabilities"]}) == len(SAID)
        requests = [form for form in forms(numbers.to_dicts()) if number is int or not is_csv(form[1])]
        for door, request in requests:
            answer = await client.post(door, **request)
            assert answer.status_code == 200, (door, request, answer.text)
            assert answer.json()["predictions"] == expected["predictions"]
            assert answer.json().get("probabilities", expected["probabilities"]) == expected["probabilities"]
        await same_in_a_tensor_of_integers(client, texts.drop_nulls(), expected)
    numbers.write_parquet(tmp_path / "rows.parquet")
    same_frame(predict_file(path, tmp_path / "rows.parquet").frame(), expected)


async def same_in_a_tensor_of_integers(
    client: httpx.AsyncClient, rows: pl.DataFrame, expected: dict[str, Any]
) -> None:
    wanted = [row for row, said in zip(expected["probabilities"], SAID, strict=True) if said is not None]
    numbers = tensor("numeric", "FP32", rows["n0", "n2"].to_numpy().tolist())
    codes = tensor("categorical", "INT64", [[int(text)] for text in rows["c1"]])
    for request in ({"json": {"inputs": [numbers, codes]}}, binary([numbers, codes])):
        answer = await client.post("/v2/models/m/infer", **request)
        assert answer.status_code == 200, answer.text
        assert answer.json()["outputs"][0]["data"] == [share for row in wanted for share in row]


def is_csv(request: dict[str, Any]) -> bool:
    """A field of a CSV is a text as it stands: 7756.0 is not 7756."""
    return bool(request.get("headers", {}).get("content-type") == CSV)


@pytest.mark.parametrize(
    ("given", "shown"),
    [(7756.5, "the number 7756.5"), (True, "the boolean true"), (1e300, "the number 1e+300")],
)
async def test_what_is_no_integer_is_no_category(
    tmp_path: Path, serving: Serving, given: Any, shown: str
) -> None:
    coded(tmp_path)
    codes = [given] * len(SAID)
    message = f'row 0, feature "c1": expected text or an integer, got {shown}'
    booleans = 'column "c1": expected numbers or text, got booleans'
    async with serving(tmp_path) as client:
        for door, request in forms(in_codes(codes).to_dicts()):
            if not is_csv(request):
                answer = await client.post(door, **request)
                assert answer.status_code == (400 if door == "/invocations" else 422), (door, request)
                assert answer.json()["error"] in (message, booleans), (door, request)


async def test_npy_takes_one_table_of_numbers_only(tmp_path: Path, serving: Serving) -> None:
    for make, rows, status in ((table, NUMBERS, 200), (people, [], 422)):
        make(tmp_path)
        values = np.array([list(row.values()) for row in rows] or [[1.0]])
        async with serving(tmp_path) as client:
            answer = await client.post("/predict", content=npy(values), headers={"content-type": NPY})
            assert answer.status_code == status, answer.text
            if status == 200:
                same = await client.post("/predict", json={"records": rows})
                assert answer.json() == same.json()
            else:
                assert "columns of their own" in answer.json()["error"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"city": 1}, 'row 1, feature "city": expected text, got the number 1'),
    ({"city": None}, 'row 1, feature "city": expected text, got null; this model accepts no missing values'),
    ({"city": True}, 'row 1, feature "city": expected text, got the boolean true'),
    ({"vip": 1}, 'row 1, feature "vip": expected true or false, got the number 1'),
    ({"vip": "true"}, 'row 1, feature "vip": expected true or false, got the string "true"'),
    ({"age": "40"}, 'row 1, feature "age": expected a number, got the string "40"'),
    ({"age": True}, 'row 1, feature "age": expected a number, got the boolean true'),
    ({"age": 1e39}, 'row 1, feature "age": 1e+39 is outside the range of float32'),
    ({"visits": 0.5}, 'row 1, feature "visits": expected an integer, got 0.5'),
    ({"visits": 2**63}, 'row 1, feature "visits": 9223372036854775808 is outside the range of int64'),
    ({"more": 1}, 'row 1: unknown "more"'),
]


@pytest.mark.parametrize(("change", "message"), WRONG)
async def test_a_value_of_another_kind_is_named_by_row_and_feature(
    tmp_path: Path, serving: Serving, change: dict[str, Any], message: str
) -> None:
    people(tmp_path)
    rows = [PEOPLE[0], PEOPLE[1] | change]
    async with serving(tmp_path) as client:
        answer = await client.post("/predict", json={"records": rows})
        assert (answer.status_code, answer.json()["error"]) == (422, message)
        answer = await client.post("/invocations", json={"dataframe_records": rows})
        assert (answer.status_code, answer.json()["error"]) == (400, message)


@pytest.mark.parametrize("form", ["csv", "arrow", "parquet"])
@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("vip", ["yes", "true"], '"vip": expected true or false, got the string "yes"'),
        ("vip", [None, True], '"vip": expected true or false, got null'),
        ("city", [None, "Oslo"], '"city": expected text, got null'),
        ("age", ["x", "1"], '"age": expected a number, got the string "x"'),
        ("visits", [None, 1], '"visits": expected a number, got null'),
    ],
)
async def test_a_column_of_another_kind_is_named(
    tmp_path: Path, serving: Serving, form: str, column: str, values: list[Any], message: str
) -> None:
    people(tmp_path)
    frame = pl.DataFrame(PEOPLE[:2]).with_columns(pl.Series(column, values))
    media = {"csv": CSV, "arrow": ARROW, "parquet": PARQUET}[form]
    async with serving(tmp_path) as client:
        answer = await client.post("/predict", content=write(frame, form), headers={"content-type": media})
    assert answer.status_code == 422
    assert answer.json()["error"].startswith(f"row 0, feature {message}")


async def test_null_is_taken_only_where_values_may_be_missing(tmp_path: Path, serving: Serving) -> None:
    features = (Feature(name="f0", missing=True), Feature(name="f1"))
    document = metadata(2).model_copy(update={"features": features}).model_dump_json()
    graphs.put(
        graphs.linear(
            np.eye(2, dtype=np.float32),
            np.zeros(2, np.float32),
            properties=graphs.metadata_property(document),
        ),
        tmp_path,
        "m",
    )
    async with serving(tmp_path) as client:
        for rows, status in (([[None, 1]], 200), ([[1, None]], 422)):
            assert (await client.post("/predict", json={"inputs": rows})).status_code == status
            array = np.array(rows, np.float32)
            answer = await client.post("/predict", content=npy(array), headers={"content-type": NPY})
            assert answer.status_code == status
            body = struct.pack("<2f", *array[0])
            headers = {"inference-header-content-length": "0"}
            answer = await client.post("/v2/models/m/infer", content=body, headers=headers)
            assert answer.status_code == (200 if status == 200 else 400)


async def test_golden_rows_may_hold_text_and_gaps(tmp_path: Path, serving: Serving) -> None:
    path = mixed(tmp_path)
    rows = [list(row.values()) for row in MIXED]
    outputs = predict_file(path, _written(tmp_path)).outputs.tolist()
    kinds = {"n0": "numeric", "c1": "categorical", "n2": "numeric"}
    features = tuple(Feature(name=name, kind=kind, missing=True) for name, kind in kinds.items())  # type: ignore[arg-type]
    document = metadata(3, golden=golden(rows, outputs)).model_copy(update={"features": features})
    graphs.put(
        graphs.numeric_and_categorical(graphs.metadata_property(document.model_dump_json())), tmp_path, "m"
    )
    async with serving(tmp_path) as client:
        assert (await client.get("/models/m")).json()["default_version"] == 1


def _written(folder: Path) -> Path:
    pl.DataFrame(MIXED).write_parquet(folder / "rows.parquet")
    return folder / "rows.parquet"
