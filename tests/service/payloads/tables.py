"""Tables in every form, and models to read them for, for the tests of the payloads."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from service.errors import RequestError
from service.payloads import formats, strict_json
from service.signature import Array, Signature

MOST = 1_000_000
FORMS = {"csv": formats.CSV, "arrow": formats.ARROW, "parquet": formats.PARQUET}


def signature(
    *names: str, dtype: str = "float32", rows: int | None = None, named: bool = True, width: int = 2
) -> Signature:
    """A model of the features named, or of `width` features without names."""
    features = (names or ("age", "height")) if named else tuple(f"f{i}" for i in range(width))
    return Signature.of_table("x", dtype, features, rows, "y", named=named)


def write(frame: pl.DataFrame, form: str, **options: Any) -> bytes:
    """A frame as bytes."""
    file = io.BytesIO()
    writer = {"csv": frame.write_csv, "arrow": frame.write_ipc_stream, "parquet": frame.write_parquet}[form]
    writer(file, **options)
    return file.getvalue()


def npy(array: NDArray[Any], version: tuple[int, int] = (1, 0)) -> bytes:
    """An array as numpy.save writes it."""
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version=version, allow_pickle=False)
    return file.getvalue()


def decode(body: bytes, form: str, model: Signature, most: int = MOST, header: Any = None) -> Array:
    """By the table of forms."""
    return formats.decode(FORMS.get(form, formats.NPY), body, model, most, header)["x"]


def json_rows(values: Any, model: Signature) -> Array:
    """What /predict in JSON makes of the same rows."""
    return strict_json.decode(json.dumps({"inputs": values}).encode(), model)["x"]


def outcome(body: bytes, form: str, model: Signature, most: int = MOST) -> Array | None:
    """Sound rows or a refusal of one line; anything else fails the test."""
    try:
        rows = decode(body, form, model, most)
    except RequestError as refusal:
        return _sound(refusal)
    assert rows.ndim == 2
    assert rows.shape[1] == len(model.features)
    assert 0 < rows.size <= most
    assert rows.dtype == np.dtype(model.inputs[0].dtype)
    assert np.isfinite(rows).all()
    return rows


def _sound(refusal: RequestError) -> None:
    assert all((str(refusal), refusal.got, refusal.wanted, refusal.where))
