from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import DataConfig
from training.data import Splits, load
from training.errors import DataError
from training.schema import Schema, infer_schema
from training.tables import Table

ROWS = 200
CHANCE = np.random.default_rng(0)
NOISE = CHANCE.normal(size=ROWS)
Y = np.arange(ROWS) % 2


def schema_of(columns: dict[str, Any], y: np.ndarray = Y, classes: int | None = 2, **config: Any) -> Schema:
    """What is inferred of some columns beside a number and a target of two classes."""
    rows = len(next(iter(columns.values())))
    frame = pl.DataFrame({**columns, "noise": NOISE[:rows], "y": y[:rows]})
    return infer_schema(Table("made up", frame), "y", DataConfig("wine", **config), y[:rows], classes)


def role_of(values: Any, name: str = "a", **config: Any) -> tuple[str, set[str]]:
    """The kind that a column gets, and the codes of what was found about it."""
    schema = schema_of({name: values}, **config)
    return schema.role(name).kind, {finding.code for finding in schema.findings if finding.column == name}


def several(values: list[Any]) -> list[Any]:
    return [values[i % len(values)] for i in CHANCE.permutation(ROWS)]


CODES = [2702, 2703, 4201, 4703, 7745, 8776]


@pytest.mark.parametrize(
    ("name", "values", "kind", "codes"),
    [
        ("a", several([0.5, 1.5, 2.5]), "numeric", set()),
        ("a", several([0, 1]), "numeric", set()),
        ("a", several([1, 2, 3, None]), "numeric", set()),
        ("a", several(["x", "y", None]), "categorical", set()),
        ("a", several([True, False]), "categorical", set()),
        ("a", several(["only", None]), "categorical", set()),
        ("a", [7] * ROWS, "dropped", {"constant"}),
        ("a", ["x"] * ROWS, "dropped", {"constant"}),
        ("a", [None] * ROWS, "dropped", {"empty"}),
        ("a", list(range(ROWS)), "dropped", {"id-like"}),
        ("a", list(range(1000, 1000 + 5 * ROWS, 5)), "dropped", {"id-like"}),
        ("a", (CHANCE.permutation(ROWS) + 17).tolist(), "dropped", {"id-like"}),
        ("a", [float(i) for i in range(ROWS)], "dropped", {"id-like"}),
        ("a", [i * i for i in range(ROWS)], "numeric", {"unique"}),
        ("PassengerId", [i * i for i in range(ROWS)], "dropped", {"id-like"}),
        ("Unnamed: 0", [i * i for i in range(ROWS)], "dropped", {"id-like"}),
        ("a", [f"name {i}" for i in range(ROWS)], "dropped", {"id-like"}),
        ("a", [f"ticket {i * 3 // 4}" for i in range(ROWS)], "dropped", {"id-like"}),
        ("a", several(["2020-01-31", "2021-12-01T10:00:00Z"]), "dropped", {"date"}),
        ("a", several(["31/12/2020", "01/01/21"]), "dropped", {"date"}),
        ("a", several(["20141013T000000", "20150225T000000"]), "dropped", {"date"}),
        ("a", pl.Series(several([1, 2])).cast(pl.Date), "dropped", {"date"}),
        ("a", several([[1], [2]]), "dropped", {"other"}),
        ("a", several(CODES), "categorical", {"code"}),
        ("zip", several([98001, 98002, 98199]), "categorical", {"code"}),
        ("MSSubClass", several([20, 30, 60]), "categorical", {"code"}),
        ("year", several([1900, 1920, 1960, 2000, 2010]), "numeric", set()),
        ("amount", several([1000, 2000, 5000, 10000, 20000, 50000]), "numeric", set()),
        ("age", several(list(range(17, 90))), "numeric", set()),
        ("a", several([2**30 + i for i in range(60)]), "numeric", {"float32"}),
        ("a", several([0.5, 1.5, 2.5, -999.0]), "numeric", {"sentinel"}),
        ("a", several([*range(1, 40), 9999]), "numeric", {"sentinel"}),
        ("a", several([*range(30, 90), 99]), "numeric", set()),
        ("a", [1e9 + i / 1024 for i in range(ROWS)], "numeric", {"float32"}),
        ("a", [2**53 + i * i for i in range(ROWS)], "dropped", {"id-like"}),
        ("a", [2.0**64 + 2.0**30 * i * i for i in range(ROWS)], "dropped", {"id-like"}),
        ("a", several([2**60, 2**61, 2**62]), "numeric", set()),
    ],
)
def test_what_a_column_is_follows_from_its_values_and_its_name(
    name: str, values: Any, kind: str, codes: set[str]
) -> None:
    assert role_of(values, name) == (kind, codes)


def test_a_few_rows_are_no_reason_to_drop_what_differs_in_each() -> None:
    for values in (list(range(19)), [f"name {i}" for i in range(19)]):
        assert schema_of({"a": values}).role("a").kind != "dropped"


@pytest.mark.parametrize("flag", ["numeric", "categorical"])
@pytest.mark.parametrize("values", [list(range(ROWS)), several(CODES), [7] * ROWS])
def test_a_role_that_is_given_is_the_role(flag: str, values: list[int]) -> None:
    assert role_of(values, **{flag: ("a",)})[0] == flag


def test_a_column_is_left_out_when_asked() -> None:
    assert role_of(several([1, 2, 5]), drop=("a",)) == ("dropped", set())


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"drop": ("b",)}, "--drop names 'b', no such column; there is 'a', 'noise', 'y'"),
        ({"numeric": ("y",)}, "--numeric names the target 'y'"),
        ({"numeric": ("a",), "categorical": ("a",)}, "'a' stands in more than one of --categorical"),
        ({"drop": ("a", "noise")}, r"no features are left beside the target 'y'; dropped were a \(asked\)"),
    ],
)
def test_flags_that_cannot_be_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        role_of([1, 2] * (ROWS // 2), **config)


def test_a_column_that_is_there_twice_is_taken_once() -> None:
    values = several([1.5, 2.5, 3.5])
    schema = schema_of({"a": values, "b": values, "c": values})
    assert [schema.role(name).kind for name in "abc"] == ["numeric", "dropped", "dropped"]
    assert ("b", "duplicate", "is 'a' once more") in schema.findings
    assert schema_of({"a": values, "b": values}, numeric=("b",)).role("b").kind == "numeric"


def test_columns_that_say_the_same_in_other_words_are_named_and_kept() -> None:
    values = several([1, 2, 3])
    schema = schema_of({"a": values, "b": ["xyz"[i - 1] for i in values]})
    assert schema.role("b").kind == "categorical"
    assert ("b", "one-to-one", "says the same as 'a' in other words") in schema.findings


@pytest.mark.parametrize(
    ("leak", "regression"),
    [
        (lambda y: y, False),
        (lambda y: np.where(y == 1, "yes", "no"), False),
        (lambda y: y + CHANCE.uniform(-0.4, 0.4, len(y)), False),
        (lambda y: 3 - 2 * y, True),
        (lambda y: np.exp(y), True),
        (lambda y: y + 0.01 * CHANCE.normal(size=len(y)), True),
    ],
)
def test_a_column_that_says_the_target_alone_is_reported_and_kept(leak: Any, regression: bool) -> None:
    y = CHANCE.normal(size=400) if regression else CHANCE.integers(0, 2, 400)
    frame = pl.DataFrame({"leak": leak(y), "other": CHANCE.normal(size=400), "y": y})
    schema = infer_schema(Table("made up", frame), "y", DataConfig("wine"), y, None if regression else 2)
    assert {f.column for f in schema.findings if f.code == "leak"} == {"leak"}
    assert schema.role("leak").kind != "dropped"


def test_good_columns_and_columns_of_many_values_do_not_leak() -> None:
    y = CHANCE.integers(0, 2, 2000)
    columns = {
        "good": y + CHANCE.normal(0, 0.3, 2000),
        "many": CHANCE.integers(0, 1000, 2000).astype(str),
        "odour": np.where(CHANCE.random(2000) < 0.03, 1 - y, y).astype(str),
    }
    frame = pl.DataFrame({**columns, "y": y})
    schema = infer_schema(Table("made up", frame), "y", DataConfig("wine"), y, 2)
    assert not [finding for finding in schema.findings if finding.code == "leak"]


def test_arrays_keep_their_constant_columns() -> None:
    frame = pl.DataFrame({"x0": [0] * ROWS, "x1": list(range(ROWS)), "y": Y})
    schema = infer_schema(Table("made up", frame, fixed=True), "y", DataConfig("wine"), Y, 2)
    assert [role.kind for role in schema.roles] == ["numeric", "numeric", "target"]
    assert {finding.code for finding in schema.findings} == {"constant-array"}


VALUES = st.one_of(
    st.lists(st.none() | st.integers(-(2**40), 2**40), min_size=2, max_size=60),
    st.lists(st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=60),
    st.lists(st.none() | st.booleans(), min_size=2, max_size=60),
    st.lists(st.none() | st.sampled_from(["a", "b", "2020-01-01", "7", "é"]), min_size=2, max_size=60),
    st.lists(st.none() | st.text(min_size=1, max_size=5), min_size=2, max_size=60),
)


@settings(deadline=None)
@given(VALUES)
def test_every_column_gets_one_role_and_no_drop_goes_unsaid(values: list[Any]) -> None:
    kind, codes = role_of(values)
    assert kind in ("numeric", "categorical", "dropped")
    assert kind != "dropped" or codes & {"constant", "empty", "id-like", "date", "duplicate"}
    numbers = all(value is None or type(value) in (int, float) for value in values)
    assert kind != "numeric" or numbers
    assert kind != "categorical" or not numbers or "code" in codes


@settings(deadline=None)
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter_unless_they_are_counted(
    values: list[Any], chance: Any
) -> None:
    shuffled = list(values)
    chance.shuffle(shuffled)
    one, other = role_of(values), role_of(shuffled)
    assert one == other or "id-like" in one[1] | other[1] or "leak" in one[1] | other[1]


@settings(deadline=None)
@given(VALUES)
def test_a_role_that_is_given_never_fails_and_holds(values: list[Any]) -> None:
    assert role_of(values, categorical=("a",))[0] == "categorical"
    assert role_of(values, drop=("a",))[0] == "dropped"


ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education_num", "marital_status", "occupation"),
    *("relationship", "race", "sex", "capital_gain", "capital_loss", "hours_per_week", "native_country"),
    "income",
)
NUMBERS_OF_ADULT = {"age", "fnlwgt", "education_num", "capital_gain", "capital_loss", "hours_per_week"}


def real(shared: Path, name: str) -> Splits:
    """A table of ../shared/data, with no flags but its target and the names that adult.data lacks."""
    adult, cover = shared / "adult", shared / "covertype-150k"
    files = tuple(cover / f"covertype_{part}.csv.gz" for part in ("validate", "serving"))
    configs = {
        "adult": DataConfig(adult / "train.csv", "income", adult / "test.csv"),
        "adult.data": DataConfig(adult / "adult.data", "income", adult / "adult.test", columns=ADULT),
        "housing": DataConfig(shared / "california-housing-mixed" / "housing.csv", "median_house_value"),
        "covertype": DataConfig(files, "Cover_Type", cover / "covertype_testing.csv.gz"),
        "diamonds": DataConfig(shared / "diamonds" / "diamonds.csv.gz", "price"),
        "fashion": DataConfig(
            shared / "fashion-mnist" / "train.npz", "y", shared / "fashion-mnist" / "test.npz"
        ),
    }
    return load(configs[name], 0)


@pytest.mark.parametrize(
    ("name", "rows", "categorical", "numeric"),
    [
        ("adult", 32_561 + 16_281, set(ADULT[:-1]) - NUMBERS_OF_ADULT, 6),
        ("adult.data", 32_561 + 16_281, set(ADULT[:-1]) - NUMBERS_OF_ADULT, 6),
        ("housing", 20_640, {"ocean_proximity"}, 8),
        ("covertype", 150_000, {"Wilderness_Area", "Soil_Type"}, 10),
        ("diamonds", 53_940, {"cut", "color", "clarity"}, 6),
        ("fashion", 70_000, set(), 784),
    ],
)
def test_no_role_is_wrong_over_the_real_tables(
    shared_data: Path, name: str, rows: int, categorical: set[str], numeric: int
) -> None:
    splits = real(shared_data, name)
    assert sum(map(len, (splits.train, splits.validation, splits.test))) == rows
    assert {column.name for column in splits.categorical_columns} == categorical
    assert len(splits.numeric_columns) == numeric
    assert not [role.name for role in splits.schema.roles if role.kind == "dropped"]
    found = {(finding.column, finding.code) for finding in splits.schema.findings}
    assert found == {
        "covertype": {("Soil_Type", "code")},
        "adult": {("education_num", "one-to-one")},
        "adult.data": {("education_num", "one-to-one")},
    }.get(name, set())


def test_the_raw_and_the_tidied_files_of_adult_give_the_same_rows(shared_data: Path) -> None:
    raw, tidy = real(shared_data, "adult.data"), real(shared_data, "adult")
    for one, other in ((raw.train, tidy.train), (raw.validation, tidy.validation), (raw.test, tidy.test)):
        assert one.numeric.tobytes() == other.numeric.tobytes()
        assert one.categorical.tobytes() == other.categorical.tobytes()
        assert one.y.tobytes() == other.y.tobytes()
    assert any("but for a dot at the end: '<=50K.' as '<=50K'" in note for note in raw.notes)
    assert int((raw.test.y == 1).sum()) == 3846


def test_the_missing_values_of_the_real_tables_are_all_found(shared_data: Path) -> None:
    housing, adult = real(shared_data, "housing"), real(shared_data, "adult.data")
    assert [column.name for column in housing.numeric_columns if column.missing] == ["total_bedrooms"]
    parts = (housing.train, housing.validation, housing.test)
    assert sum(int(np.isnan(part.numeric).sum()) for part in parts) == 207
    names = [column.name for column in adult.categorical_columns]
    missing = dict(zip(names, (adult.test.categorical == 1).sum(axis=0).tolist(), strict=True))
    assert {name: count for name, count in missing.items() if count} == {
        "workclass": 963,
        "occupation": 966,
        "native_country": 274,
    }
