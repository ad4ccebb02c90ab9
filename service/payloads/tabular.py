"""CSV, Arrow IPC streams and Parquet ↔ arrays, by way of polars: the only module that imports it for serving.

Life of a table: bounds checked on the bytes → a polars frame → columns in the model's order → the rules of
`columns` and `matrix`. `foldserve predict` takes the same way from the frame on, so a valid table is one
thing everywhere. Whatever polars throws at damaged bytes, its Rust panics too, becomes MalformedBody.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from service.errors import InvalidRows, RequestError, TooManyNumbers, TooManyRows
from service.metadata import Label
from service.payloads import arrow_bounds, columns, csv_text, matrix, parquet_bounds, rules
from service.payloads.extent import Extent
from service.payloads.values import show
from service.signature import Feeds, Signature

MOST_COLUMNS = 10_000
"""The widest table that is read for a model that leaves the number of its features open."""

_DAMAGE = (
    pl.exceptions.PolarsError,
    pl.exceptions.PanicException,
    OSError,
    EOFError,
    ValueError,
    zlib.error,
)

Array = NDArray[Any]


def decode_csv(body: bytes, signature: Signature, most: int, header: csv_text.Header | None = None) -> Feeds:
    """The rows of a CSV of at most `most` numbers.

    Raises:
        MalformedBody: it is not CSV in UTF-8.
        TooManyNumbers: its lines, empty ones too, times its columns are more than the limit.
        InvalidRows: it is, but not rows that fit the signature.
    """
    opening = csv_text.read_opening(body, signature, header)
    check_names(opening.names, opening.width, signature)
    if (fields := opening.rows.count(b"\n") * opening.width) > most:
        raise TooManyNumbers(fields, most)
    return rows_of(read_csv(opening), signature, by_name=opening.names is not None)


def decode_arrow(body: bytes, signature: Signature, most: int, most_rows: int | None = None) -> Feeds:
    """The rows of an Arrow IPC stream of at most `most` numbers.

    Raises:
        MalformedBody: it is not such a stream.
        TooManyNumbers: it would unpack to more numbers than the limit.
        InvalidRows: it is sound, but not rows that fit the signature.
    """
    extent = arrow_bounds.check(body, _widest(signature), most, signature.dtypes)
    _check_extent(extent, signature, most_rows)
    with _refusing(arrow_bounds.malformed):
        frame = pl.read_ipc_stream(io.BytesIO(body))
    if Extent(frame.columns, frame.height) != extent:
        raise arrow_bounds.malformed("it holds another table than its messages announce")
    columns.check_text(frame, most)
    return rows_of(frame, signature, typed=True)


def decode_parquet(body: bytes, signature: Signature, most: int, most_rows: int | None = None) -> Feeds:
    """The rows of a Parquet file of at most `most` numbers.

    Raises:
        MalformedBody: it is not Parquet.
        TooManyNumbers: it would unpack to more numbers than the limit.
        InvalidRows: it is sound, but not rows that fit the signature.
    """
    extent = parquet_bounds.check(body, _widest(signature), most, signature.dtypes)
    _check_extent(extent, signature, most_rows)
    with _refusing(parquet_bounds.malformed):
        frame = pl.read_parquet(io.BytesIO(body))
    if Extent(frame.columns, frame.height) != extent:
        raise parquet_bounds.malformed("it holds another table than its footer announces")
    columns.check_text(frame, most)
    return rows_of(frame, signature, typed=True)


def read_csv(opening: csv_text.Opening) -> pl.DataFrame:
    """The rows below a CSV's first line, as text. An empty line is a row without values, but not at the end.

    Raises:
        MalformedBody: polars cannot read it.
        InvalidRows: a line has more or fewer fields than the first.
    """
    names = opening.names or [str(index) for index in range(opening.width)]
    schema = {f"{index}": pl.String for index in range(opening.width)}
    rows = opening.rows.rstrip(b"\r\n")
    if not rows:
        return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
    with _refusing(partial(csv_text.refusal, rows, opening.width)):
        frame = pl.read_csv(io.BytesIO(rows), has_header=False, schema=schema)
    if frame.width > 1 and frame[:, -1].null_count():
        # A line that ends early looks the same to polars as one whose last fields are empty.
        csv_text.check_widths(io.StringIO(rows.decode(), newline="\n"), opening.width)
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def read_file(path: Path, signature: Signature) -> pl.DataFrame:
    """A local file, .csv, .csv.gz or .parquet, trusted to be no larger than the machine.

    Raises:
        MalformedBody: it cannot be read.
        InvalidRows: a CSV names a feature twice, or a line has fewer fields than the first.
        OSError: the disk refuses.
    """
    if path.suffix == ".parquet":
        with _refusing(parquet_bounds.malformed):
            return pl.read_parquet(path)
    with _refusing(csv_text.malformed), _text(path) as lines:
        header = csv_text.header(lines)
    if signature.named:
        # polars would rename the second one.
        header = _names(header, signature)
        _check_doubles([name for name in header if name in signature.feature_set])
    with _refusing(csv_text.malformed):
        frame = pl.read_csv(path, infer_schema=False)
    if signature.named and frame.width == len(header):
        frame = _named(frame, header)
    if frame.width > 1 and frame[:, -1].null_count():
        with _text(path) as lines:
            csv_text.check_widths(lines, len(csv_text.header(lines)))
    return frame


def _names(header: Sequence[str], signature: Signature) -> list[str]:
    """As training reads them: without blanks around them, unless a feature has some, and none is empty."""
    known = signature.feature_set
    return [
        name if name in known else name.strip() or f"unnamed_{place}" for place, name in enumerate(header)
    ]


def _named(frame: pl.DataFrame, header: Sequence[str]) -> pl.DataFrame:
    """Under the names that the file gives; polars leaves quotes within one doubled."""
    times = Counter(header)
    # A feature stands once; of other columns that stand twice nobody asks for the name.
    names = [name if times[name] == 1 else f"{place} of the file" for place, name in enumerate(header)]
    return frame.rename(dict(zip(frame.columns, names, strict=True)))


def _text(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def rows_of(frame: pl.DataFrame, signature: Signature, *, by_name: bool = True, typed: bool = False) -> Feeds:
    """The features of a frame, in the model's order and dtype; names must have been checked before.

    Args:
        typed: whether text is meant as text; in a CSV it may be any value.

    Raises:
        InvalidRows: a value is not one that the model takes.
    """
    series = frame.select(signature.features) if signature.named and by_name else frame
    arrays = [columns.values(column, signature, index, typed=typed) for index, column in enumerate(series)]
    return matrix.from_columns(arrays, signature)


def check_names(names: Sequence[str] | None, width: int, signature: Signature) -> None:
    """Refuse columns that are not the model's: by name when it has names, by their number when it is bare.

    Raises:
        InvalidRows: names are missing, unknown or given twice, or the number of columns is wrong.
    """
    _check_doubles(names or ())
    if signature.named and names is not None:
        rules.check_names(dict.fromkeys(names), signature, "columns", "columns")
    expected = signature.width or min(max(width, 1), MOST_COLUMNS)
    if width != expected:
        text = f"expected {expected} features, got {width} columns"
        raise InvalidRows(text, got=f"{width} columns", wanted=f"{expected} columns", where="columns")


def _check_doubles(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise rules.invalid(f"the column {show(name)} is given twice", name, "each once", "columns")
        seen.add(name)


def predictions(
    outputs: Array, classes: Sequence[Label] | None, probabilities: Array | None = None
) -> pl.DataFrame:
    """A column `prediction`, then one column for each class's probability or further output."""
    if probabilities is not None:
        names = [f"probability_{index}" for index in range(probabilities.shape[1])]
        shares = [_column(name, probabilities[:, i]) for i, name in enumerate(names)]
        return pl.DataFrame([_column("prediction", outputs), *shares])
    if classes is not None:
        best = [classes[index] for index in outputs.argmax(axis=1).tolist()]
        text = any(isinstance(label, str) for label in classes)
        labels = pl.Series("prediction", [str(label) for label in best] if text else best)
        names = _unique([f"probability_{label}" for label in classes])
        return pl.DataFrame([labels, *(_column(name, outputs[:, i]) for i, name in enumerate(names))])
    flat = outputs.reshape(len(outputs), -1) if outputs.ndim else outputs.reshape(1, 1)
    names = ["prediction", *(f"prediction_{index}" for index in range(1, flat.shape[1]))]
    return pl.DataFrame([_column(name, flat[:, i]) for i, name in enumerate(names[: flat.shape[1]])])


def encode_csv(outputs: Array, classes: Sequence[Label] | None, probabilities: Array | None = None) -> bytes:
    """Predictions as CSV with a header; a number has the digits that its dtype needs, no more."""
    return predictions(outputs, classes, probabilities).write_csv().encode()


def encode_arrow(
    outputs: Array, classes: Sequence[Label] | None, probabilities: Array | None = None
) -> bytes:
    """Predictions as an Arrow IPC stream, not compressed."""
    frame = predictions(outputs, classes, probabilities)
    return _written(lambda file: frame.write_ipc_stream(file))


def encode_parquet(
    outputs: Array, classes: Sequence[Label] | None, probabilities: Array | None = None
) -> bytes:
    """Predictions as a Parquet file."""
    frame = predictions(outputs, classes, probabilities)
    return _written(lambda file: frame.write_parquet(file))


def _widest(signature: Signature) -> int:
    return max(MOST_COLUMNS, len(signature.features))


def _check_extent(extent: Extent, signature: Signature, most_rows: int | None) -> None:
    check_names(extent.columns, len(extent.columns), signature)
    rules.check_count(extent.rows, signature, "table")
    if most_rows is not None and extent.rows > most_rows:
        raise TooManyRows(extent.rows, most_rows)


@contextmanager
def _refusing(refusal: Callable[[str], RequestError]) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError as error:
        raise refusal(f"its byte {error.start} is not UTF-8") from None
    except _DAMAGE as error:
        text = str(error).strip()
        # Some of its messages hold paths and lines of its source.
        line = "" if "source_location" in text else text.partition("\n")[0]
        raise refusal(line[:200] or "it is damaged") from None


def _column(name: str, values: Array) -> pl.Series:
    return pl.Series(name, values.tolist() if values.dtype == object else np.ascontiguousarray(values))


def _unique(names: list[str]) -> list[str]:
    """Names that a table can have: classes may look alike, such as 1 and "1"."""
    return names if len(set(names)) == len(names) else [f"{name}_{i}" for i, name in enumerate(names)]


def _written(write: Callable[[IO[bytes]], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()
