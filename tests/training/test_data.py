from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import DataConfig, Task
from training.data import Moments, Splits, load
from training.errors import DataError


def write(folder: Path, y: list[object], name: str = "rows.csv", header: str = "a,b,y") -> Path:
    path = folder / name
    path.write_text(header + "\n" + "".join(f"{i},{i * i},{label}\n" for i, label in enumerate(y)))
    return path


def splits_of(folder: Path, y: list[object], task: Task | None = None, **config: object) -> Splits:
    kept = {"numeric": ("a", "b"), **config}  # the first column counts the rows: it would be dropped
    return load(DataConfig(write(folder, y), "y", task=task, **kept), seed=0)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("y", "task"),
    [
        (["a", "b"] * 20, "classification"),
        ([0, 1] * 20, "classification"),
        (list(range(40)), "regression"),
        ([0.5, 1.5] * 20, "regression"),
        (["true", "false"] * 20, "classification"),
        (list(range(10)) * 10, "classification"),
        (list(range(10)) * 4, "regression"),
        ([1, 2, 3, 4, 5] * 3, "classification"),
        ([1, 2, 3, 4, 5, 1, 2], "regression"),
    ],
)
def test_the_target_decides_the_task(tmp_path: Path, y: list[object], task: str) -> None:
    assert splits_of(tmp_path, y).task == task


def test_what_could_be_classes_or_numbers_is_said_unless_the_task_is_given(tmp_path: Path) -> None:
    counts: list[object] = [*list(range(10)) * 10]
    classes = (
        "target 'y' has 10 whole numbers: taken for classes (--task regression if they measure something)"
    )
    numbers = "target 'y' has 10 whole numbers in 20 rows: taken for numbers (--task classification"
    assert splits_of(tmp_path, counts).notes[0].startswith(classes)
    assert splits_of(tmp_path, counts[:20]).notes[0].startswith(numbers)
    assert splits_of(tmp_path, counts, "classification").notes == ()
    assert splits_of(tmp_path, [0, 1] * 20).notes == ()


def test_a_target_with_a_mark_for_missing_or_a_long_tail_is_told(tmp_path: Path) -> None:
    (said,) = splits_of(tmp_path, [*(i / 7 for i in range(60)), *[-999] * 6]).notes
    assert said.startswith(
        "target 'y' is -999 in 6 rows, far from its other values: missing? (--missing=-999"
    )
    asked = {"missing": ("-999",), "drop_missing_target": True}
    assert splits_of(tmp_path, [*(i / 7 for i in range(60)), *[-999] * 6], **asked).notes == (
        "rows.csv: 6 rows without a target left out",
    )
    (said,) = splits_of(tmp_path, [1.5**i for i in range(60)]).notes
    assert said == "target 'y' has a long tail: its logarithm may be learnt better (--log-target)"


def test_the_task_can_be_given(tmp_path: Path) -> None:
    assert splits_of(tmp_path, list(range(40)) * 2, "classification").classes == tuple(range(40))
    assert splits_of(tmp_path, [0, 1] * 20, "regression").classes is None
    assert splits_of(tmp_path, [1.0, 2.0] * 20, "classification").classes == (1, 2)


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        (["a"] * 20, None, "is 'a' in every row; 2 classes needed"),
        ([0.5, 1.0] * 10, "classification", "has fractions"),
        (["a", "b"] * 10, "regression", "is text; a regression needs numbers"),
        ([1.5], None, "one row with a target; at least 2 are needed"),
    ],
)
def test_a_target_that_does_not_fit_is_refused(
    tmp_path: Path, y: list[object], task: Task | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        splits_of(tmp_path, y, task)


def test_every_row_is_in_exactly_one_split(tmp_path: Path) -> None:
    splits = splits_of(tmp_path, ["a", "b", "c", "c"] * 25)
    rows = [int(row[0]) for split in (splits.train, splits.validation, splits.test) for row in split.numeric]
    assert sorted(rows) == list(range(100))
    assert [len(s) for s in (splits.train, splits.validation, splits.test)] == pytest.approx(
        [70, 15, 15], abs=2
    )


def test_splits_keep_the_share_of_each_class(tmp_path: Path) -> None:
    splits = splits_of(tmp_path, ["rare"] * 20 + ["common"] * 180)
    for split in (splits.train, splits.validation, splits.test):
        rare = int((split.y == splits.classes.index("rare")).sum()) if splits.classes else 0
        assert rare / len(split) == pytest.approx(0.1, abs=0.02)


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=40).filter(lambda y: len(set(y)) > 1))
def test_every_class_stays_in_training_however_rare(
    tmp_path_factory: pytest.TempPathFactory, y: list[str]
) -> None:
    splits = splits_of(tmp_path_factory.mktemp("rows"), list(y))
    assert splits.classes == tuple(sorted(set(y)))
    assert set(splits.train.y.tolist()) == set(range(len(splits.classes)))


def test_the_same_seed_splits_the_same_way(tmp_path: Path) -> None:
    path = write(tmp_path, ["a", "b"] * 50)
    one, same, other = (load(DataConfig(path, "y"), seed) for seed in (1, 1, 2))
    assert one.train.numeric.tobytes() == same.train.numeric.tobytes()
    assert one.train.numeric.tobytes() != other.train.numeric.tobytes()


def test_a_test_file_is_the_test_split_in_the_order_of_the_training_columns(tmp_path: Path) -> None:
    test = tmp_path / "test.csv"
    test.write_text("y,b,a\nb,10,20\n")
    splits = splits_of(tmp_path, ["a", "b"] * 20, test=test)
    assert splits.test.numeric.tolist() == [[20.0, 10.0]]
    assert splits.test.y.tolist() == [1]
    assert len(splits.train) + len(splits.validation) == 40


def test_a_test_file_with_other_columns_or_labels_is_refused(tmp_path: Path) -> None:
    other = write(tmp_path, ["a"], "test.csv", "a,c,y")
    with pytest.raises(DataError, match=r"missing 'b', unknown 'c'"):
        splits_of(tmp_path, ["a", "b"] * 20, test=other)
    strange = write(tmp_path, ["a", "z"], "test.csv")
    with pytest.raises(DataError, match=r"labels that training lacks: \['z'\]"):
        splits_of(tmp_path, ["a", "b"] * 20, test=strange)


def test_a_file_needs_a_target(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--target"):
        load(DataConfig(write(tmp_path, ["a", "b"])), seed=0)


def test_a_constant_column_gives_no_nan() -> None:
    moments = Moments.of(np.array([[1.0, 5.0], [3.0, 5.0]], np.float32))
    assert moments.mean.tolist() == [2.0, 5.0]
    assert moments.deviation.tolist() == [1.0, 1.0]
    third = np.full((7, 1), 1 / 3, np.float32)
    assert Moments.of(third).deviation.tolist() == [1.0]


def test_moments_are_computed_in_float64() -> None:
    values = (np.random.default_rng(0).normal(size=(100_000, 1)) * 0.01 + 1000).astype(np.float32)
    exact = values.astype(np.float64)
    moments = Moments.of(values)
    assert moments.mean == pytest.approx(exact.mean(), rel=1e-12)
    assert moments.deviation == pytest.approx(exact.std(), rel=1e-9)


def test_powers_of_two_stay_within_a_factor_of_root_two() -> None:
    deviation = np.random.default_rng(0).lognormal(0, 5, 100)
    rounded = Moments(deviation * 0, deviation).in_powers_of_two().deviation
    assert (np.log2(rounded) % 1 == 0).all()
    assert (np.abs(np.log2(rounded / deviation)) <= 0.5).all()


def table(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def mixed(rows: int = 60, **changes: str) -> str:
    """A table with a number, a category and a target of two classes; the last rows can be replaced."""
    lines = [f"{i % 7}.5,{'abc'[i % 3]},{'yes' if i % 2 else 'no'}" for i in range(rows)]
    return "n,c,y\n" + "\n".join([*lines, *changes.values()]) + "\n"


def test_numbers_are_raw_and_categories_are_codes_of_the_training_rows(tmp_path: Path) -> None:
    test = table(tmp_path, "c,y,n\nb,no,2\nz,yes,\n,no,-1\n", "test.csv")
    splits = load(DataConfig(table(tmp_path, mixed()), "y", test), 0)
    number, category = splits.columns
    assert (number.kind, number.missing, number.categories) == ("numeric", True, ())
    assert (category.kind, category.missing, category.categories) == ("categorical", True, ("a", "b", "c"))
    assert splits.numeric_columns == (number,)
    assert splits.categorical_columns == (category,)
    assert splits.test.categorical.tolist() == [[3], [0], [1]]
    assert splits.test.numeric.ravel().tolist() == pytest.approx([2.0, np.nan, -1.0], nan_ok=True)
    assert splits.test.y.tolist() == [0, 1, 0]
    assert (splits.train.numeric.dtype, splits.train.categorical.dtype) == (np.float32, np.int64)
    assert set(splits.train.categorical.ravel().tolist()) == {2, 3, 4}


@settings(deadline=None)
@given(st.lists(st.none() | st.sampled_from(["a", "b", "ü", "a b", "7", "true"]), min_size=30, max_size=60))
def test_every_code_stands_for_its_text_and_categories_come_from_training_alone(
    tmp_path_factory: pytest.TempPathFactory, values: list[str | None]
) -> None:
    values = [*values, "x", "y"]
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    pl.DataFrame({"n": [0.5, 1.5] * 50, "c": (values * 5)[:100], "y": [0, 1] * 50}).write_parquet(path)
    splits = load(DataConfig(path, "y", categorical=("c",)), 0)
    [column] = splits.categorical_columns
    assert list(column.categories) == sorted(column.categories)
    assert set(splits.train.categorical.ravel().tolist()) >= set(range(2, 2 + len(column.categories)))
    assert 0 not in splits.train.categorical
    codes = np.concatenate(
        [part.categorical.ravel() for part in (splits.train, splits.validation, splits.test)]
    )
    assert int((codes == 1).sum()) == (values * 5)[:100].count(None)


@pytest.mark.parametrize(
    ("values", "categories"),
    [
        (pl.Series([1, 2, 30] * 20), ("1", "2", "30")),
        (pl.Series([1.0, 2.0, None] * 20), ("1", "2")),
        (pl.Series([0.5, 2.0, 1e21] * 20), ("0.5", "1e+21", "2.0")),
        (pl.Series([True, False, None] * 20), ("false", "true")),
        (pl.Series(["b ", "a", "?"] * 20), ("a", "b ")),
    ],
)
def test_categories_are_texts_as_records_hold_them(
    tmp_path: Path, values: pl.Series, categories: tuple[str, ...]
) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"c": values, "n": np.arange(60) ** 2 / 3, "y": [0, 1, 1] * 20}).write_parquet(path)
    [column] = load(DataConfig(path, "y", categorical=("c",)), 0).categorical_columns
    assert column.categories == categories


def test_what_the_table_wrote_for_missing_is_told_to_the_graph(tmp_path: Path) -> None:
    splits = load(DataConfig(table(tmp_path, mixed(last="1,?,yes", more="?,a,no")), "y"), 0)
    assert [column.marks for column in splits.columns] == [("?",), ("?",)]


def test_words_among_the_numbers_of_training_are_missing_in_the_test_too(tmp_path: Path) -> None:
    data = table(tmp_path, mixed(last="unknown,a,yes"))
    test = table(tmp_path, "n,c,y\nunknown,a,no\n", "test.csv")
    assert np.isnan(load(DataConfig(data, "y", test), 0).test.numeric[0, 0])
    other = table(tmp_path, "n,c,y\n1,b,no\nnever,a,no\n", "other.csv")
    with pytest.raises(DataError, match=r"other.csv: column 'n', row 2: 'never' is not a number"):
        load(DataConfig(data, "y", other), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            mixed(last="inf,a,yes"),
            r"rows.csv: column 'n', row 61: inf is not a finite number \(1 such row\)",
        ),
        (mixed(last="1e39,a,yes"), r"column 'n', row 61: 1e\+39 is outside the range of float32"),
        (mixed(last="1,a,"), r"column 'y', row 61: empty is a missing target.*; --drop-missing-target"),
        (
            mixed(last="1,a,NA"),
            r"row 61: empty is a missing target \('NA' counts as missing unless --missing",
        ),
        ("n,y\n1,\n2,\n", "every target is missing in column 'y'"),
        ("n,y\n1,a\n", "rows.csv: one row with a target; at least 2 are needed"),
        ("n,y\n1,a\n2,a\n", "target 'y' is 'a' in every row; 2 classes needed"),
        ("n,y\n1,0.5\n1,0.6\n", "no features are left beside the target 'y'; dropped were n .constant."),
        ("y\na\nb\n", "no features are left beside the target 'y'"),
        ("n,y\n" + "".join(f"{i * i},t{i}\n" for i in range(40)), "has 40 classes in 40 rows"),
        ("n,y\n,a\n,b\n", "no features are left beside the target 'y'; dropped were n .empty."),
    ],
)
def test_what_no_network_can_be_trained_on_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as refusal:
        load(DataConfig(table(tmp_path, text), "y"), 0)
    assert "\n" not in str(refusal.value)


def test_rows_without_a_target_are_left_out_with_a_count_when_asked(tmp_path: Path) -> None:
    path = table(tmp_path, mixed(last="1,a,", more="2,b,?"))
    splits = load(DataConfig(path, "y", drop_missing_target=True), 0)
    assert "rows.csv: 2 rows without a target left out" in splits.notes
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == 60
    assert splits.classes == ("no", "yes")


def test_a_column_that_is_always_missing_is_dropped_with_a_warning(tmp_path: Path) -> None:
    path = table(tmp_path, "a,n,y\n" + "".join(f",{i}.5,{i % 2}\n" for i in range(40)))
    splits = load(DataConfig(path, "y"), 0)
    assert splits.features == ("n",)
    assert ("a", "empty", "every value is missing") in splits.schema.findings


def test_a_column_that_no_training_row_has_is_dropped(tmp_path: Path) -> None:
    rows = "".join(f"{'1.5' if i == 7 else ''},{i}.5,{i % 2}\n" for i in range(40))
    path = table(tmp_path, "a,n,y\n" + rows)
    kept = {seed: load(DataConfig(path, "y"), seed) for seed in range(20)}
    for splits in kept.values():
        for column, values in zip(splits.numeric_columns, splits.train.numeric.T, strict=True):
            assert not np.isnan(values).all(), column.name
    assert {splits.features for splits in kept.values()} == {("a", "n"), ("n",)}


def test_labels_that_differ_by_a_dot_at_their_end_are_the_same_label(tmp_path: Path) -> None:
    plain, dotted = table(tmp_path, mixed()), table(tmp_path, "n,c,y\n1,a,no.\n2,b,yes.\n", "dots.csv")
    splits = load(DataConfig(plain, "y", dotted), 0)
    assert splits.test.y.tolist() == [0, 1]
    assert "2 labels taken for others but for a dot" in splits.notes[-1]
    both = load(DataConfig((plain, dotted), "y"), 0)
    assert both.classes == ("no", "yes")
    assert "2 labels taken for others but for a dot" in both.notes[-1]
    other = table(tmp_path, "n,c,y\n1,a,no.\n2,b,maybe.\n", "other.csv")
    with pytest.raises(
        DataError, match=r"labels that training lacks: \['maybe.', 'no.'\]; it knows 'no', 'yes'"
    ):
        load(DataConfig(plain, "y", other), 0)


def test_sample_weights_have_mean_one_over_the_training_rows_and_are_no_feature(tmp_path: Path) -> None:
    rows = "".join(f"{i}.5,{'ab'[i % 2]},{i % 5}\n" for i in range(100))
    splits = load(DataConfig(table(tmp_path, "n,y,w\n" + rows), "y", weight="w"), 0)
    assert splits.features == ("n",)
    assert splits.train.weight is not None
    assert splits.train.weight.dtype == np.float32
    assert splits.train.weight.mean() == pytest.approx(1, rel=1e-6)
    assert splits.schema.role("w").kind == "weight"
    given = (splits.train.numeric[:, 0] - 0.5) % 5
    assert splits.train.weight == pytest.approx(given / given.mean(), rel=1e-6)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ("-1", r"row 3: -1 is a negative weight"),
        ("", r"row 3: empty is no weight"),
        ("inf", r"row 3: inf is not a finite number"),
    ],
)
def test_weights_that_are_none_are_refused(tmp_path: Path, weight: str, message: str) -> None:
    path = table(tmp_path, f"n,y,w\n1,a,1\n2,b,2\n3,a,{weight}\n4,b,1\n")
    with pytest.raises(DataError, match=message):
        load(DataConfig(path, "y", weight="w"), 0)
    with pytest.raises(DataError, match="every weight in column 'w' is 0"):
        load(DataConfig(table(tmp_path, "n,y,w\n1,a,0\n2,b,0\n"), "y", weight="w"), 0)
    with pytest.raises(DataError, match="no column named 'v'"):
        load(DataConfig(path, "y", weight="v"), 0)


def test_a_test_file_need_not_have_what_is_left_out(tmp_path: Path) -> None:
    rows = "".join(f"{i},{i % 9}.5,{'ab'[i % 2]}\n" for i in range(60))
    data = table(tmp_path, "id,n,y\n" + rows)
    test = table(tmp_path, "n,y\n1,a\n", "test.csv")
    assert load(DataConfig(data, "y", test), 0).test.numeric.tolist() == [[1.0]]
    with pytest.raises(DataError, match=r"columns differ from rows.csv: missing 'n', unknown 'm'"):
        load(DataConfig(data, "y", table(tmp_path, "m,y\n1,a\n", "test.csv")), 0)
    with pytest.raises(DataError, match="no column named 'y'"):
        load(DataConfig(data, "y", table(tmp_path, "n,z\n1,a\n", "test.csv")), 0)


def test_categories_that_only_the_test_has_are_named_and_count_as_unknown(tmp_path: Path) -> None:
    data = table(tmp_path, "n,kind,y\n" + "".join(f"{i}.5,{'ab'[i % 2]},{i % 2}\n" for i in range(40)))
    other = table(tmp_path, "n,kind,y\n1.5,c,0\n2.5,a,1\n3.5,,1\n1.5,d,0\n", "other.csv")
    splits = load(DataConfig(data, "y", other), 0)
    assert splits.test.categorical[:, 0].tolist() == [0, 2, 1, 0]
    assert splits.notes == (
        "other.csv: 2 rows with categories of 'kind' that training lacks, taken for unknown: 'c', 'd'",
    )


def test_several_test_files_are_one_test(tmp_path: Path) -> None:
    files = tuple(table(tmp_path, f"y,n,c\nyes,{i},a\n", f"test{i}.csv") for i in range(3))
    splits = load(DataConfig(table(tmp_path, mixed()), "y", files), 0)
    assert splits.test.numeric.tolist() == [[0.0], [1.0], [2.0]]


def test_shares_and_seed_of_the_split_can_be_given(tmp_path: Path) -> None:
    path = table(tmp_path, mixed(200))
    sizes = DataConfig(path, "y", validation=0.16, test_share=0.2, split_seed=7)
    one, other = load(sizes, 0), load(sizes, 1)
    assert [len(part) for part in (one.train, one.validation, one.test)] == [128, 32, 40]
    assert one.test.numeric.tobytes() == other.test.numeric.tobytes()
    none = load(DataConfig(path, "y", test_share=0.0), 0)
    assert (len(none.train), len(none.validation), len(none.test)) == (170, 30, 0)


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        (pl.Series([0.0, 1.0, None] * 20), (0, 1)),
        (pl.Series([True, False] * 30), ("false", "true")),
        (pl.Series([0.5, 1.5] * 30), None),
        (pl.Series(["1", "2", "x"] * 20), ("1", "2", "x")),
    ],
)
def test_classes_are_labels_of_their_kind(
    tmp_path: Path, values: pl.Series, classes: tuple[object, ...] | None
) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"n": np.arange(60) / 7, "y": values}).write_parquet(path)
    assert load(DataConfig(path, "y", drop_missing_target=True), 0).classes == classes


def test_dates_are_no_target(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"n": [1.5, 2.5], "y": pl.Series([1, 2]).cast(pl.Date)}).write_parquet(path)
    with pytest.raises(DataError, match="target 'y' holds Date; expected numbers or classes as text"):
        load(DataConfig(path, "y"), 0)


def test_codes_of_test_rows_are_the_same_with_a_point_behind_them(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("kind,b,y\n" + "".join(f"{i % 3},{i / 7},{i % 2}\n" for i in range(60)))
    test.write_text("kind,b,y\n2.0,0.5,1\n,0.5,0\n7.0,0.5,0\n")
    splits = load(DataConfig(train, "y", test), 0)
    assert splits.categorical_columns[0].categories == ("0", "1", "2")
    assert splits.test.categorical.tolist() == [[4], [1], [0]]
