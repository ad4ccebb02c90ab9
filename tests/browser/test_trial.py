"""The section Try it: forms made from models, answers as one types, drawings, and programs that work."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnx
import pytest
from playwright.sync_api import Page, Route, expect

from service.metadata import Feature
from tests import graphs
from tests.browser.conftest import Visit, demo_models
from tests.browser.looks import LOOKS, every_look, faults, overflow, shoot
from tests.processes import Server, serve
from tests.records import metadata

HOSTILE = '<img src=x onerror=alert(1)> it\'s "$HOME" `x` \\'
NARROW = LOOKS[2]
LANGUAGES = ("curl", "Python", "JavaScript", "tritonclient")
KEY = "a-key-of-this-test-0123456789"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Beside the demo models some without metadata, of odd shapes, and with names full of quotes."""
    folder = demo_models(tmp_path_factory.mktemp("models"))
    graphs.put(graphs.one_input_per_column(), folder, "columns")
    graphs.put(graphs.identity(graphs.STRING, ["N", 2, 2]), folder, "tensors")
    graphs.put(graphs.identity(onnx.TensorProto.FLOAT, ["N", 3, 64, 64]), folder, "picture")
    graphs.put(graphs.identity(onnx.TensorProto.FLOAT16, ["N", 2, 2]), folder, "halves")
    graphs.put(graphs.identity(onnx.TensorProto.FLOAT, ["N", "M"]), folder, "open")
    graphs.put(graphs.identity(onnx.TensorProto.FLOAT, [3, 2]), folder, "three")
    features = (Feature(name=HOSTILE, minimum=0, maximum=1), Feature(name="b"))
    document = metadata().model_copy(update={"features": features, "classes": (HOSTILE, "no")})
    weights = np.eye(2, dtype="f4")
    properties = graphs.metadata_property(document.model_dump_json())
    graphs.put(graphs.linear(weights, weights[0], softmax=True, properties=properties), folder, "hostile")
    names = tuple(Feature(name=f"pixel{i}", minimum=0, maximum=255) for i in range(1, 785))
    wide = metadata().model_copy(update={"features": names})
    properties = graphs.metadata_property(wide.model_dump_json())
    weights = np.linspace(-1e-4, 1e-4, 784 * 2, dtype="f4").reshape(784, 2)
    graphs.put(graphs.linear(weights, np.zeros(2, "f4"), softmax=True, properties=properties), folder, "wide")
    with serve(folder, "--watch-interval", "0.2") as server:
        yield server


def open_model(visit: Visit, server: Server, name: str, **options: Any) -> Page:
    page = visit(f"#/try/{name}", server=server, **options)
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


def run(page: Page, language: str, text: str, key: str = "") -> str:
    """What a program prints, run as its reader would."""
    if language == "JavaScript":
        log = "let out = ''; const console = { log: (v) => { out += JSON.stringify(v); } };"
        printed: str = page.evaluate(f"async () => {{ {log} {text}\nreturn out; }}")
        return printed
    environment = os.environ | {"FOLDSERVE_KEY": key}
    command = ["bash", "-c", text] if language == "curl" else [sys.executable, "-c", text]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return done.stdout


def numbers(text: str) -> list[float]:
    """Those inside the brackets of arrays that were printed."""
    inside = text[text.index("[") :].replace("[", " ").replace("]", " ").split()
    return [float(word) for word in inside if re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", word)]


@pytest.mark.parametrize("name", ["digits", "visits", "columns", "hostile", "three"])
def test_each_program_works_when_it_is_pasted(visit: Visit, own: Server, name: str) -> None:
    page = open_model(visit, own, name)
    if name == "visits":
        page.get_by_label("missing: age").check()
        page.get_by_label("city", exact=True).select_option(label="missing")
    if name == "columns":
        page.get_by_label("city").fill('it\'s "Köln"')
        page.get_by_label("vip").select_option("true")
    expect(page.locator(".waiting")).to_have_count(0)
    programs = {language: program(page, language) for language in LANGUAGES}
    curl = json.loads(run(page, "curl", programs["curl"]))
    said = "2 outputs" if name == "three" else str(curl["predictions"][0])
    expect(headline(page).locator("strong")).to_have_text(said)
    assert json.loads(run(page, "JavaScript", programs["JavaScript"])) == curl
    assert run(page, "Python", programs["Python"]).strip() == str(curl)
    tensors = numbers(run(page, "tritonclient", programs["tritonclient"]))
    first = curl.get("probabilities", curl["predictions"])[0]
    # Copies of the row where the graph wants several.
    assert np.allclose(np.array(tensors[-len(first) :]), first, rtol=1e-5, atol=0)


def test_programs_take_the_key_from_elsewhere(visit: Visit, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n")
    with serve(demo_models(tmp_path / "models"), "--api-key-file", str(keys)) as server:
        page = visit("#/try/diabetes", server=server, refusals=True, draws=False)
        page.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        expect(page.locator(".trial-time")).to_contain_text("Latency of the call")
        programs = {language: program(page, language) for language in LANGUAGES}
        assert not [language for language, text in programs.items() if KEY in text]
        value = json.loads(run(page, "curl", programs["curl"], KEY))["predictions"][0]
        assert f"{value:.5g}" == headline(page).locator("strong").text_content()
        assert str(value) in run(page, "Python", programs["Python"], KEY)
        assert f"{value:.6g}"[:6] in run(page, "tritonclient", programs["tritonclient"], KEY)
        javascript = programs["JavaScript"].replace("your key", KEY)
        assert str(value) in run(page, "JavaScript", javascript)


def test_a_form_is_made_from_what_the_model_says_of_itself(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "visits")
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


def test_the_answer_is_that_of_the_row_in_the_form(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "visits")
    page.get_by_label("missing: age").check()
    page.get_by_label("visits", exact=True).fill("7.5")
    page.get_by_label("city", exact=True).select_option(label="another value…")
    page.get_by_label("city, another value").fill("Paris")
    body = {"records": [{"age": None, "city": "Paris", "visits": 7.5}]}
    truth = httpx.post(f"{own.address}/models/visits/predict", json=body).json()
    share = 100 * max(truth["probabilities"][0])
    expect(headline(page)).to_have_text(f"{truth['predictions'][0]} {share:.1f}\u202f%")


def test_a_value_unlike_those_of_training_is_pointed_out(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "visits")
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


def test_a_number_that_is_missing_is_asked_for(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "diabetes")
    page.get_by_label("bmi", exact=True).fill("")
    expect(headline(page)).to_have_text("bmi needs a number.")
    page.get_by_label("bmi", exact=True).fill("25")
    expect(page.locator(".trial-time")).to_contain_text("Latency")


def test_examples_are_the_rows_the_file_was_certified_with(visit: Visit, own: Server) -> None:
    golden = httpx.get(f"{own.address}/models/diabetes").json()["metadata"]["golden"]
    page = open_model(visit, own, "diabetes")
    for number in (1, 2, 3):
        expect(page.get_by_text(f"Example {number} of 8")).to_be_visible()
        value = golden["outputs"][number - 1][0]
        expect(headline(page).locator("strong")).to_have_text(f"{float(f'{value:.5g}'):g}")
        age = golden["inputs"][number - 1][0]
        expect(page.get_by_label("age", exact=True)).to_have_value(f"{age:g}")
        page.get_by_role("button", name="Fill with an example").click()


def test_only_the_answer_to_the_latest_row_is_shown(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "visits")
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
    truth = httpx.post(f"{own.address}/models/visits/predict", json=body).json()
    assert latest == f"{truth['predictions'][0]} {100 * max(truth['probabilities'][0]):.1f}\u202f%"


def test_typing_fast_makes_one_call(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "visits")
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


def test_a_drawing_becomes_the_row(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "digits")
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
    truth = httpx.post(f"{own.address}/models/digits/predict", json={"inputs": drawn.reshape(1, -1).tolist()})
    assert truth.json()["predictions"] == [1]
    for look in every_look(page):
        shoot(page, look, "try-digits")
        assert overflow(page) == 0
        assert faults(page) == []


def test_a_narrow_window_keeps_the_answer_in_sight(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "digits", look=NARROW)
    strip = page.locator(".trial-strip")
    expect(strip).to_have_text(headline(page).text_content() or "")
    expect(strip).to_be_visible()
    headline(page).scroll_into_view_if_needed()
    expect(strip).to_be_hidden()
    page.get_by_role("button", name="Copy").scroll_into_view_if_needed()
    expect(strip).to_be_hidden()


def test_the_keys_draw_too(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "digits")
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


def test_examples_go_through_the_drawing_unchanged(visit: Visit, own: Server) -> None:
    golden = httpx.get(f"{own.address}/models/digits").json()["metadata"]["golden"]
    page = open_model(visit, own, "digits")
    assert row_of(page) == golden["inputs"][0]
    page.get_by_role("button", name="Fill with an example").click()
    assert row_of(page) == golden["inputs"][1]


def test_a_row_of_numbers_becomes_the_drawing(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "wide")
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


def test_models_that_say_nothing_get_a_plain_form(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "columns")
    expect(page.get_by_role("spinbutton")).to_have_count(3)
    expect(page.get_by_label("vip").locator("option")).to_have_text(["false", "true"])
    expect(headline(page)).to_contain_text("%")
    page = open_model(visit, own, "open")
    page.get_by_label("As many values as the model takes").fill("[1, 2.5, -3]")
    expect(page.get_by_role("row", name="output 2")).to_contain_text("-3")
    page = open_model(visit, own, "three")
    page.get_by_label("f1", exact=True).fill("4")
    expect(page.get_by_role("row", name="output 1")).to_contain_text("4")


def test_a_model_without_rows_gets_its_call_as_json(visit: Visit, own: Server) -> None:
    page = visit("#/try/tensors", server=own, refusals=True)
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
    outputs = json.loads(run(page, "curl", programs["curl"]))["outputs"]
    assert outputs[0]["data"] == ["Köln", "<b>", "c", "d"]
    assert json.loads(run(page, "JavaScript", programs["JavaScript"]))["outputs"] == outputs
    assert "Köln" in run(page, "Python", programs["Python"])
    assert "b'c' b'd'" in run(page, "tritonclient", programs["tritonclient"])
    body.fill(body.input_value().replace('"d"', "4"))
    page.get_by_role("button", name="Send").click()
    expect(headline(page)).to_contain_text("expected a string")
    body.fill("{")
    page.get_by_role("button", name="Send").click()
    expect(headline(page)).to_contain_text("The body is not JSON")
    page.get_by_role("button", name="Fill with zeros").click()
    assert json.loads(body.input_value()) == {"inputs": [blank]}


def test_a_long_call_stands_in_no_program(visit: Visit, own: Server) -> None:
    page = visit("#/try/picture", server=own)
    expect(page.get_by_text("too long to stand in a program")).to_contain_text("-d @body.json")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("main")).to_contain_text("and 12\u202f188 more values")
    expect(page.get_by_role("tab")).to_have_count(0)


def test_what_json_cannot_hold_is_said(visit: Visit, own: Server) -> None:
    page = visit("#/try/halves", server=own)
    expect(page.get_by_role("main")).to_contain_text("Input x0 is FP16, which has no form in JSON")


def test_names_are_text_whatever_they_hold(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "hostile")
    expect(page.locator("main img")).to_have_count(0)
    expect(page.locator(".trial-bars")).to_contain_text(HOSTILE)
    for look in every_look(page):
        shoot(page, look, "try-hostile")
        assert overflow(page) == 0
        assert faults(page) == []


def test_the_tabs_of_the_programs_follow_the_arrows(visit: Visit, own: Server) -> None:
    page = open_model(visit, own, "diabetes")
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("tab", name="tritonclient")).to_be_focused()
    expect(page.get_by_role("tabpanel", name="tritonclient")).to_contain_text("import tritonclient.http")


def test_a_new_version_gets_a_form_of_its_own(visit: Visit, tmp_path: Path) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    with serve(tmp_path, "--watch-interval", "0.1") as server:
        page = open_model(visit, server, "m")
        expect(page.get_by_role("spinbutton")).to_have_count(2)
        graphs.put(graphs.linear(np.eye(4, dtype="f4"), np.zeros(4, "f4")), tmp_path, "m", 2)
        expect(page.get_by_role("spinbutton")).to_have_count(4)
