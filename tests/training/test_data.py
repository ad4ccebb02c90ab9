from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
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
    ],
)
def test_the_target_decides_the_task(tmp_path: Path, y: list[object], task: str) -> None:
    assert splits_of(tmp_path, y).task == task


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
        ([1.5], None, "1 training rows; Batch Normalization needs at least 2"),
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
