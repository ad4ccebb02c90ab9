import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from service.logs import JsonForm, TextForm, configure

log = logging.getLogger("foldserve.test")


def record(message: str, error: Exception | None = None, **facts: Any) -> logging.LogRecord:
    caught = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("foldserve.test", logging.ERROR, "", 0, message, (), caught)
    made.facts = facts
    made.created = 1764042278.5
    return made


def failed() -> Exception:
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        return error


@pytest.fixture
def restored() -> Iterator[None]:
    """The logging of the test run, once a test has changed it."""
    root, ours = logging.getLogger(), logging.getLogger("foldserve")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)


def test_a_line_is_one_json_object_with_the_facts() -> None:
    line = json.loads(JsonForm().format(record("said", request_id="7", rows=3)))
    assert line["time"] == "2025-11-25T03:44:38.500Z"
    assert (line["level"], line["message"], line["logger"]) == ("error", "said", "foldserve.test")
    assert (line["request_id"], line["rows"]) == ("7", 3)


def test_a_traceback_is_a_field_of_that_line() -> None:
    text = JsonForm().format(record("said", failed()))
    assert "\n" not in text
    line = json.loads(text)
    assert line["exception"] == "ZeroDivisionError"
    assert line["traceback"].startswith("Traceback (most recent call last):\n")
    assert "raise ZeroDivisionError" in line["traceback"]


@pytest.mark.parametrize("form", [JsonForm(), TextForm()])
def test_no_caller_can_end_a_line_or_colour_a_terminal(form: logging.Formatter) -> None:
    hostile = "/a\nERROR forged \x1b[31m\u2028\ud800"
    text = form.format(record(hostile, path=hostile, rows=1))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text
    text.encode("utf-8")


def test_a_line_for_a_person_has_the_traceback_below_it() -> None:
    text = TextForm().format(record("said", failed(), path="/a b", rows=3, empty=""))
    first, second, *_ = text.splitlines()
    assert first == '2025-11-25T03:44:38.500Z ERROR   said path="/a b" rows=3 empty=""'
    assert second == "Traceback (most recent call last):"


@pytest.mark.usefixtures("restored")
def test_what_is_no_terminal_gets_json(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    log.debug("unheard")
    log.info("heard")
    logging.getLogger("uvicorn.error").info("unheard")
    logging.getLogger("uvicorn.error").warning("from the server")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["message"] for line in lines] == ["heard", "from the server"]


@pytest.mark.usefixtures("restored")
def test_a_terminal_gets_words_unless_json_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    configure("debug")
    log.debug("heard")
    assert capsys.readouterr().err.endswith(" DEBUG   heard\n")
    configure("error", "json")
    log.warning("unheard")
    logging.getLogger("uvicorn.error").warning("unheard")
    log.error("heard")
    assert json.loads(capsys.readouterr().err)["message"] == "heard"
