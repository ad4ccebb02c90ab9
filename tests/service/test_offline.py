import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from service.errors import UnreadableTable
from service.metadata import Feature
from service.offline import CHUNK, predict_file, write
from tests import graphs
from tests.records import metadata

WEIGHT = np.array([[2, 0], [0, 2]], np.float32)


@pytest.fixture
def named(tmp_path: Path) -> Path:
    properties = graphs.metadata_property(metadata(2).model_dump_json())
    model = graphs.linear(WEIGHT, np.zeros(2, np.float32), softmax=True, properties=properties)
    return graphs.put(model, tmp_path, "named")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return graphs.put(graphs.linear(WEIGHT, np.ones(2, np.float32)), tmp_path, "bare")


def table(folder: Path, text: str) -> Path:
    path = folder / "rows.csv"
    path.write_text(text)
    return path


def test_columns_are_found_by_name_in_any_order_and_the_rest_is_ignored(named: Path, tmp_path: Path) -> None:
    rows = table(tmp_path, "id,f1,f0\nx,0,1\ny,1,0\n")
    frame = predict_file(named, rows).frame()
    assert frame.columns == ["prediction", "probability_no", "probability_yes"]
    assert frame["prediction"].to_list() == ["no", "yes"]
    assert frame["probability_no"].dtype == pl.Float32


def test_a_bare_model_takes_the_columns_as_they_stand(bare: Path, tmp_path: Path) -> None:
    frame = predict_file(bare, table(tmp_path, "a,b\n1,2\n")).frame()
    assert frame.to_dicts() == [{"prediction": 3.0, "prediction_1": 5.0}]


def test_npz_parquet_and_csv_give_the_same_bits(bare: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(CHUNK + 3, 2))
    frame = pl.DataFrame(values, schema=["a", "b"])
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_parquet(tmp_path / "rows.parquet")
    np.savez(tmp_path / "rows.npz", X=values)
    outputs = [predict_file(bare, tmp_path / f"rows.{kind}").outputs for kind in ("csv", "parquet", "npz")]
    assert outputs[0].shape == (CHUNK + 3, 2)
    assert len({output.tobytes() for output in outputs}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("f0,a\n1,2\n", "it lacks the features 'f1'$"),
        ("f0;f1\n1;2\n", "it lacks .*; its first line is one field, 'f0;f1': expected commas between them"),
        ("f0,f1\n", "has no rows"),
        ("f0,f1\n1,2\n3,x\n", 'row 1, feature "f1": expected a number, got the string "x"'),
        ("f0,f1\n1,2\n3,\n", 'row 1, feature "f1": expected a number, got null'),
        ("f0,f1\n1,nan\n", 'row 0, feature "f1": expected a finite number, got NaN'),
        ("f0,f1\n1,1e39\n", r'row 0, feature "f1": 1e\+39 is outside the range of float32'),
        ("f0,f1,f1\n1,2,3\n", 'the column "f1" is given twice'),
        ('f0,"f1\n1,2', "damaged"),
        ("", "empty"),
    ],
)
def test_rows_that_do_not_fit_are_named(named: Path, tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UnreadableTable, match=message):
        predict_file(named, table(tmp_path, text))


def test_columns_beside_the_features_may_be_doubled_and_the_file_packed(named: Path, tmp_path: Path) -> None:
    packed = tmp_path / "rows.csv.gz"
    packed.write_bytes(gzip.compress(b"id,f1,id,f0\n1,0,1,1\n"))
    assert predict_file(named, packed).frame()["prediction"].to_list() == ["no"]


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_a_file_in_another_encoding_is_told_so(named: Path, tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("f0,f1,größe\n1,2,3\n".encode(encoding))
    with pytest.raises(UnreadableTable, match=r"the body is not CSV: its byte \d+ is not UTF-8$"):
        predict_file(named, path)


def test_names_with_quotes_and_columns_without_one_are_found(tmp_path: Path) -> None:
    features = (Feature(name='a "b"', missing=True, marks=("NA",)), Feature(name="unnamed_2", missing=True))
    document = metadata(2).model_copy(update={"features": features}).model_dump_json()
    model = graphs.linear(
        WEIGHT, np.zeros(2, np.float32), softmax=True, properties=graphs.metadata_property(document)
    )
    rows = table(tmp_path, '"a ""b""",other,\n1,x,0\nNA,x,1\n')
    outputs = predict_file(graphs.put(model, tmp_path, "quoted"), rows).outputs
    assert outputs[0].argmax() == 0
    assert np.isnan(outputs[1]).all()


def test_files_that_are_no_tables_are_refused(bare: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("1 2")
    (tmp_path / "rows.npz").write_bytes(b"PK nothing")
    np.savez(tmp_path / "wide.npz", X=np.ones((2, 5)))
    np.savez(tmp_path / "other.npz", Z=np.ones((2, 2)))
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 99)[:-20])
    (tmp_path / "plain.csv.gz").write_bytes(b"a,b\n1,2\n")
    for name, message in {
        "cut.csv.gz": "cannot read the table",
        "plain.csv.gz": "Not a gzipped file",
        "absent.csv": "no such file",
        "rows.txt": "expected .csv",
        "rows.npz": "expected .npz",
        "wide.npz": r"expected shape \[rows, 2\], got \[2, 5\]",
        "other.npz": "numeric array X",
    }.items():
        with pytest.raises(UnreadableTable, match=message):
            predict_file(bare, tmp_path / name)


def test_predictions_are_written_by_the_ending_of_the_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pl.DataFrame({"prediction": [1.5]})
    write(frame, None)
    assert capsys.readouterr().out == "prediction\n1.5\n"
    for name, read in {"out.csv": pl.read_csv, "out.parquet": pl.read_parquet}.items():
        write(frame, tmp_path / name)
        assert read(tmp_path / name).equals(frame)
    with pytest.raises(UnreadableTable, match=r"\.csv or \.parquet"):
        write(frame, tmp_path / "out.xlsx")
    with pytest.raises(UnreadableTable):
        write(frame, tmp_path / "no folder" / "out.csv")
