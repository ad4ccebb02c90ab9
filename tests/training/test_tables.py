import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from training.errors import DataError
from training.tables import EMBEDDED, embedded_table, read_table

CSV = "age,height,kind\n1,2.5,a\n3,4.5,b\n"


def csv(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text)
    return path


def test_csv_gz_parquet_and_npz_give_the_same_table(tmp_path: Path) -> None:
    plain = csv(tmp_path, CSV)
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(CSV.encode()))
    columns = tmp_path / "rows.parquet"
    pl.read_csv(plain).write_parquet(columns)
    tables = [read_table(path, "kind") for path in (plain, packed, columns)]
    assert len({table.fingerprint() for table in tables}) == 1
    assert tables[0].features == ("age", "height")
    assert tables[0].X.tolist() == [[1.0, 2.5], [3.0, 4.5]]
    assert tables[0].X.dtype == np.float32
    assert tables[0].y.tolist() == ["a", "b"]
    arrays = tmp_path / "rows.npz"
    np.savez(arrays, X=np.array([[1, 2.5], [3, 4.5]]), kind=np.array(["a", "b"]))
    table = read_table(arrays, "kind")
    assert table.X.tolist() == tables[0].X.tolist()
    assert table.features == ("x0", "x1")


def test_the_target_may_stand_anywhere(tmp_path: Path) -> None:
    table = read_table(csv(tmp_path, "y,a\n0,1\n1,2\n"), "y")
    assert (table.features, table.y.tolist()) == (("a",), [0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("age,kind\n1,a\nold,b\n3,c\n", r"column 'age', row 2: 'old' is not a number \(1 such rows\)"),
        ("age,kind\n1,a\n,b\n", "column 'age', row 2: empty is a missing value"),
        ("age,kind\n1,a\n2,\n", "column 'kind', row 2: empty is a missing target"),
        ("age,kind\n1,a\ninf,b\n", "column 'age', row 2: inf is not a finite number"),
        ("age,kind\n1,a\n1e39,b\n", r"column 'age', row 2: 1e\+39 is outside the range of float32"),
        ("age,size\n1,2\n", "no column named 'kind'; there is 'age', 'size'"),
        ("age,kind\n", "the table has no rows"),
        ("kind\na\nb\n", "no features are left beside the target 'kind'"),
        ("", "cannot be read as a table"),
        ("age,age,kind\n1,2,a\n", "duplicate"),
    ],
)
def test_what_a_table_may_not_have_is_named_by_column_and_row(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        read_table(csv(tmp_path, text), "kind")
    assert "\n" not in str(refusal.value)


def test_a_boolean_is_not_a_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"flag": [True, False], "y": [0, 1]}).write_parquet(path)
    with pytest.raises(DataError, match="column 'flag', row 1: True is not a number"):
        read_table(path, "y")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"X": np.ones((2, 2))}, "expected arrays 'X' and 'y', got 'X'"),
        ({"X": np.ones(2), "y": np.ones(2)}, "expected X numeric"),
        ({"X": np.array([["a"]]), "y": np.ones(1)}, "expected X numeric"),
        ({"X": np.ones((2, 1)), "y": np.ones(3)}, "X has 2 rows, y has 3"),
        ({"X": np.ones((0, 1)), "y": np.ones(0)}, "no rows"),
        ({"X": np.array([[1.0], [np.nan]]), "y": np.ones(2)}, "column 'x0', row 2: nan is not a finite"),
        (
            {"X": np.ones((2, 1)), "y": np.array([1.0, np.inf])},
            "column 'y', row 2: inf is not a finite target",
        ),
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
    for name in ("rows.parquet", "rows.npz", "rows.txt", "rows.csv.gz"):
        (tmp_path / name).write_bytes(b"\x1f\x8bnothing of the kind")
        with pytest.raises(DataError) as refusal:
            read_table(tmp_path / name, "y")
        assert "\n" not in str(refusal.value)
    with pytest.raises(DataError, match="there is no such file"):
        read_table(tmp_path / "absent.csv", "y")


@pytest.mark.parametrize("name", EMBEDDED)
def test_embedded_data_sets_have_names_and_sound_numbers(name: str) -> None:
    table = embedded_table(name)
    assert len(table.features) == table.X.shape[1] == len(set(table.features))
    assert np.isfinite(table.X).all()
    assert len(table.X) > 100


def test_an_unknown_data_set_is_told_what_there_is() -> None:
    with pytest.raises(DataError, match="there is digits, breast-cancer, wine, diabetes"):
        embedded_table("iris")


def test_the_fingerprint_changes_with_any_value_or_name(tmp_path: Path) -> None:
    texts = (CSV, CSV.replace("2.5", "2.6"), CSV.replace("age", "agf"), CSV.replace(",b", ",c"))
    prints = {read_table(csv(tmp_path, text), "kind").fingerprint() for text in texts}
    assert len(prints) == 4
