import numpy as np
import polars as pl
import pytest

from service.errors import InvalidRows, MalformedBody, TooManyNumbers
from service.payloads import arrow_bounds
from tests.service.payloads.tables import write

FRAME = pl.DataFrame({"age": np.arange(300), "height": np.linspace(0, 1, 300)})


@pytest.mark.parametrize("compression", ["uncompressed", "zstd", "lz4"])
def test_columns_and_rows_are_known_before_a_buffer_is_unpacked(compression: str) -> None:
    body = write(FRAME, "arrow", compression=compression)
    assert arrow_bounds.check(body, 2, 600) == (["age", "height"], 300)
    with pytest.raises(TooManyNumbers, match="600 numbers, the limit is 599"):
        arrow_bounds.check(body, 2, 599)
    with pytest.raises(InvalidRows, match="at most 1 columns, got 2"):
        arrow_bounds.check(body, 1, 600)


def test_a_packed_buffer_that_claims_to_be_larger_than_its_column_is_refused() -> None:
    body = write(FRAME, "arrow", compression="zstd")
    size = (300 * 8).to_bytes(8, "little")
    assert body.count(size) == 2
    for claim in (2**62, 2400 + 129, 2399, -2):
        with pytest.raises(MalformedBody, match="cannot hold 2400"):
            arrow_bounds.check(body.replace(size, claim.to_bytes(8, "little", signed=True), 1), 2, 600)


def test_a_stream_may_lack_its_end_mark_but_no_part_of_a_message() -> None:
    body = write(FRAME, "arrow")
    assert arrow_bounds.check(body[:-8], 2, 600).rows == 300
    for cut in (0, 1, 4, 8, 100, 400, len(body) - 9):
        with pytest.raises(MalformedBody):
            arrow_bounds.check(body[:cut], 2, 600)


@pytest.mark.parametrize("values", [["a"], [True], [None], [[1.0]]])
def test_only_numbers_are_let_through(values: list[object]) -> None:
    with pytest.raises((InvalidRows, MalformedBody)):
        arrow_bounds.check(write(pl.DataFrame({"age": values}), "arrow"), 2, 600)
