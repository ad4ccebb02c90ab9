"""The section Try it: forms made from models, answers as one types, drawings, and programs that work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

from tests import graphs
from tests.browser.conftest import KEY, Changing, Visit
from tests.browser.looks import LOOKS, every_look, faults, overflow, shoot
from tests.browser.zoo import HOSTILE
from tests.processes import Server

NARROW = LOOKS[2]
LANGUAGES = ("curl", "Python", "JavaScript", "tritonclient")
_RUNNER = """
import contextlib, io, json, sys
for line in sys.stdin:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(json.loads(line), {"__name__": "__main__"})
    print(json.dumps(out.getvalue()), flush=True)
"""


def open_model(visit: Visit, server: Server, name: str, **options: Any) -> Page:
    page = visit(f"#/try/{name}", server=server, anew=False, **options)
    expect(page.locator(".trial-time")).to_contain_text("Latency of the call")
    return page


def headline(page: Page) -> Any:
    return page.locator(".trial-headline")


def program(page: Page, language: str) -> str:
    """What the button for a language copies."""
    page.get_by_role("tab", name=language).click()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_text(f"{language} copied.").last).to_be_visible()
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def row_of(page: Page) -> list[float]:
    """The row that the page has last asked about."""
    page.get_by_role("tab", name="curl").click()
    expect(page.locator(".waiting")).to_have_count(0)
    text = page.get_by_role("tabpanel").inner_text()
    row: list[float] = json.loads(text[text.index("{") : text.rindex("}") + 1])["inputs"][0]
    return row


class Python:
    """An interpreter that runs one program after the other, each in a namespace of its own."""

    def __init__(self) -> None:
        environment = os.environ | {"FOLDSERVE_KEY": KEY}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def run(self, program: str) -> str:
        """What it prints."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps(program)}\n")
        self.process.stdin.flush()
        printed: str = json.loads(self.process.stdout.readline())
        return printed


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    python = Python()
    yield python
    python.process.communicate(timeout=30)


def run(page: Page, python: Python, language: str, text: str) -> str:
    """What a program prints, run as its reader would."""
    if language == "JavaScript":
        log = "let out = ''; const console = { log: (v) => { out += JSON.stringify(v); } };"
        printed: str = page.evaluate(f"async () => {{ {log} {text}\nreturn out; }}")
        return printed
    if language != "curl":
        return python.run(text)
    command, environment = ["bash", "-c", text], os.environ | {"FOLDSERVE_KEY": KEY}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return done.stdout


def numbers(text: str) -> list[float]:
    """Those inside the brackets of arrays that were printed."""
    inside = text[text.index("[") :].replace("[", " ").replace("]", " ").split()
    return [float(word) for word in inside if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", word)]


@pytest.mark.parametrize("name", ["digits", "visits", "columns", "hostile", "three"])
def test_each_program_works_when_it_is_pasted(visit: Visit, odd: Server, python: Python, name: str) -> None:
    page = open_model(visit, odd, name)
    if name == "visits":
        page.get_by_label("missing: age").check()
        page.get_by_label("city", exact=True).select_option(label="missing")
    if name == "columns":
        page.get_by_label("city").fill('it\'s "Köln"')
        page.get_by_label("vip").select_option("true")
    expect(page.locator(".waiting")).to_have_count(0)
    programs = {language: program(page, language) for language in LANGUAGES}
    curl = json.loads(run(page, python, "curl", programs["curl"]))
    said = "2 outputs" if name == "three" else str(curl["predictions"][0])
    expect(headline(page).locator("strong")).to_have_text(said)
    assert json.loads(run(page, python, "JavaScript", programs["JavaScript"])) == curl
    assert run(page, python, "Python", programs["Python"]).strip() == str(curl)
    tensors = numbers(run(page, python, "tritonclient", programs["tritonclient"]))
    first = curl.get("probabilities", curl["predictions"])[0]
    # Copies of the row where the graph wants several.
    assert np.allclose(np.array(tensors[-len(first) :]), first, rtol=1e-5, atol=0)


def test_programs_take_the_key_from_elsewhere(visit: Visit, keyed: Server, python: Python) -> None:
    page = visit("#/try/diabetes", server=keyed, refusals=True, draws=False)
    page.get_by_label("Key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    expect(page.locator(".trial-time")).to_contain_text("Latency of the call")
    programs = {language: program(page, language) for language in LANGUAGES}
    assert not [language for language, text in programs.items() if KEY in text]
    value = json.loads(run(page, python, "curl", programs["curl"]))["predictions"][0]
    assert f"{value:.5g}" == headline(page).locator("strong").text_content()
    assert str(value) in run(page, python, "Python", programs["Python"])
    assert f"{value:.6g}"[:6] in run(page, python, "tritonclient", programs["tritonclient"])
    javascript = programs["JavaScript"].replace("your key", KEY)
    assert str(value) in run(page, python, "JavaScript", javascript)


def test_a_form_is_made_from_what_the_model_says_of_itself(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "visits")
    expect(headline(page)).to_have_text("yes 62.2\u202f%")
    field = page.locator(".trial-field", has_text="age")
    expect(field).to_contain_text("years")
    expect(field).to_contain_text("0 to 90")
    choices = page.get_by_label("city", exact=True).locator("option")
    expect(choices).to_have_text([*graphs.CITIES, "missing", "another value…"])
    page.get_by_label("age, slider").focus()
    page.keyboard.press("Home")
    expect(page.get_by_label("age years", exact=True)).to_have_value("0")
    expect(page.locator(".trial-bars tr.best")).to_contain_text("yes")
    for look in every_look(page):
        shoot(page, look, "try-visits")
        assert overflow(page) == 0
        assert faults(page) == []


def test_the_answer_is_that_of_the_row_in_the_form(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "visits")
    page.get_by_label("missing: age").check()
    page.get_by_label("visits", exact=True).fill("7.5")
    page.get_by_label("city", exact=True).select_option(label="another value…")
    page.get_by_label("city, another value").fill("Paris")
    body = {"records": [{"age": None, "city": "Paris", "visits": 7.5}]}
    truth = httpx.post(f"{odd.address}/models/visits/predict", json=body).json()
    share = 100 * max(truth["probabilities"][0])
    expect(headline(page)).to_have_text(f"{truth['predictions'][0]} {share:.1f}\u202f%")


def test_a_value_unlike_those_of_training_is_pointed_out(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "visits")
    doubts = page.locator(".trial-doubts")
    expect(doubts).to_be_hidden()
    page.get_by_label("age years", exact=True).fill("91")
    expect(doubts).to_have_text("Outside what training saw: age. The answer is a guess there.")
    expect(page.locator(".trial-field.odd")).to_contain_text("outside the training rows: 0 to 90")
    page.get_by_label("city", exact=True).select_option(label="another value…")
    page.get_by_label("city, another value").fill("Paris")
    expect(doubts).to_contain_text("age, city")
    for look in every_look(page):
        shoot(page, look, "try-doubts")
        assert faults(page) == []
    page.get_by_role("button", name="Fill with an example").click()
    expect(doubts).to_be_hidden()


def test_a_number_that_is_missing_is_asked_for(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "diabetes")
    page.get_by_label("bmi", exact=True).fill("")
    expect(headline(page)).to_have_text("bmi needs a number.")
    page.get_by_label("bmi", exact=True).fill("25")
    expect(page.locator(".trial-time")).to_contain_text("Latency")


def test_examples_are_the_rows_the_file_was_certified_with(visit: Visit, odd: Server) -> None:
    golden = httpx.get(f"{odd.address}/models/diabetes").json()["metadata"]["golden"]
    page = open_model(visit, odd, "diabetes")
    for number in (1, 2, 3):
        expect(page.get_by_text(f"Example {number} of 8")).to_be_visible()
        value = golden["outputs"][number - 1][0]
        expect(headline(page).locator("strong")).to_have_text(f"{float(f'{value:.5g}'):g}")
        age = golden["inputs"][number - 1][0]
        expect(page.get_by_label("age", exact=True)).to_have_value(f"{age:g}")
        page.get_by_role("button", name="Fill with an example").click()


def test_only_the_answer_to_the_latest_row_is_shown(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "visits")
    held: list[Route] = []

    def hold_the_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    page.route("**/predict", hold_the_first)
    with page.expect_request("**/predict"):
        page.get_by_label("age years", exact=True).fill("10")
    with page.expect_response("**/predict"):
        page.get_by_label("age years", exact=True).fill("80")
    expect(page.locator(".waiting")).to_have_count(0)
    latest = headline(page).text_content()
    assert held[0].request.failure == "net::ERR_ABORTED"
    body = {"records": [{"age": 80, "city": "Oslo", "visits": 3}]}
    truth = httpx.post(f"{odd.address}/models/visits/predict", json=body).json()
    assert latest == f"{truth['predictions'][0]} {100 * max(truth['probabilities'][0]):.1f}\u202f%"


def test_typing_fast_makes_one_call(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "visits", alone=True)
    page.clock.install()
    calls: list[str] = []
    page.on(
        "request", lambda request: calls.append(request.post_data or "") if "predict" in request.url else None
    )
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))
    page.get_by_label("age years", exact=True).press_sequentially("55")
    page.get_by_label("visits", exact=True).fill("9")
    assert calls == []
    with page.expect_response("**/predict"):
        page.clock.run_for(200)
    assert len(calls) == 1
    assert json.loads(calls[0])["records"][0]["visits"] == 9


def test_a_drawing_becomes_the_row(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "digits")
    page.get_by_role("button", name="Clear").click()
    sheet = page.get_by_role("application", name="Drawing of 8 × 8 pixels")
    box = sheet.bounding_box()
    assert box
    cell = box["width"] / 8
    page.mouse.move(box["x"] + 4 * cell, box["y"] + 0.5 * cell)
    page.mouse.down()
    page.mouse.move(box["x"] + 4 * cell, box["y"] + 7.5 * cell, steps=8)
    page.mouse.up()
    drawn = np.array(row_of(page)).reshape(8, 8)
    # The brush is 1.8 wide: nine tenths of the columns on both sides of the middle, of 16.
    assert np.abs(drawn[1:7, 3:5] - 14.4).max() <= 1
    assert not drawn[:, [0, 1, 2, 5, 6, 7]].any()
    expect(headline(page).locator("strong")).to_have_text("1")
    truth = httpx.post(f"{odd.address}/models/digits/predict", json={"inputs": drawn.reshape(1, -1).tolist()})
    assert truth.json()["predictions"] == [1]
    for look in every_look(page):
        shoot(page, look, "try-digits")
        assert overflow(page) == 0
        assert faults(page) == []


def test_a_narrow_window_keeps_the_answer_in_sight(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "digits", look=NARROW)
    strip = page.locator(".trial-strip")
    expect(strip).to_have_text(headline(page).text_content() or "")
    expect(strip).to_be_visible()
    headline(page).scroll_into_view_if_needed()
    expect(strip).to_be_hidden()
    page.get_by_role("button", name="Copy").scroll_into_view_if_needed()
    expect(strip).to_be_hidden()


def test_the_keys_draw_too(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "digits")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("application", name="Drawing of 8 × 8 pixels").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    page.keyboard.press("Backspace")
    drawn = np.array(row_of(page)).reshape(8, 8)
    assert list(zip(*np.nonzero(drawn), strict=True)) == [(4, 4), (5, 4)]
    assert drawn.max() == 16
    expect(page.get_by_text("row 6, column 4: 0")).to_be_attached()


def test_examples_go_through_the_drawing_unchanged(visit: Visit, odd: Server) -> None:
    golden = httpx.get(f"{odd.address}/models/digits").json()["metadata"]["golden"]
    page = open_model(visit, odd, "digits")
    assert row_of(page) == golden["inputs"][0]
    page.get_by_role("button", name="Fill with an example").click()
    assert row_of(page) == golden["inputs"][1]


def test_a_row_of_numbers_becomes_the_drawing(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "wide")
    expect(page.get_by_role("application", name="Drawing of 28 × 28 pixels")).to_be_visible()
    page.get_by_text("The row as numbers").click()
    area = page.get_by_label("784 values")
    assert set(row_of(page)) == {0}
    area.fill("255\t" * 784)
    expect(page.locator(".waiting")).to_have_count(0)
    ink = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.filter((v, i) => i % 4 === 3)"
    assert set(page.locator(".trial-seen").evaluate(f"c => [...({ink})(c)]")) == {255}
    area.fill("300 1 2")
    expect(headline(page)).to_have_text("The row has 3 values; 784 are wanted.")
    area.fill("300 " * 784)
    expect(page.locator(".trial-doubts")).to_contain_text("784 pixels")


def test_models_that_say_nothing_get_a_plain_form(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "columns")
    expect(page.get_by_role("spinbutton")).to_have_count(3)
    expect(page.get_by_label("vip").locator("option")).to_have_text(["false", "true"])
    expect(headline(page)).to_contain_text("%")
    page = open_model(visit, odd, "open")
    page.get_by_label("As many values as the model takes").fill("[1, 2.5, -3]")
    expect(page.get_by_role("row", name="output 2")).to_contain_text("-3")
    page = open_model(visit, odd, "three")
    page.get_by_label("f1", exact=True).fill("4")
    expect(page.get_by_role("row", name="output 1")).to_contain_text("4")


def test_a_model_without_rows_gets_its_call_as_json(visit: Visit, odd: Server, python: Python) -> None:
    page = visit("#/try/tensors", server=odd, refusals=True, anew=False)
    expect(page.get_by_text("takes no rows of columns")).to_contain_text("/v2")
    body = page.get_by_label("Body of the call")
    blank = {"name": "x0", "shape": [1, 2, 2], "datatype": "BYTES", "data": [""] * 4}
    assert json.loads(body.input_value()) == {"inputs": [blank]}
    body.fill(body.input_value().replace('"", "", "", ""', '"Köln", "<b>", "c", "d"'))
    page.keyboard.press("Control+Enter")
    expect(headline(page)).to_have_text("1 output")
    expect(page.get_by_role("region", name="Values of y0")).to_have_text('"Köln"  "<b>"\n"c"  "d"')
    for look in every_look(page):
        shoot(page, look, "try-tensors")
        assert overflow(page) == 0
        assert faults(page) == []
    programs = {language: program(page, language) for language in LANGUAGES}
    outputs = json.loads(run(page, python, "curl", programs["curl"]))["outputs"]
    assert outputs[0]["data"] == ["Köln", "<b>", "c", "d"]
    assert json.loads(run(page, python, "JavaScript", programs["JavaScript"]))["outputs"] == outputs
    assert "Köln" in run(page, python, "Python", programs["Python"])
    assert "b'c' b'd'" in run(page, python, "tritonclient", programs["tritonclient"])
    body.fill(body.input_value().replace('"d"', "4"))
    page.get_by_role("button", name="Send").click()
    expect(headline(page)).to_contain_text("expected a string")
    body.fill("{")
    page.get_by_role("button", name="Send").click()
    expect(headline(page)).to_contain_text("The body is not JSON")
    page.get_by_role("button", name="Fill with zeros").click()
    assert json.loads(body.input_value()) == {"inputs": [blank]}


def test_a_long_call_stands_in_no_program(visit: Visit, odd: Server) -> None:
    page = visit("#/try/picture", server=odd, anew=False)
    expect(page.get_by_text("too long to stand in a program")).to_contain_text("-d @body.json")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("main")).to_contain_text("and 12\u202f188 more values")
    expect(page.get_by_role("tab")).to_have_count(0)


def test_what_json_cannot_hold_is_said(visit: Visit, odd: Server) -> None:
    page = visit("#/try/halves", server=odd, anew=False)
    expect(page.get_by_role("main")).to_contain_text("Input x0 is FP16, which has no form in JSON")


def test_names_are_text_whatever_they_hold(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "hostile")
    expect(page.locator("main img")).to_have_count(0)
    expect(page.locator(".trial-bars")).to_contain_text(HOSTILE)
    for look in every_look(page):
        shoot(page, look, "try-hostile")
        assert overflow(page) == 0
        assert faults(page) == []


def test_the_tabs_of_the_programs_follow_the_arrows(visit: Visit, odd: Server) -> None:
    page = open_model(visit, odd, "diabetes")
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="tritonclient")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="tritonclient")).to_contain_text("import tritonclient.http")


def test_a_new_version_gets_a_form_of_its_own(visit: Visit, changing: Changing) -> None:
    server, folder = changing
    graphs.put(graphs.linear(np.eye(5, dtype="f4"), np.zeros(5, "f4")), folder, "growing")
    changing.wait_for('"features":5', there=True)
    page = open_model(visit, server, "growing")
    expect(page.get_by_role("spinbutton")).to_have_count(5)
    graphs.put(graphs.linear(np.eye(4, dtype="f4"), np.zeros(4, "f4")), folder, "growing", 2)
    expect(page.get_by_role("spinbutton")).to_have_count(4)
    shutil.rmtree(folder / "growing")
    changing.wait_for("growing", there=False)
