from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.config import DataConfig
from training.data import load
from training.tables import read_table
from training.tables.writing import Writing, found

WRITTEN = {
    "commas between thousands": (["1,234", "12,500.5", "7"], [1234, 12500.5, 7]),
    "a comma before decimals": (["0,234", "1,234", "-0,5"], [0.234, 1.234, -0.5]),
    "points between thousands": (["1.234,56", "234,5", "12"], [1234.56, 234.5, 12]),
    "blanks between thousands": (["1 234,50", "22,5"], [1234.5, 22.5]),
    "hard blanks between thousands": (["1\u202f234,50", "12\u00a0022,5", "7"], [1234.5, 12022.5, 7]),
    "apostrophes between thousands": (["1'234.5", "22"], [1234.5, 22]),
    "dollars": (["$1,234.50", "$3.20", "-$5", "$-5"], [1234.5, 3.2, -5, -5]),
    "dollars of a country": (["US$1,000", "US$20"], [1000, 20]),
    "euros behind": (["1.234,56 €", "0,50 €"], [1234.56, 0.5]),
    "percent": (["12.5%", "3 %", "-.5%"], [12.5, 3, -0.5]),
    "a unit": (["10.5 km", "3 km", "7km"], [10.5, 3, 7]),
    "a unit of two parts": (["10.5 km/h", "3 km/h"], [10.5, 3]),
    "accounts": (["(1,200.50)", "30.20"], [-1200.5, 30.2]),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_numbers_are_read_however_they_are_written(name: str) -> None:
    texts, values = WRITTEN[name]
    writing = found(pl.Series(texts), comma=False)
    assert not writing.plain
    assert writing.numbers(pl.Series(texts)).to_list() == values


@pytest.mark.parametrize(
    "texts",
    [
        ["A1", "A2", "A3"],
        ["shop-1", "shop-2"],
        ["3 km", "5 m", "7 cm"],
        ["1.2.3", "1.2.4"],
        ["2020-01-05", "2021-01-05"],
        ["12:30", "13:40"],
        ["10.0.0.1", "10.0.12.1"],
        ["555 123 456", "555 222 111"],
        ["+1 (200) 333 1111", "+1 (201) 332 1111"],
        ["12,34,56", "1,23,456"],
    ],
)
def test_other_texts_with_digits_say_no_numbers(texts: list[str]) -> None:
    series = pl.Series(texts)
    assert found(series, comma=False).numbers(series).null_count() >= len(texts) - 1


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(-(10**9), 10**9), min_size=2, max_size=30).filter(lambda v: max(v) > 999),
    st.sampled_from([("", "%"), ("$", ""), ("", " kg"), ("€ ", "")]),
    st.sampled_from([",", ""]),
)
def test_what_is_written_is_read_again(values: list[int], frame: tuple[str, str], thousands: str) -> None:
    before, after = frame
    texts = [f"{before}{value / 100:{thousands}.2f}{after}" for value in values]
    writing = found(pl.Series(texts), comma=False)
    assert writing.numbers(pl.Series(texts)).to_list() == [round(value / 100, 2) for value in values]


def test_one_column_with_a_decimal_comma_decides_for_those_that_could_be_thousands(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a;b;y\n1,234;0,5;1\n2,345;1,25;2\n")
    table = read_table(path, "y")
    assert table.frame["a"].to_list() == [1.234, 2.345]
    path.write_text("a;b;y\n1,234;0.5;1\n2,345;1.25;2\n")
    assert read_table(path, "y").frame["a"].to_list() == [1234, 2345]


def test_test_rows_are_written_as_the_training_rows_are(tmp_path: Path) -> None:
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    rows = [f"{i},{i + 1:03d};${i + 1}.50\n" for i in range(40)]
    train.write_text("a;price\n" + "".join(rows))
    test.write_text("a;price\n1,234;$7.00\n")
    splits = load(DataConfig(train, "price", test), 0)
    assert splits.test.numeric.tolist() == [[pytest.approx(1.234)]]
    assert splits.test.y.tolist() == [7.0]


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["19 %", "7 %"] * 20, False),
        ([f"{i} %" for i in range(40)], True),
        ([f"{i / 10}" for i in range(60)] + ["<0.01"], True),
        ([f"${i}" for i in range(40)] + ["free"], True),
    ],
)
def test_a_few_framed_texts_stay_texts_and_a_few_odd_ones_among_numbers_are_missing(
    tmp_path: Path, texts: list[str], numbers: bool
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,y\n" + "".join(f"{text},1\n" for text in texts))
    table = read_table(path, "y")
    assert table.frame["a"].dtype.is_numeric() == numbers
    assert len(table.remark("a").words) == table.frame["a"].null_count()


def test_a_writing_says_what_it_is() -> None:
    assert str(Writing(",", ".", "", "€")) == (
        "is written with '€', with points between thousands, with a comma before the decimals"
    )
