"""A table in, typed splits out; every statistic comes from the training rows only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from training.config import DataConfig
from training.data.division import Labelled, divided
from training.data.files import test_table, training_table
from training.data.splits import Splits
from training.errors import DataError
from training.features import UNKNOWN, sample_weights, texts
from training.schema import infer_schema
from training.splitting import three_ways
from training.tables import Table, counted, listing
from training.target import Target, with_clean_labels, with_known_targets


def load(config: DataConfig, seed: int) -> Splits:
    """Read the table, infer its schema and split it.

    Raises:
        DataError: the table cannot be used; the message says where and why.
    """
    table, name = training_table(config)
    table, dropped = with_known_targets(table, name, drop=config.drop_missing_target)
    if len(table) < 2:
        raise DataError(f"{table.source}: one row with a target; at least 2 are needed")
    table, cleaned = with_clean_labels(table, name)
    target = Target.of(table, name, config.task)
    y = target.encode(table)
    classes = len(target.classes) if target.classes else None
    schema = infer_schema(table, name, config, y, classes)
    test, test_notes = test_table(config, table, target, schema)
    share = 0.0 if test else (config.validation if config.test_share is None else config.test_share)
    split_seed = seed if config.split_seed is None else config.split_seed
    rows = three_ways(y, classes, config.validation, share, split_seed)
    weight = sample_weights(table, config.weight) if config.weight is not None else None
    splits = divided(Labelled(table, target, y, weight), schema, rows, test)
    unseen = _unseen(test, splits) if test else ()
    said = (*table.notes, dropped, cleaned, target.doubt, *test_notes, *unseen)
    return replace(splits, notes=tuple(dict.fromkeys(note for note in said if note)), image=config.image)


def _unseen(test: Table, splits: Splits) -> Iterator[str]:
    """A word on each column whose categories in test files are not all known."""
    for index, column in enumerate(splits.categorical_columns):
        unknown = splits.test.categorical[:, index] == UNKNOWN
        if unknown.any():
            labels = texts(test.frame[column.name]).filter(pl.Series(unknown)).unique().sort().to_list()
            rows = counted(int(unknown.sum()), "row")
            yield (
                f"{Path(test.source).name}: {rows} with categories of {column.name!r} that training lacks, "
                f"taken for unknown: {listing(labels)}"
            )
