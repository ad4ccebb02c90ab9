"""The flags of `foldserve train` that say which rows, how they are read, and what their columns are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from training.config import DataConfig, Task
from training.errors import ConfigError
from training.flags import Flags

_PANEL = "Data"


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_PANEL)


Data = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="[DATA]...", help="CSV (gz too), Parquet, Arrow or .npz; several: the same columns"
    ),
]
Target = Annotated[str | None, _option("the column to predict")]
Dataset = Annotated[str | None, _option("instead of DATA: digits, breast-cancer, wine or diabetes")]
Test = Annotated[list[Path] | None, _option("test rows; may be given again [a share of DATA]")]
TaskName = Annotated[str, _option("auto, classification or regression")]
Categorical = Annotated[list[str] | None, _option("columns of categories: a,b")]
Numeric = Annotated[list[str] | None, _option("columns of numbers: a,b")]
Drop = Annotated[list[str] | None, _option("columns to leave out: a,b")]
Missing = Annotated[str | None, _option('texts that mean "missing" [?,NA,N/A,nan,null,None,…]')]
Columns = Annotated[str | None, _option("names of the columns of a CSV without a header: a,b")]
Header = Annotated[
    bool | None, _option("whether a CSV's first line names its columns [found out]", "--header/--no-header")
]
Delimiter = Annotated[str | None, _option("between the fields of a CSV, 'tab' and 'blank' too [found out]")]
SkipLines = Annotated[int | None, _option("lines to leave out at a CSV's start [found out]")]
Weight = Annotated[str | None, _option("a column of sample weights")]
DropMissingTarget = Annotated[
    bool, _option("leave rows without a target out [they are refused]", "--drop-missing-target")
]
Image = Annotated[
    str | None, _option("a row is a picture, row by row: WIDTHxHEIGHT, such as 28x28 [by the columns' names]")
]
Validation = Annotated[float, _option("share of all rows for early stopping")]
TestShare = Annotated[float | None, _option("share of all rows for the test [as for --validation]")]
SplitSeed = Annotated[int | None, _option("of the choice of these rows [--seed]")]

FLAGS: Flags = {
    "data": (Data, None),
    "target": (Target, None),
    "dataset": (Dataset, None),
    "test": (Test, None),
    "task": (TaskName, "auto"),
    "categorical": (Categorical, None),
    "numeric": (Numeric, None),
    "drop": (Drop, None),
    "missing": (Missing, None),
    "columns": (Columns, None),
    "header": (Header, None),
    "delimiter": (Delimiter, None),
    "skip_lines": (SkipLines, None),
    "weight": (Weight, None),
    "drop_missing_target": (DropMissingTarget, False),
    "image": (Image, None),
    "validation": (Validation, 0.15),
    "test_share": (TestShare, None),
    "split_seed": (SplitSeed, None),
}
"""Parameter, annotation and default, in the order in which they are shown."""


def data_config(
    data: list[Path] | None,
    dataset: str | None,
    *,
    test: list[Path] | None,
    task: str,
    categorical: list[str] | None,
    numeric: list[str] | None,
    drop: list[str] | None,
    missing: str | None,
    columns: str | None,
    delimiter: str | None,
    image: str | None = None,
    **plain: Any,
) -> DataConfig:
    """The record of what the flags say; `plain` goes into it as it is.

    Raises:
        ConfigError: the flags contradict each other.
    """
    return DataConfig(
        source(data, dataset),
        test=tuple(test) if test else None,
        task=_task(task),
        categorical=_names(categorical),
        numeric=_names(numeric),
        drop=_names(drop),
        missing=None if missing is None else _names([missing]),
        columns=_names([columns] if columns else None),
        delimiter=_delimiter(delimiter),
        image=_image(image),
        **plain,
    )


def source(data: list[Path] | None, dataset: str | None) -> tuple[Path, ...] | str:
    """The files, or the embedded data set.

    Raises:
        ConfigError: both or neither is named.
    """
    if bool(data) == (dataset is not None):
        raise ConfigError("name one table: a file DATA with --target COLUMN, or --dataset NAME")
    return tuple(data) if data else str(dataset)


def _names(texts: list[str] | None) -> tuple[str, ...]:
    parts = [part.strip() for text in texts or [] for part in text.split(",")]
    return tuple(dict.fromkeys(part for part in parts if part))


def _delimiter(text: str | None) -> str | None:
    return {"tab": "\t", "\\t": "\t", "blank": " "}.get(text or "", text)


def _image(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})[x×]([1-9]\d{0,4})", text)
    if found is None:
        raise ConfigError(f"--image is {text!r}, expected WIDTHxHEIGHT, such as 28x28")
    return int(found[1]), int(found[2])


def _task(text: str) -> Task | None:
    choices: dict[str, Task | None] = {
        "auto": None,
        "classification": "classification",
        "regression": "regression",
    }
    if text not in choices:
        raise ConfigError(f"--task is {text!r}, expected one of {', '.join(choices)}")
    return choices[text]
