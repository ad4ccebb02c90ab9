"""Tables in CSV, Arrow and Parquet mean what the same rows mean in JSON."""

import io
import subprocess
import sys
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import FoldserveError, InvalidRows, MalformedBody, TooManyNumbers, TooManyRows
from service.metadata import Written
from service.payloads import columns, tabular
from service.signature import Column, Input, Signature
from tests.service.payloads.tables import MOST, decode, json_rows, outcome, signature, write

BINARY = ["arrow", "parquet"]
ALL = ["csv", *BINARY]
FRAME = pl.DataFrame({"height": [2.5, 4.0], "age": [1, 3]})


@pytest.mark.parametrize("form", ALL)
def test_columns_are_found_by_name_in_any_order(form: str) -> None:
    assert decode(write(FRAME, form), form, signature()).tolist() == [[1.0, 2.5], [3.0, 4.0]]


@pytest.mark.parametrize("form", ALL)
def test_a_bare_model_takes_columns_by_position(form: str) -> None:
    assert decode(write(FRAME, form), form, signature(named=False)).tolist() == [[2.5, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize("form", ALL)
def test_a_model_of_open_width_takes_any_number_of_columns(form: str) -> None:
    model = Signature.of_table("x", "float32", (), None, "y", named=False)
    assert decode(write(FRAME, form), form, model).tolist() == [[2.5, 1.0], [4.0, 3.0]]


@pytest.mark.parametrize(
    ("form", "compression"),
    [("arrow", c) for c in ("uncompressed", "lz4", "zstd")]
    + [("parquet", c) for c in ("uncompressed", "snappy", "gzip", "lz4", "zstd", "brotli")],
)
def test_every_compression_is_read(form: str, compression: str) -> None:
    frame = pl.DataFrame({"age": range(5000), "height": [0.5] * 5000})
    rows = decode(write(frame, form, compression=compression), form, signature())
    assert rows[:, 0].tolist() == list(range(5000))
    assert (rows[:, 1] == 0.5).all()


DTYPES = [pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64]


@pytest.mark.parametrize("form", BINARY)
@pytest.mark.parametrize("dtype", [*DTYPES, pl.Float32, pl.Float64])
def test_every_numeric_dtype_is_read(form: str, dtype: Any) -> None:
    body = write(FRAME.select(pl.col("age", "height").round().cast(dtype)), form)
    assert decode(body, form, signature(dtype="int32")).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("form", ALL)
@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"age": [1.0]}, 'columns: missing "height"'),
        ({"age": [1.0], "height": [2.0], "x": [3.0]}, 'columns: unknown "x"'),
        ({"age": [1.0], "size": [2.0]}, 'columns: missing "height"; unknown "size"'),
        ({"age": [1.0, 2.0], "height": [1.0, None]}, 'row 1, feature "height": expected a number, got null'),
        ({"age": [1.0, float("nan")], "height": [1.0, 2.0]}, 'row 1, feature "age": expected a finite'),
        ({"age": [-float("inf")], "height": [1.0]}, 'row 0, feature "age": -Infinity is outside the range'),
        ({"age": [1e39], "height": [1.0]}, r'feature "age": 1e\+39 is outside the range of float32'),
    ],
)
def test_tables_that_do_not_fit_are_named(form: str, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRows, match=message):
        decode(write(pl.DataFrame(columns), form), form, signature())


@pytest.mark.parametrize("form", ALL)
def test_a_table_without_rows_is_refused(form: str) -> None:
    with pytest.raises(InvalidRows, match="no rows"):
        decode(write(FRAME.clear(), form), form, signature())
    with pytest.raises(InvalidRows, match="exactly 3 rows, got 2"):
        decode(write(FRAME, form), form, signature(rows=3))


@pytest.mark.parametrize("form", BINARY)
@pytest.mark.parametrize("values", [["1", "2"], [True, False], [b"1", b"2"], [[1.0], [2.0]], [{"a": 1}] * 2])
def test_columns_of_another_type_are_refused_by_name(form: str, values: list[Any]) -> None:
    frame = pl.DataFrame({"age": [1.0, 2.0], "height": values})
    with pytest.raises(InvalidRows, match="expected numbers"):
        decode(write(frame, form), form, signature())


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_dates_are_no_numbers(form: str) -> None:
    frame = FRAME.with_columns(age=pl.Series([1, 2]).cast(pl.Date))
    with pytest.raises(
        InvalidRows, match='row 0, feature "age": expected a number, got the string "1970-01-0'
    ):
        decode(write(frame, form), form, signature())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"age,height\n1,x\n", 'row 0, feature "height": expected a number, got the string "x"'),
        (b"age,height\n1,true\n", 'got the string "true"'),
        (b"age,height\n1,1_000\n", 'got the string "1_000"'),
        (b'age,height\n1,""\n', 'got the string ""'),
        (b"age,height\n1\n", "row 0: expected 2 features, got 1"),
        (b"age,height\n1,2\n1\n", "row 1: expected 2 features, got 1"),
        (b"age,height\n1,2\n,\n3,4\n", 'row 1, feature "age": expected a number, got null'),
        (b"age,height\n1,2,3\n", "row 0: expected 2 features, got 3"),
        (b"age,height\n1,2\n1,2,3\n", "row 1: expected 2 features, got 3"),
        (b"age,age\n1,2\n", 'the column "age" is given twice'),
        (b"1,2\n3,4\n", 'the first line of the CSV must name the features: "age", "height"'),
        (b"", "the table is empty"),
        (b"\n\n", "the table is empty"),
    ],
)
def test_csv_that_does_not_fit_is_named(text: bytes, message: str) -> None:
    with pytest.raises(InvalidRows, match=message):
        decode(text, "csv", signature())


@pytest.mark.parametrize("text", [b"\xff\n1\n", b'"age,height\n1,2\n', b"age,height\n1,\xc3\n", b"a\rb\n1\n"])
def test_what_is_no_csv_is_malformed(text: bytes) -> None:
    with pytest.raises((MalformedBody, InvalidRows)):
        decode(text, "csv", signature())


@pytest.mark.parametrize(
    "text",
    [
        b"age,height\r\n1,2.5\r\n3,4\r\n",
        b"\xef\xbb\xbfage,height\n1,2.5\n3,4",
        b'"age","height"\n"1","2.5"\n3,4\n\n\n',
        b"age,height\n 1, 2.5\n3\t,4 \n",
        b"height,age\n+2.5,1e0\n4.,03\n",
    ],
)
def test_csv_may_be_written_in_any_usual_way(text: bytes) -> None:
    assert decode(text, "csv", signature()).tolist() == [[1.0, 2.5], [3.0, 4.0]]


def test_a_bare_model_sees_for_itself_whether_csv_has_a_header() -> None:
    bare = signature(named=False)
    assert decode(b"1,2\n3,4\n", "csv", bare).tolist() == [[1, 2], [3, 4]]
    assert decode(b"a,b\n3,4\n", "csv", bare).tolist() == [[3, 4]]
    assert decode(b"1,2\n3,4\n", "csv", bare, header="present").tolist() == [[3, 4]]
    assert decode(b"1,2\n3,4\n", "csv", bare, header="absent").tolist() == [[1, 2], [3, 4]]
    with pytest.raises(InvalidRows, match="expected 2 features, got 3 columns"):
        decode(b"1,2,3\n", "csv", bare)
    with pytest.raises(InvalidRows, match="the first line of the CSV must name"):
        decode(b"age,height\n3,4\n", "csv", signature(), header="absent")


def test_integers_in_text_are_exact_for_a_model_of_integers() -> None:
    rows = decode(b"age,height\n9007199254740993,1e3\n", "csv", signature(dtype="int64"))
    assert rows.tolist() == [[9007199254740993, 1000]]
    with pytest.raises(InvalidRows, match=r"expected an integer, got 0\.5"):
        decode(b"age,height\n1,0.5\n", "csv", signature(dtype="int64"))


@pytest.mark.parametrize("dtype", [pl.Decimal(20, 3), pl.Int128, pl.UInt128])
def test_wide_numbers_are_read_through_their_digits(dtype: Any) -> None:
    frame = pl.DataFrame({"age": [1], "height": [9007199254740993]}).cast(dtype)
    assert tabular.rows_of(frame, signature(dtype="float64"))["x"].tolist() == [[1.0, 9007199254740992.0]]
    with pytest.raises(InvalidRows, match="got null"):
        tabular.rows_of(frame.vstack(frame.clear(1)), signature())


def test_integers_beyond_int64_are_read_for_a_model_that_takes_them() -> None:
    body = b"age,height\n18446744073709551615,+7\n"
    assert decode(body, "csv", signature(dtype="uint64")).tolist() == [[2**64 - 1, 7]]
    for field in (b"-1", b"1e400", b"9" * 500, b"x", b"1_0", b""):
        with pytest.raises(InvalidRows, match='row 0, feature "age"'):
            decode(b"age,height\n" + field + b",7\n", "csv", signature(dtype="uint64"))


NUMBERS = st.one_of(st.floats(), st.integers(-(2**63), 2**63 - 1).map(float), st.floats(width=32), st.none())


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(NUMBERS, NUMBERS), max_size=5),
    st.sampled_from(["float16", "float32", "float64", "int8", "int64"]),
)
def test_any_table_reads_as_its_json_reads_or_is_refused_like_it(rows: list[Any], dtype: str) -> None:
    model = signature(dtype=dtype)
    frame = pl.DataFrame(rows, schema={"age": pl.Float64, "height": pl.Float64}, orient="row")
    try:
        expected = json_rows([list(row) for row in rows], model)
    except FoldserveError as refusal:
        for form in ALL:
            with pytest.raises(type(refusal)):
                decode(write(frame, form), form, model)
    else:
        for form in ALL:
            assert decode(write(frame, form), form, model).tobytes() == expected.tobytes()


@settings(max_examples=100, deadline=None)
@given(st.text("0123456789.,-+eEaginf \"'\n\r\t_;", max_size=40), st.binary(max_size=20), st.booleans())
def test_any_text_is_refused_or_read_as_python_reads_numbers(text: str, noise: bytes, named: bool) -> None:
    model = signature(named=named)
    outcome(text.encode() + noise, "csv", model)
    outcome(b"age,height\n" + text.encode() + noise, "csv", model)
    rows = outcome(b'age,height\n"' + text.replace('"', "").encode() + b'",1\n', "csv", model)
    if rows is not None:
        assert rows[0, 0] == np.float32(float(text.replace('"', "")))


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(BINARY), st.binary(max_size=64), st.data())
def test_damaged_files_are_refused_or_read_as_sound_rows(
    form: str, noise: bytes, data: st.DataObject
) -> None:
    body = write(FRAME, form, compression=data.draw(st.sampled_from(["uncompressed", "zstd"])))
    outcome(noise, form, signature())
    place = data.draw(st.integers(0, len(body)))
    outcome(body[:place], form, signature())
    outcome(body[:place] + noise + body[place + len(noise) :], form, signature())


@pytest.mark.parametrize("form", BINARY)
def test_a_small_body_that_unpacks_to_a_large_table_is_refused_unread(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zeros = pl.DataFrame({"age": np.zeros(3_000_000), "height": np.zeros(3_000_000)})
    body = write(zeros, form, compression="zstd")
    assert len(body) < 100_000
    monkeypatch.delattr(pl, "read_parquet")
    monkeypatch.delattr(pl, "read_ipc_stream")
    with pytest.raises(TooManyNumbers, match="numbers, the limit is 1000000"):
        decode(body, form, signature())


def test_csv_cannot_grow_by_lines_without_values() -> None:
    with pytest.raises(TooManyNumbers):
        decode(b"age,height\n" + b"\n" * 100 + b"1,2\n", "csv", signature(), most=100)


@pytest.mark.parametrize("form", ALL)
def test_a_very_wide_table_is_refused(form: str) -> None:
    model = Signature.of_table("x", "float32", (), None, "y", named=False)
    wide = pl.DataFrame({f"c{i}": [1.0] for i in range(tabular.MOST_COLUMNS + 1)})
    with pytest.raises(InvalidRows, match="10000"):
        decode(write(wide, form), form, model)


OUTPUT = np.array([[0.1, 0.9], [0.7, 0.3]], np.float32)


def test_predictions_come_back_in_every_form() -> None:
    read = {"csv": pl.read_csv, "arrow": pl.read_ipc_stream, "parquet": pl.read_parquet}
    for form, encode in {
        "csv": tabular.encode_csv,
        "arrow": tabular.encode_arrow,
        "parquet": tabular.encode_parquet,
    }.items():
        frame = read[form](io.BytesIO(encode(OUTPUT, ("no", "yes"))))
        assert frame.columns == ["prediction", "probability_no", "probability_yes"]
        assert frame["prediction"].to_list() == ["yes", "no"]
        shares = frame.select(pl.exclude("prediction")).to_numpy().astype(np.float32)
        assert np.ascontiguousarray(shares).tobytes() == OUTPUT.tobytes()


@pytest.mark.parametrize(
    ("output", "classes", "columns"),
    [
        (OUTPUT, (0, 1), {"prediction": [1, 0]}),
        (OUTPUT, (1, "1"), {"prediction": ["1", "1"]}),
        (OUTPUT[:, :1], None, {"prediction": OUTPUT[:, 0].tolist()}),
        (OUTPUT[:, 0], None, {"prediction": OUTPUT[:, 0].tolist()}),
        (OUTPUT, None, {"prediction_1": OUTPUT[:, 1].tolist()}),
        (OUTPUT.astype("f2"), None, {"prediction": OUTPUT.astype("f2")[:, 0].tolist()}),
        (np.array([["a"], ["b"]], object), None, {"prediction": ["a", "b"]}),
        (np.array(2.0), None, {"prediction": [2.0]}),
        (np.ones((1, 2, 2)), None, {"prediction_3": [1.0]}),
    ],
)
def test_outputs_of_any_kind_make_a_frame(output: Any, classes: Any, columns: dict[str, list[Any]]) -> None:
    frame = tabular.predictions(output, classes)
    for name, values in columns.items():
        assert frame[name].to_list() == values
    assert tabular.encode_csv(output, classes)


def test_serving_json_does_not_load_polars() -> None:
    program = "import sys, service.app; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


PEOPLE = Signature(
    inputs=(Input("age", "float32", (0,)), Input("city", "string", (1,))),
    columns=(Column("age", "float32", missing=True), Column("city", "string", missing=True)),
    rows=None,
    outputs=("y",),
    named=True,
)


def test_a_line_that_ends_early_is_no_row_of_missing_values() -> None:
    with pytest.raises(InvalidRows, match="row 1: expected 2 features, got 1"):
        tabular.decode_csv(b"age,city\n1,Oslo\n2\n", PEOPLE, MOST)
    found = tabular.decode_csv(b"age,city\n1,Oslo\n,\n", PEOPLE, MOST)
    assert np.isnan(found["age"].ravel()[1])
    assert found["city"].ravel().tolist() == ["Oslo", ""]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_text_is_no_number_in_a_form_that_knows_numbers(form: str) -> None:
    body = write(pl.DataFrame({"age": ["40.5"], "city": ["Oslo"]}), form)
    read = tabular.decode_arrow if form == "arrow" else tabular.decode_parquet
    with pytest.raises(InvalidRows, match=r'row 0, feature "age": expected a number, got the string "40\.5"'):
        read(body, PEOPLE, MOST)


def test_categories_are_text() -> None:
    frame = pl.DataFrame({"age": [1.0], "city": ["Oslo"]}).with_columns(pl.col("city").cast(pl.Categorical))
    found = tabular.decode_parquet(write(frame, "parquet"), PEOPLE, MOST)
    assert found["city"].ravel().tolist() == ["Oslo"]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_too_many_rows_are_refused_before_they_are_unpacked(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = write(pl.DataFrame({"age": [1.0] * 11, "height": [1.0] * 11}), form)
    monkeypatch.setattr(pl, "read_ipc_stream", None)
    monkeypatch.setattr(pl, "read_parquet", None)
    read = tabular.decode_arrow if form == "arrow" else tabular.decode_parquet
    with pytest.raises(TooManyRows):
        read(body, signature(), MOST, most_rows=10)


def test_a_csv_may_mark_what_is_missing_and_pad_its_fields_as_the_table_did_that_was_trained_on() -> None:
    number = Column("n", "float32", missing=True, marks=("NA", "?"))
    code = Column("c", "string", missing=True, codes=True, trims=True)
    numbers = pl.Series(["1.5", " NA", "?", None])
    assert np.isnan(values_of(numbers, number)).tolist() == [False, True, True, True]
    assert values_of(pl.Series([" x ", "7.0", "-3.00", "7.5", None]), code).tolist() == [
        "x",
        "7",
        "-3",
        "7.5",
        "",
    ]
    plain = Column("c", "string", missing=True)
    assert values_of(pl.Series([" x ", "7.0"]), plain).tolist() == [" x ", "7.0"]
    with pytest.raises(InvalidRows, match='expected a number, got the string " NA"'):
        values_of(numbers, number._replace(marks=()))
    with pytest.raises(InvalidRows, match="expected a number"):
        values_of(numbers, number, typed=True)


def test_a_csv_may_write_numbers_as_the_table_did_that_was_trained_on() -> None:
    money = Column("n", "float32", missing=True, marks=("free",), written=Written(thousands=",", before="$"))
    given = pl.Series(["$1,234.50", "-$7", "8.25", "free"])
    assert values_of(given, money).tolist()[:3] == [1234.5, -7.0, 8.25]
    with pytest.raises(InvalidRows, match=r'expected a number, got the string "1.234,5"'):
        values_of(pl.Series(["1.234,5"]), money)
    with pytest.raises(InvalidRows, match="expected a number"):
        values_of(given, money, typed=True)


def values_of(series: pl.Series, column: Column, *, typed: bool = False) -> Any:
    block = Input("x", column.dtype, (0,))
    return columns.values(series, Signature((block,), (column,), None, ("y",), True), 0, typed=typed)
