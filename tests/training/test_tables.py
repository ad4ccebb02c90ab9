import csv as csv_module
import gzip
import io
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import DataError
from training.tables import EMBEDDED, Reading, embedded_table, read_table
from training.tables.table import MARKS, Kind

CSV = "age,height,kind\n1,2.5,a\n3,4.5,b\n"


def csv(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_every_kind_of_file_gives_the_same_table(tmp_path: Path) -> None:
    plain = csv(tmp_path, CSV)
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(CSV.encode()))
    frame = pl.read_csv(plain)
    frame.write_parquet(tmp_path / "rows.parquet")
    frame.write_ipc(tmp_path / "rows.feather")
    frame.write_ipc_stream(tmp_path / "rows.arrow")
    names = ("rows.csv", "rows.csv.gz", "rows.parquet", "rows.feather", "rows.arrow")
    tables = [read_table(tmp_path / name, "kind") for name in names]
    assert len({table.fingerprint() for table in tables}) == 1
    assert tables[0].frame.equals(frame)
    np.savez(tmp_path / "rows.npz", X=frame[:, :2].to_numpy(), kind=frame["kind"].to_numpy().astype(str))
    table = read_table(tmp_path / "rows.npz", "kind")
    assert table.names == ["x0", "x1", "kind"]
    assert table.frame.rows() == frame.rows()


def test_vectors_alone_are_columns_of_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", a=np.array([1.0, np.nan]), y=np.array([True, False]))
    table = read_table(tmp_path / "rows.npz", "y")
    assert table.frame.to_dict(as_series=False) == {"a": [1.0, None], "y": [True, False]}


def test_the_target_may_stand_anywhere(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, "y,a\n0,1\n1,2\n"), "y").names == ["y", "a"]


DIALECTS = {
    "semicolons": "age;height;kind\n1;2.5;a, b\n3;4.5;c, d\n",
    "tabs": "age\theight\tkind\n1\t2.5\ta, b\n3\t4.5\tc, d\n",
    "pipes": "age|height|kind\n1|2.5|a, b\n3|4.5|c, d\n",
    "quotes": '"age","height","kind"\n1,2.5,"a, b"\n3,4.5,"c, d"\n',
    "single quotes": "'age','height','kind'\n'1','2.5','a, b'\n'3','4.5','c, d'\n",
    "blanks": 'age  height kind\n 1 2.5\t"a, b"\n3   4.5  "c, d"\n',
    "blanks around fields": 'age, height , "kind"\n1 , 2.5, "a, b"\n 3, 4.5, "c, d" \n',
    "windows": "age;height;kind\r\n1;2.5;a, b\r\n3;4.5;c, d\r\n",
    "a byte order mark": "\ufeffage;height;kind\n1;2.5;a, b\n3;4.5;c, d\n",
    "a comma before decimals": "age;height;kind\n1;2,5;a, b\n3;4,5;c, d\n",
    "comments and blank lines": "# from the lab\n\nage;height;kind\n1;2.5;a, b\n\n3;4.5;c, d\n\n",
    "what Excel writes first": "sep=;\nage;height;kind\n1;2.5;a, b\n3;4.5;c, d\n",
    "a title": "Heights of all\nage;height;kind\n1;2.5;a, b\n3;4.5;c, d\n",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_how_a_csv_is_written_is_found_out(tmp_path: Path, name: str) -> None:
    table = read_table(csv(tmp_path, DIALECTS[name], "rows.txt"), "kind")
    assert table.frame.to_dict(as_series=False) == {
        "age": [1, 3],
        "height": [2.5, 4.5],
        "kind": ["a, b", "c, d"],
    }


def test_a_name_with_a_line_break_is_a_name(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, '"a\nx",b\n1,2\n'), "b").names == ["a\nx", "b"]


LETTERS = st.sampled_from("abcé,;|\t\n'\" .1")
FIELDS = (
    st.text(LETTERS, min_size=1, max_size=6)
    .map(str.strip)
    .filter(
        # In a short file a text that is nothing but apostrophes at both ends is a quoted one.
        lambda text: text not in ("", *MARKS) and not (text[0] == text[-1] == "'")
    )
)


@settings(deadline=None)
@given(
    st.lists(st.tuples(FIELDS, st.integers(), st.none() | FIELDS), min_size=1, max_size=30),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_what_a_csv_writer_wrote_is_read_again(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, int, str | None]],
    delimiter: str,
    ending: str,
    packed: bool,
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    written = io.StringIO()
    writer = csv_module.writer(written, delimiter=delimiter, lineterminator=ending)
    writer.writerows([("text", "number", "maybe"), *rows])
    content = written.getvalue().encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    kinds: dict[str, Kind] = {"text": "categorical", "maybe": "categorical"}
    reading = Reading(delimiter=delimiter, header=True, skip_lines=0, kinds=kinds)
    table = read_table(path, "number", reading)
    assert table.frame["text"].to_list() == [text for text, _, _ in rows]
    assert table.frame["maybe"].to_list() == [maybe for _, _, maybe in rows]
    assert table.frame["number"].to_list() == pytest.approx([number for _, number, _ in rows])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["x", "y y", "z-z"]), st.integers(-99, 99), st.floats(-9, 9)), min_size=2
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from([csv_module.QUOTE_ALL, csv_module.QUOTE_MINIMAL]),
    st.booleans(),
)
def test_an_ordinary_csv_is_read_without_being_told_how(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, int, float]],
    delimiter: str,
    quoting: Literal[0, 1],
    header: bool,
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    with path.open("w", newline="") as opened:
        writer = csv_module.writer(opened, delimiter=delimiter, quoting=quoting)
        writer.writerows([("name", "count", "size"), *rows] if header else rows)
    table = read_table(path, None)
    assert table.names == (["name", "count", "size"] if header else ["x0", "x1", "x2"])
    assert table.frame.rows() == rows


def test_what_was_guessed_about_a_file_is_said(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, "Heights of all\n1;2.5\n3;4.5\n"), None)
    assert table.notes == (
        "rows.csv: skipped before the table, 1 of its lines: 'Heights of all'",
        "rows.csv: fields are separated by ';'",
        "rows.csv: no header found; its columns are x0 to x1 unless --columns names them",
    )
    assert read_table(csv(tmp_path, CSV), "kind").notes == ()


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("age,kind\n1,a\n2,b\n", True),
        ("1,a\n2,b\n", False),
        ("0,1,2\n5.5,6.5,7.5\n", True),
        ("kind,size\na,small\nb,large\n", True),
        ("p,x,s\ne,x,s\np,f,y\ne,x,y\n", False),
        ("a,?,1.5\nb,2,2.5\n", False),
        ("Month,Day,2019,2020\nJanuary,1,1.5,2.5\n", True),
    ],
)
def test_a_header_is_told_from_a_row(tmp_path: Path, text: str, header: bool) -> None:
    table = read_table(csv(tmp_path, text), None)
    assert len(table) == text.count("\n") - header


def test_a_first_line_that_holds_the_target_is_a_header(tmp_path: Path) -> None:
    assert read_table(csv(tmp_path, "2001,2002\n1.5,2.5\n"), "2002").names == ["2001", "2002"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('"a" "y"\n"1" 2.5 0\n"2" 3.5 1\n', ["unnamed_0", "a", "y"]),
        ("a,y\nr1,2.5,0\nr2,3.5,1\n", ["unnamed_0", "a", "y"]),
        ("a,y\n2.5,0,\n3.5,1,\n", ["a", "y", "unnamed_2"]),
    ],
)
def test_rows_may_have_a_field_more_than_the_header(tmp_path: Path, text: str, names: list[str]) -> None:
    table = read_table(csv(tmp_path, text), "y")
    assert table.names == names
    assert table.frame["a"].to_list() == [2.5, 3.5]
    assert table.frame["y"].to_list() == [0, 1]
    assert any("rows have a field more than the header" in note for note in table.notes)


def test_the_dialect_can_be_given(tmp_path: Path) -> None:
    path = csv(tmp_path, "made by hand\n1,2,x|a\n3,4,y|b\n")
    reading = Reading(delimiter="|", header=False, columns=("n", "y"), skip_lines=1)
    table = read_table(path, "y", reading)
    assert table.frame.to_dict(as_series=False) == {"n": ["1,2,x", "3,4,y"], "y": ["a", "b"]}
    assert table.notes == ()
    header = Reading(header=True)
    assert read_table(csv(tmp_path, "1,2\n3,4\n"), None, header).names == ["1", "2"]


def test_names_given_for_a_file_that_has_them_do_not_make_a_row_of_its_header(tmp_path: Path) -> None:
    reading = Reading(columns=("age", "height", "kind"))
    assert len(read_table(csv(tmp_path, CSV), "kind", reading)) == 2
    with pytest.raises(DataError, match="--columns names 2 columns, its lines have 3 fields"):
        read_table(csv(tmp_path, CSV), "kind", Reading(columns=("age", "kind")))


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "", "-3"], [1, None, -3]),
        (["1", "?", "2.5"], [1.0, None, 2.5]),
        (["1e3", "NaN", ".5"], [1000.0, None, 0.5]),
        (["a", "NA", "b"], ["a", None, "b"]),
        (["007", "010", "011"], ["007", "010", "011"]),
        (['"1,000"', '"12,500.5"', "7"], [1000.0, 12500.5, 7.0]),
        ([*map(str, range(9)), "unknown"], [*range(9), None]),
        ([*map(str, range(9)), "10+"], [*map(str, range(9)), "10+"]),
        (["1", "2", "x", "y"], ["1", "2", "x", "y"]),
        (["true", "False"], ["true", "False"]),
        (["12345678901234567890", "1"], [12345678901234567890.0, 1.0]),
    ],
)
def test_a_text_becomes_what_it_says(tmp_path: Path, texts: list[str], values: list[object]) -> None:
    table = read_table(csv(tmp_path, "a,y\n" + "".join(f"{text},1\n" for text in texts)), "y")
    assert table.frame["a"].to_list() == values


def test_numbers_that_a_typed_file_holds_as_text_are_numbers_and_said_to_be_so(tmp_path: Path) -> None:
    pl.DataFrame({"a": ["1", "?"], "y": [0, 1]}).write_parquet(tmp_path / "rows.parquet")
    table = read_table(tmp_path / "rows.parquet", "y")
    assert table.frame["a"].to_list() == [1, None]
    assert table.remark("a").note == "holds numbers as text"


def test_marks_for_missing_are_remembered_and_can_be_chosen(tmp_path: Path) -> None:
    path = csv(tmp_path, "a,b\n?,1\nNA,2\nx,?\nnone,4\n")
    table = read_table(path, "b")
    assert table.frame["a"].to_list() == [None, None, "x", "none"]
    assert table.remark("a").marks == ("?", "NA")
    chosen = read_table(path, "b", Reading(missing=("none", "?")))
    assert chosen.frame["a"].to_list() == [None, "NA", "x", None]
    assert chosen.remark("b").marks == ("?",)


def test_words_among_numbers_are_read_as_missing_and_remembered(tmp_path: Path) -> None:
    path = csv(tmp_path, "a,b\n" + "".join(f"{i},1\n" for i in range(30)) + "unknown,1\nold,2\n")
    table = read_table(path, "b")
    assert table.frame["a"].null_count() == 2
    assert table.remark("a").words == ("old", "unknown")
    kept = read_table(path, "b", Reading(kinds={"a": "categorical"}))
    assert kept.frame["a"][-1] == "old"
    with pytest.raises(DataError, match=r"column 'a', row 31: 'unknown' is not a number \(2 such rows\)"):
        read_table(path, "b", Reading(kinds={"a": "numeric"}))


def test_several_files_are_one_table_in_the_order_of_the_first_ones_columns(tmp_path: Path) -> None:
    one = csv(tmp_path, CSV, "one.csv")
    two = csv(tmp_path, "kind;age;height\nc;5;old\n", "two.csv")
    assert read_table([one, two], "kind").frame.rows() == [
        (1, "2.5", "a"),
        (3, "4.5", "b"),
        (5, "old", "c"),
    ]
    pl.DataFrame({"kind": [None, "d"], "height": [None, 1], "age": [None, 2.5]}).write_parquet(
        tmp_path / "three.parquet"
    )
    mixed = read_table([one, tmp_path / "three.parquet"], "kind")
    assert mixed.frame.rows()[-1] == (2.5, 1.0, "d")
    empty = csv(tmp_path, "age,height,kind\n1,2,\n", "empty.csv")
    assert read_table([empty, tmp_path / "three.parquet"], "kind").frame["kind"].to_list() == [
        None,
        None,
        "d",
    ]


def test_several_files_with_other_columns_or_types_are_refused_with_their_names(tmp_path: Path) -> None:
    one = csv(tmp_path, CSV, "one.csv")
    with pytest.raises(
        DataError, match=r"two.csv: columns differ from .*one.csv: missing 'height', unknown 'h'"
    ):
        read_table([one, csv(tmp_path, "age,h,kind\n1,2,a\n", "two.csv")], "kind")
    pl.DataFrame({"age": ["x"], "height": [1], "kind": ["d"]}).write_parquet(tmp_path / "three.parquet")
    with pytest.raises(DataError, match=r"column 'age' is Int64 in .*one.csv and String in .*three.parquet"):
        read_table([one, tmp_path / "three.parquet"], "kind")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,size\n1,2\n", "no column named 'kind'; there is 'age', 'size'"),
        ("age,kind\n", "the table has no rows"),
        ("", "cannot be read as a table: it is empty"),
        ("\n\n", "cannot be read as a table: it is empty"),
        ("age,age,kind\n1,2,a\n", "duplicate column names 'age'; every name may stand once"),
        ("age, age,kind\n1,2,a\n", "duplicate column names 'age'"),
        ("age,kind\n1,a\n2,b,c\n", "line 3 has 3 fields, expected 2"),
        ("age,kind,y\n1,a\n2,kind,c\n3,a,b\n", "line 2 has 2 fields, expected 3"),
        ("1,2\n3,4\n", "no column named 'kind'; there is 'x0', 'x1' .*no header found"),
    ],
)
def test_what_a_table_may_not_have_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        read_table(csv(tmp_path, text), "kind")
    assert "\n" not in str(refusal.value)


def test_lines_are_counted_from_the_top_of_the_file(tmp_path: Path) -> None:
    path = csv(tmp_path, "# one\n# two\nage,kind,y\n1,a,2\n2,b\n3,c,4\n")
    with pytest.raises(DataError, match="line 5 has 2 fields, expected 3"):
        read_table(path, "y")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.ones((2, 2))}, "expected arrays 'X' and 'y', got 'X'"),
        ({"X": np.ones(2), "y": np.ones(2)}, "expected X numeric"),
        ({"X": np.array([["a"]]), "y": np.ones(1)}, "expected X numeric"),
        ({"X": np.ones((2, 1)), "y": np.ones(3)}, "X has 2 rows, y has 3"),
        ({"X": np.ones((0, 1)), "y": np.ones(0)}, "no rows"),
        ({"X": np.ones((2, 1)), "x0": np.ones(2), "y": np.ones(2)}, "duplicate column names 'x0'"),
    ],
)
def test_arrays_of_another_form_are_refused(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    path = tmp_path / "rows.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=message):
        read_table(path, "y")


def test_files_that_are_no_tables_are_refused_in_one_line(tmp_path: Path) -> None:
    names = ("rows.parquet", "rows.npz", "rows.txt", "rows.csv.gz", "rows.arrow", "rows.feather", "rows.xlsx")
    for name in names:
        (tmp_path / name).write_bytes(b"\x1f\x8bnothing of the kind")
        with pytest.raises(DataError) as refusal:
            read_table(tmp_path / name, "y")
        assert "\n" not in str(refusal.value)
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "absent.csv", "y")
    with pytest.raises(DataError, match="it is a folder"):
        read_table(tmp_path, "y")
    (tmp_path / "rows.data").write_bytes(b"a,b\n1,\x00\n")
    with pytest.raises(DataError, match="bytes that are no text"):
        read_table(tmp_path / "rows.data", "b")


def test_another_encoding_is_read_and_said(tmp_path: Path) -> None:
    text = "größe,y\n1,ä\n2,b\n"
    for encoding, note in (("cp1252", "read as Windows-1252"), ("utf-16", "read as UTF-16")):
        (tmp_path / "rows.csv").write_bytes(text.encode(encoding))
        table = read_table(tmp_path / "rows.csv", "y")
        assert table.frame.to_dict(as_series=False) == {"größe": [1, 2], "y": ["ä", "b"]}
        assert note in table.notes[0]


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_sets_have_names_and_sound_numbers(name: str) -> None:
    table = embedded_table(name)
    assert table.names[-1] == EMBEDDED[name]
    assert all(np.isfinite(column.to_numpy()).all() for column in table.frame[:, :-1])
    assert len(table) > 100


def test_an_unknown_data_set_is_told_what_there_is() -> None:
    with pytest.raises(DataError, match="there is digits, breast-cancer, wine, diabetes"):
        embedded_table("iris")


def test_the_fingerprint_changes_with_any_value_or_name(tmp_path: Path) -> None:
    changes = (("2.5", "2.6"), ("age", "agf"), (",b", ",c"), ("3,", ","), (",a", ","), ("1,", "0,"))
    texts = (CSV, *(CSV.replace(*change) for change in changes))
    prints = {read_table(csv(tmp_path, text), "kind").fingerprint() for text in texts}
    assert len(prints) == len(texts)
