import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import MalformedBody
from service.payloads.compact_thrift import Reader


def test_a_structure_is_read_by_field_numbers() -> None:
    # 1: i32 -1, 2: binary "ab", 3: list of i64 [1, 2], 4: true, 5: {1: double}, 20: i8 7
    data = b"\x15\x01\x18\x02ab\x19\x26\x02\x04\x11\x1c\x17" + b"\x00" * 8 + b"\x00\x03\x28\x07\x00"
    reader = Reader(data)
    fields = reader.struct()
    assert fields == {1: -1, 2: b"ab", 3: [1, 2], 4: True, 5: {1: b"\x00" * 8}, 20: 7}
    assert reader.position == len(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x1c" * 100, "nested too deeply"),
        (b"\x1f", "unknown type 15"),
        (b"\x18\x7f", "cut short"),
        (b"\x19\xf6\xff\xff\xff\x7f", "list longer than itself"),
        (b"\x16" + b"\xff" * 12, "more than 64 bits"),
    ],
)
def test_damage_is_named(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedBody, match=reason):
        Reader(data).struct()


def test_a_footer_of_millions_of_values_is_given_up() -> None:
    lists = b"\x19\xf3" + b"\xff\xff\x7f" + b"\x00" * 2_097_151
    start = time.perf_counter()
    with pytest.raises(MalformedBody, match="too many values"):
        Reader(lists + b"\x00").struct()
    assert time.perf_counter() - start < 20


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_structure_or_a_refusal(data: bytes) -> None:
    try:
        Reader(data).struct()
    except (MalformedBody, IndexError):
        return
