"""One reader of JSON for every door: its limits hold before anything is built."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRows, MalformedBody, RequestError
from service.payloads.json_text import DEEPEST, is_too_deep, occurrences, parse


def given_twice(key: str) -> RequestError:
    return InvalidRows(f"{key} twice", got=key, wanted="once")


def read(body: bytes) -> Any:
    return parse(body, "a document", given_twice)


def nested(levels: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * levels + "1" + closing * levels).encode()


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"[":', "}]"), ("[0,", "]")])
def test_a_body_may_be_nested_to_the_limit_and_no_deeper(opening: str, closing: str) -> None:
    levels = DEEPEST // 2 if opening == '[{"[":' else DEEPEST
    assert read(nested(levels, opening, closing)) is not None
    for more in (1, 2, 1000, 100_000):
        with pytest.raises(MalformedBody, match="nested too deeply: at most 64 lists and objects"):
            read(nested(levels + more, opening, closing))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 65 + b"1", b"[{" * 9_000])
def test_what_never_closes_is_refused_without_following_it_down(body: bytes) -> None:
    with pytest.raises(MalformedBody, match="nested too deeply"):
        read(body)


@pytest.mark.parametrize("text", ["[" * 500, '"[' * 500, "\\[" * 500, '\\"[' * 500, "\\\\", "]" * 500])
def test_brackets_in_text_are_no_nesting(text: str) -> None:
    assert read(json.dumps([text, {text: text}, [text] * 99]).encode())[0] == text


def test_a_wide_body_is_not_deep() -> None:
    assert not is_too_deep(json.dumps([[[index]] for index in range(5000)]).encode())


DOCUMENTS = st.recursive(
    st.none() | st.text('[]{}"\\a') | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[]{}"\\a', max_size=3), inner),
    max_leaves=30,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(DOCUMENTS, st.integers(DEEPEST - 8, DEEPEST + 8), st.booleans())
def test_depth_is_counted_as_it_is(document: Any, levels: int, lists: bool) -> None:
    for _ in range(levels):
        document = [document, "]"] if lists else {"}": document}
    assert is_too_deep(json.dumps(document).encode()) == (depth(document) > DEEPEST)


@given(st.binary() | st.text('[]{}",:\\ 01aé').map(str.encode))
def test_any_bytes_are_a_document_or_refused_in_one_line(body: bytes) -> None:
    try:
        read(body)
    except RequestError as refusal:
        said = str(refusal)
    else:
        return
    assert "\n" not in said


def test_numbers_of_any_length_are_read() -> None:
    assert read(b"[1e999, -" + b"9" * 5000 + b", " + b"9" * 400 + b"]") == [
        float("inf"),
        float("-inf"),
        float("inf"),
    ]


@pytest.mark.parametrize("length", [0, 1, 4095, 4096, 100_000])
def test_a_mark_is_counted_in_short_and_long_texts(length: int) -> None:
    text = (b"[1,2],{}" * (length // 8 + 1))[:length]
    assert occurrences(text, b"[") == text.count(b"[")
    assert occurrences(text, b"{") == text.count(b"{")
