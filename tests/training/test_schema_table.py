from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl
from rich.console import Console

from training.columns import Finding
from training.config import DataConfig
from training.data import load
from training.schema import Role, Schema
from training.schema_table import schema_table, show


def printed(schema: Schema, width: int = 120) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(schema_table(schema))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]


def test_each_column_has_a_line_with_what_will_be_done() -> None:
    roles = (
        Role("age", "numeric", "whole numbers", 1836, 73, marks=("?",)),
        Role("[red]", "categorical", "text", 0, 1200),
        Role("id", "dropped", "whole numbers", 0, 9, "id-like"),
        Role("y", "target", "text", 0, 2),
    )
    lines = printed(Schema(roles, (Finding("id", "id-like", "counts the rows"),)))
    assert [line.split() for line in lines] == [
        ["column", "values", "missing", "distinct", "what", "is", "done"],
        ["age", "whole", "numbers", "1,836", "(?)", "73", "number,", "missing", "ones", "flagged"],
        ["[red]", "text", "1,200", "1,200", "categories"],
        ["id", "whole", "numbers", "9", "dropped:", "id-like"],
        ["y", "text", "2", "target"],
        ["!", "id", "counts", "the", "rows", "(--numeric", "or", "--categorical", "keeps", "it)"],
    ]


def test_many_columns_alike_are_one_line() -> None:
    roles = tuple(Role(f"x{i}", "numeric", "whole numbers", 0, i + 1) for i in range(784))
    lines = printed(Schema((*roles, Role("y", "target", "text", 0, 2))))
    assert len(lines) == 3
    assert " ".join(lines[1].split()) == "x0 … x783 (784 columns) whole numbers 1 to 784 number"


def test_many_findings_are_cut_short() -> None:
    findings = tuple(Finding(f"x{i}", "constant", "is 0 in every row") for i in range(100))
    lines = printed(Schema((Role("a", "numeric", "numbers", 0, 2),), findings))
    assert len(lines) == 33
    assert lines[-1] == "! and 70 more such lines"


def test_notes_and_counts_are_shown_around_the_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    pl.DataFrame({"n": np.arange(40) / 7, "y": ["a", "b"] * 20}).write_csv(path, separator=";")
    console = Console(file=io.StringIO(), width=120)
    show(console, load(DataConfig(path, "y"), 0))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "rows.csv: fields are separated by ';'"
    assert lines[-2:] == [
        "rows.csv: 1 feature → y (2 classes)",
        "rows: 28 to train, 6 to validate, 6 to test",
    ]
