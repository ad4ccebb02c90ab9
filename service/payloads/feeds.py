"""Rows or columns of checked values → an array for each graph input, in its dtype and shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from service.payloads import rules
from service.signature import TEXT, Array, Feeds, Input, Signature


def of_rows(rows: Sequence[Sequence[Any]], signature: Signature, where: str) -> Feeds:
    """The feeds of values that the rules have passed, row by row.

    Raises:
        InvalidRows: there are none, or another number than the graph takes.
    """
    rules.check_count(len(rows), signature, where)
    return {entry.name: _of_rows(rows, entry, signature) for entry in signature.inputs}


def of_columns(columns: Sequence[Array], signature: Signature) -> Feeds:
    """The feeds of arrays, one for each column and already in its dtype. Shape: each (rows,)."""
    return {entry.name: _of_columns(columns, entry) for entry in signature.inputs}


def dtype_of(dtype: str) -> np.dtype[Any]:
    """The dtype of the array that the runtime takes: objects for text."""
    return np.dtype(object if dtype == TEXT else dtype)


def _of_rows(rows: Sequence[Sequence[Any]], entry: Input, signature: Signature) -> Array:
    dtype = dtype_of(entry.dtype)
    if entry.flat:
        return np.array([row[entry.columns[0]] for row in rows], dtype)
    if len(signature.inputs) == 1:
        return np.array(rows, dtype)
    return np.array([[row[index] for index in entry.columns] for row in rows], dtype)


def _of_columns(columns: Sequence[Array], entry: Input) -> Array:
    if entry.flat:
        return columns[entry.columns[0]]
    # An input of open width takes all that came.
    places = entry.columns or range(len(columns))
    result = np.empty((len(columns[0]), len(places)), dtype_of(entry.dtype))
    for position, index in enumerate(places):
        result[:, position] = columns[index]
    return result
