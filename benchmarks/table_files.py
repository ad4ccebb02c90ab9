"""The tables of ../shared/data as files for `foldserve train`, split as the goals say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from sklearn.model_selection import train_test_split

from training.config import DataConfig


def config_of(table: str, data: Path, work: Path, **fields: Any) -> DataConfig:
    """A table with its target and its test rows.

    Args:
        work: where files are put that the split makes.
    """
    source, target, test = _FILES[table](data, work)
    return DataConfig(source, target, test, **fields)


_Files = tuple[Path | tuple[Path, ...], str, Path]


def _adult(data: Path, work: Path) -> _Files:
    return data / "adult" / "train.csv", "income", data / "adult" / "test.csv"


def _california(data: Path, work: Path) -> _Files:
    file = data / "california-housing-mixed" / "housing.csv"
    return *_four_fifths(file, work, "median_house_value"), work / "test-median_house_value.csv"


def _diamonds(data: Path, work: Path) -> _Files:
    return *_four_fifths(data / "diamonds" / "diamonds.csv.gz", work, "price"), work / "test-price.csv"


def _covertype(data: Path, work: Path) -> _Files:
    folder = data / "covertype-150k"
    parts = tuple(folder / f"covertype_{part}.csv.gz" for part in ("validate", "serving", "testing"))
    return parts[:2], "Cover_Type", parts[2]


def _fashion(data: Path, work: Path) -> _Files:
    folder = data / "fashion-mnist"
    return folder / "train.npz", "y", folder / "test.npz"


def _four_fifths(file: Path, work: Path, target: str) -> tuple[Path, str]:
    """80 % of the rows by scikit-learn's split with seed 0; the others are the test file beside it."""
    frame = pl.read_csv(file, infer_schema_length=None)
    rows = train_test_split(range(len(frame)), test_size=0.2, random_state=0)
    for name, chosen in zip(("train", "test"), rows, strict=True):
        path = work / f"{name}-{target}.csv"
        fresh = path.with_suffix(f".{id(frame)}")
        frame[chosen].write_csv(fresh)
        fresh.replace(path)
    return work / f"train-{target}.csv", target


_FILES = {
    "adult": _adult,
    "california": _california,
    "diamonds": _diamonds,
    "covertype": _covertype,
    "fashion": _fashion,
}
