"""The files of a run: those of the table, and those of the test, read as the table was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl

from training.config import DataConfig
from training.errors import DataError
from training.schema import Schema
from training.tables import EMBEDDED, Reading, Table, embedded_table, read_table
from training.tables.table import MARKS, Kind, difference
from training.target import Target, with_clean_labels, with_known_targets


def training_table(config: DataConfig) -> tuple[Table, str]:
    """The table and the name of its target.

    Raises:
        DataError: a file cannot be read, or a column that was named is not there.
    """
    if isinstance(config.source, str):
        return embedded_table(config.source), EMBEDDED[config.source]
    files = _files(config.source)
    if config.target is None:
        raise DataError(f"{files[0]}: name the column to predict with --target")
    kinds: dict[str, Kind] = dict.fromkeys(config.numeric, "numeric")
    kinds |= dict.fromkeys(config.categorical, "categorical")
    table = read_table(files, config.target, _reading(config, kinds))
    if config.weight is not None:
        table.column(config.weight)
    named = files[0].name + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    return replace(table, source=named), config.target


def _files(paths: Path | tuple[Path, ...]) -> tuple[Path, ...]:
    return (paths,) if isinstance(paths, Path) else paths


def _reading(config: DataConfig, kinds: dict[str, Kind], table: Table | None = None) -> Reading:
    remarks = table.remarks if table else {}
    words = {name: remark.words for name, remark in remarks.items() if remark.words}
    writings = {name: remark.writing for name, remark in remarks.items() if not remark.writing.plain}
    return Reading(
        config.delimiter,
        config.header,
        config.columns,
        config.skip_lines,
        MARKS if config.missing is None else config.missing,
        kinds,
        words,
        writings,
    )


def test_table(
    config: DataConfig, table: Table, target: Target, schema: Schema
) -> tuple[Table | None, tuple[str, ...]]:
    """The test files, read as the training files were, and notes about them; None without such files.

    Raises:
        DataError: they cannot be read, or their columns differ.
    """
    if config.test is None:
        return None, ()
    kinds: dict[str, Kind] = {
        role.name: "categorical" if role.kind == "categorical" else "numeric" for role in schema.features
    }
    test = read_table(_files(config.test), target.name, _reading(config, kinds, table))
    test = _with_whole_codes(test, schema)
    free = [role.name for role in schema.roles if role.kind in ("dropped", "weight")]
    differs = difference(
        [name for name in table.names if name not in free], [name for name in test.names if name not in free]
    )
    if differs:
        raise DataError(f"{test.source}: columns differ from {table.source}: {differs}")
    test, dropped = with_known_targets(test, target.name, drop=config.drop_missing_target)
    test, cleaned = with_clean_labels(test, target.name, target.classes or ())
    return test, (*test.notes, dropped, cleaned)


def _with_whole_codes(test: Table, schema: Schema) -> Table:
    """Codes without the point that pandas writes behind whole numbers beside a missing one."""
    whole = [role.name for role in schema.features if role.stored == "whole numbers"]
    coded = [name for name in whole if name in test.names and test.frame[name].dtype == pl.String]
    frame = test.frame.with_columns(pl.col(coded).str.replace(r"^(-?\d+)\.0+$", "$1"))
    return replace(test, frame=frame)
