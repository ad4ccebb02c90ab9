"""Damaged lengths in Parquet and Arrow must not reach polars: some of them end its process."""

import io
import random

import numpy as np
import polars as pl
import pytest

from service.errors import InvalidRows, MalformedBody, TooManyNumbers
from service.payloads import parquet_bounds
from tests.service.payloads.tables import outcome, signature, write

FRAME = pl.DataFrame({"age": np.arange(300) % 3, "height": np.linspace(0, 1, 300)})


@pytest.mark.parametrize("compression", ["uncompressed", "snappy", "zstd", "gzip", "lz4"])
def test_columns_and_rows_are_known_before_a_page_is_unpacked(compression: str) -> None:
    body = write(FRAME, "parquet", compression=compression, row_group_size=70)
    assert parquet_bounds.check(body, 2, 600) == (["age", "height"], 300)
    with pytest.raises(TooManyNumbers, match="600 numbers, the limit is 599"):
        parquet_bounds.check(body, 2, 599)
    with pytest.raises(InvalidRows, match="at most 1 columns, got 2"):
        parquet_bounds.check(body, 1, 600)


def test_a_page_that_claims_to_be_larger_than_its_values_is_refused() -> None:
    noise = pl.DataFrame({"a": np.random.default_rng(0).normal(size=3000)})
    body = write(noise, "parquet", compression="uncompressed")
    # A page header starts with its type and its size unpacked, the size here in three bytes.
    assert (body[4], body[6], body[7] > 127, body[8] > 127, body[9] < 128) == (0x15, 0x15, True, True, True)
    assert parquet_bounds.check(body, 1, 3000).rows == 3000
    with pytest.raises(MalformedBody, match="a page of 1048575 bytes cannot hold 3000 of 3000 values"):
        parquet_bounds.check(body[:7] + b"\xfe\xff\x7f" + body[10:], 1, 3000)


@pytest.mark.parametrize("name", ["age", "höhe", ""])
def test_names_are_read_as_they_were_written(name: str) -> None:
    file = io.BytesIO()
    pl.DataFrame({name: [1.0]}).write_parquet(file)
    assert parquet_bounds.check(file.getvalue(), 1, 1).columns == [name]


def test_files_with_a_few_wrong_bytes_never_end_the_process() -> None:
    """One such byte makes polars ask for 2^61 bytes and abort, which would end this test run."""
    chance = random.Random(0)
    for form, compressions in {
        "parquet": ["uncompressed", "zstd", "snappy"],
        "arrow": ["uncompressed", "zstd", "lz4"],
    }.items():
        bodies = [write(FRAME, form, compression=compression) for compression in compressions]
        for _ in range(1500):
            body = bytearray(chance.choice(bodies))
            for _ in range(chance.randint(1, 4)):
                late = chance.random() < 0.5
                place = chance.randrange(max(0, len(body) - 800) if late else 0, len(body))
                body[place] = chance.choice([0, 127, 128, 255, chance.randrange(256)])
            outcome(bytes(body), form, signature())
