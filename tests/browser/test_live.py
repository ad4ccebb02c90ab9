"""The section Live: it says what /metrics says, holds still when asked, and tells why it cannot."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests import graphs
from tests.browser.conftest import KEY, Visit
from tests.browser.looks import every_look, faults, overflow, shoot
from tests.processes import Server, serve

POLL = 1000


Ask = Callable[..., None]


@pytest.fixture(scope="module")
def ask(server: Server) -> Iterator[Ask]:
    """Requests to the server, one after the other, with one row or several."""
    with httpx.Client(base_url=server.address) as client:
        yield partial(send, client)


def send(client: httpx.Client, *, requests: int = 1, rows: int = 1, width: int = 10) -> None:
    for _ in range(requests):
        client.post("/models/diabetes/predict", json={"inputs": [[0.0] * width] * rows})


def opened(visit: Visit, server: Server) -> Page:
    """The section, with a clock that the test moves."""
    page = visit("#/live", server=server, clock=True)
    expect(page.get_by_role("heading", name="Live")).to_be_visible()
    return page


def tick(page: Page, times: int = 1) -> None:
    """Let the page ask for the metrics, and draw them."""
    for _ in range(times):
        turn = page.locator("[data-turn]").get_attribute("data-turn")
        page.clock.run_for(POLL)
        page.wait_for_selector(f'[data-turn]:not([data-turn="{turn}"])')


def test_two_minutes_of_load_look_right(visit: Visit, server: Server, ask: Ask) -> None:
    page = opened(visit, server)
    for second in range(120):
        ask(requests=round(3 + 2 * math.sin(second / 9)), rows=1 + second // 40 * 4)
        tick(page)
    ask(width=1)
    tick(page)
    # The auditor waits by the page's clock.
    page.clock.resume()
    page.get_by_role("button", name="Pause").click()
    for look in every_look(page):
        shoot(page, look, "live-busy")
        assert overflow(page) == 0
        assert faults(page) == []


def test_rates_are_those_of_the_requests_that_were_sent(visit: Visit, server: Server, ask: Ask) -> None:
    page = opened(visit, server)
    tick(page)
    page.locator("#live-model").select_option("diabetes")
    ask(requests=5, rows=3)
    ask(width=1)
    tick(page)
    requests = page.get_by_role("img", name="Requests per second")
    expect(requests).to_have_attribute("aria-label", re.compile(r"now answered 5, refused or failed 1$"))
    rows = page.get_by_role("img", name="Rows per second")
    expect(rows).to_have_attribute("aria-label", re.compile(r"now rows 15$"))
    expect(page.get_by_role("img", name="Rows per run")).to_have_attribute(
        "aria-label", re.compile("mean 3$")
    )
    bad = page.get_by_role("row", name="bad request")
    expect(bad.get_by_role("cell").first).to_have_text("1")
    page.locator("#live-model").select_option("digits")
    expect(requests).to_have_attribute("aria-label", re.compile(r"now answered 0, refused or failed 0$"))


def test_a_pause_holds_the_picture_and_keeps_what_happens(visit: Visit, server: Server, ask: Ask) -> None:
    page = opened(visit, server)
    tick(page)
    page.get_by_role("button", name="Pause").click()
    requests = page.get_by_role("img", name="Requests per second")
    held = requests.get_attribute("aria-label")
    ask(requests=4)
    tick(page)
    assert requests.get_attribute("aria-label") == held
    page.get_by_role("button", name="Go on").click()
    expect(requests).to_have_attribute("aria-label", re.compile("now answered 4"))


def test_the_pointer_shows_the_values_of_its_moment(visit: Visit, server: Server, ask: Ask) -> None:
    page = opened(visit, server)
    for requests in (2, 6, 1):
        tick(page)
        ask(requests=requests)
    tick(page)
    figure = page.locator("figure", has=page.get_by_role("heading", name="Requests per second"))
    answered = figure.locator(".legend strong").first
    expect(answered).to_have_text("1")
    box = figure.locator("svg").bounding_box()
    assert box
    second = (box["width"] - 72) / 120
    page.mouse.move(box["x"] + box["width"] - 8 - second, box["y"] + 60)
    expect(answered).to_have_text("6")
    page.mouse.move(0, 0)
    expect(answered).to_have_text("1")


def test_percentiles_are_those_that_prometheus_would_compute(visit: Visit) -> None:
    page = visit("#/live")
    text = r"""# HELP x y
foldserve_request_seconds_bucket{le="0.001",model="a \"b\"",version="1"} 10.0
foldserve_request_seconds_bucket{le="0.0025",model="a \"b\"",version="1"} 10.0
foldserve_request_seconds_bucket{le="0.005",model="a \"b\"",version="1"} 30.0
foldserve_request_seconds_bucket{le="+Inf",model="a \"b\"",version="1"} 40.0
foldserve_request_seconds_sum{model="a \"b\"",version="1"} 0.2
"""
    found = page.evaluate(
        """async (text) => {
          const [{ parse }, { totalsOf, quantile, mean }] = await Promise.all(
            [import("./page/live/exposition.js"), import("./page/live/totals.js")]);
          const { request } = totalsOf(parse(text)).get('a "b"').times;
          const values = [0.125, 0.25, 0.5, 0.75, 0.99].map((share) => quantile(share, request));
          return [...values, mean(request)];
        }""",
        text,
    )
    assert found == pytest.approx([0.0005, 0.001, 0.00375, 0.005, 0.005, 0.005])


def test_metrics_on_a_port_of_their_own_are_named_in_one_sentence(visit: Visit, keyed: Server) -> None:
    page = visit("#/live", server=keyed, refusals=True, draws=False)
    page.get_by_label("Key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_text("have a port of their own (--metrics-port)")).to_be_visible()
    assert faults(page) == []


def test_a_restart_leaves_a_gap_and_no_false_numbers(visit: Visit, tmp_path: Path) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    with serve(tmp_path) as server, httpx.Client(base_url=server.address) as client:
        page = visit("#/live", server=server, clock=True, refusals=True)
        for _ in range(9):
            client.post("/predict", json={"inputs": [[1, 2]]}).raise_for_status()
        tick(page)
    tick(page)
    expect(page.get_by_text("The metrics cannot be read: The server does not answer.")).to_be_visible()
    with serve(tmp_path, "--port", server.address.rpartition(":")[2]) as server:
        tick(page, 2)
        requests = page.get_by_role("img", name="Requests per second")
        expect(requests).to_have_attribute("aria-label", re.compile("now answered 0"))
