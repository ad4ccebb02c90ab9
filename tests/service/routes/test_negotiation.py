import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import NotAcceptable, RequestError, UnsupportedMediaType
from service.routes.negotiation import PLAIN, choose, content_type, negotiate, parse

FORMS = ("application/json", "text/csv", "application/x-npy")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "application/json"),
        (b"", "application/json"),
        (b"*/*", "application/json"),
        (b"text/csv", "text/csv"),
        (b"TEXT/CSV; header=present", "text/csv"),
        (b"text/*", "text/csv"),
        (b"text/html, application/xml;q=0.9, */*;q=0.8", "application/json"),
        (b"text/csv;q=0.5, application/x-npy", "application/x-npy"),
        (b"text/csv;q=0.5, application/x-npy;q=0.4", "text/csv"),
        (b"text/csv, application/json", "application/json"),
        (b"application/*;q=0.2, */*;q=0.1", "application/json"),
        (b"*/*, application/json;q=0", "text/csv"),
        (b"application/*, application/json;q=0.1, text/csv;q=0", "application/x-npy"),
        (b"text/csv;q=1.000", "text/csv"),
        (b"text/csv;q=0.001", "text/csv"),
        (b"text/csv , ,", "text/csv"),
    ],
)
def test_the_heaviest_form_is_chosen_and_of_equals_the_first(accept: bytes | None, form: str) -> None:
    assert choose(accept, FORMS) == form


@pytest.mark.parametrize("accept", [b"image/png", b"text/csv;q=0", b"text/csv;q=2", b"text/csv;q=x", b"csv"])
def test_when_nothing_matches_the_forms_offered_are_named(accept: bytes) -> None:
    with pytest.raises(NotAcceptable, match=r"accept application/json or text/csv or application/x-npy"):
        choose(accept, FORMS)


@pytest.mark.parametrize(
    "header", [None, b"", b"text/plain", b"application/json; charset=utf-16", b'text/csv; charset="latin-1"']
)
def test_a_form_that_is_not_read_is_refused_with_those_that_are(header: bytes | None) -> None:
    with pytest.raises(UnsupportedMediaType, match="send application/json or text/csv"):
        content_type(header, FORMS)


def test_parameters_are_read_with_and_without_quotes() -> None:
    media = parse('Text/CSV ; Charset="utf-8";header=absent')
    assert media == ("text/csv", {"charset": "utf-8", "header": "absent"})


def test_several_accept_headers_count_as_one() -> None:
    headers = [(b"content-type", b"application/json"), (b"accept", b"image/png"), (b"accept", b"text/csv")]
    assert negotiate(headers, FORMS, FORMS) == ("application/json", "text/csv", {})


@pytest.mark.parametrize("accept", [[], [(b"accept", b"*/*")], [(b"accept", b"application/json")]])
def test_plain_json_needs_no_parsing(accept: list[tuple[bytes, bytes]]) -> None:
    assert negotiate([(b"content-type", b"application/json"), *accept], FORMS, FORMS) is PLAIN


@given(st.binary(max_size=80), st.text('text/csv*;q=0.1, "\\', max_size=60))
def test_any_header_is_read_or_refused(noise: bytes, text: str) -> None:
    for header in (noise, text.encode()):
        for read in (choose, content_type):
            try:
                read(header, FORMS)
            except RequestError:
                continue
