"""The frame around the sections: what it shows, and what it tells when something is wrong."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

from tests import graphs
from tests.browser.conftest import Visit, demo_models, drawn
from tests.browser.looks import WIDE, Look, every_look, faults, overflow, shoot
from tests.processes import serve

KEY = "a-key-that-is-long-enough"

SECTIONS = ("models", "try/digits", "folding/digits", "file/digits", "live")


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_fits_its_window_and_axe_finds_nothing(visit: Visit, look: Look, section: str) -> None:
    page = visit(f"#/{section}", look)
    shoot(page, look, section.partition("/")[0])
    assert overflow(page) == 0
    assert faults(page) == []


def test_the_tabs_open_the_sections(visit: Visit) -> None:
    page = visit()
    for link in page.locator("#tabs a").all():
        link.click()
        expect(page.locator("main h1")).to_be_visible()
        expect(link).to_have_attribute("aria-current", "page")


def test_a_server_that_goes_and_comes_is_told(visit: Visit, tmp_path: Path) -> None:
    folder = demo_models(tmp_path)
    with serve(folder) as server:
        page = visit("", server=server, refusals=True)
        expect(page.get_by_text("connected", exact=True)).to_be_visible()
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("The server does not answer.")
    expect(page.get_by_text("no connection")).to_be_visible()
    for look in every_look(page):
        shoot(page, look, "server-gone")
        assert faults(page) == []
    with serve(folder, "--port", server.address.rpartition(":")[2]):
        expect(page.get_by_text("connected", exact=True)).to_be_visible()
        expect(banner).to_be_empty()


def test_a_model_that_is_unloaded_while_its_section_is_open_is_told(visit: Visit, tmp_path: Path) -> None:
    with serve(demo_models(tmp_path), "--repository-api") as server:
        page = visit("#/folding/diabetes", server=server, refusals=True)
        expect(page.get_by_role("alert")).to_be_empty()
        httpx.post(f"{server.address}/v2/repository/models/diabetes/unload").raise_for_status()
        expect(page.get_by_role("alert")).to_contain_text("Model diabetes is not served")
        httpx.post(f"{server.address}/v2/repository/models/diabetes/load").raise_for_status()
        expect(page.get_by_role("alert")).to_be_empty()


def test_a_model_that_the_server_does_not_know_is_told(visit: Visit) -> None:
    page = visit("#/folding/nobody", refusals=True)
    expect(page.get_by_role("alert")).to_contain_text("no longer has a model named nobody")
    expect(page.get_by_label("Model", exact=True)).to_have_value("nobody")
    page.get_by_label("Model", exact=True).select_option("digits")
    expect(page).to_have_url(re.compile("#/folding/digits$"))
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_key_is_asked_for_once_and_kept_for_the_tab(visit: Visit, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n")
    with serve(demo_models(tmp_path / "models"), "--api-key-file", str(keys)) as server:
        page = visit("", server=server, refusals=True, draws=False)
        dialog = page.get_by_role("dialog", name="API key")
        expect(dialog).to_be_visible()
        for look in every_look(page):
            shoot(page, look, "key")
            assert faults(page) == []
        dialog.get_by_label("Key", exact=True).fill("not-the-right-key")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("does not know this key")
        dialog.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("article", name="Model digits")).to_be_visible()
        page.reload()
        expect(page.get_by_role("article", name="Model digits")).to_be_visible()
        expect(dialog).to_have_count(0)
        page.goto(f"{server.address}/#/live")
        expect(page.get_by_role("heading", name="Live")).to_be_visible()


def test_who_gives_no_key_is_told_and_may_give_one_later(visit: Visit, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{KEY}\n")
    with serve(demo_models(tmp_path / "models"), "--api-key-file", str(keys)) as server:
        page = visit("", server=server, refusals=True, draws=False)
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("alert")).to_contain_text("got no API key")
        page.get_by_role("button", name="API key").click()
        page.get_by_label("Key", exact=True).fill(KEY)
        page.keyboard.press("Enter")
        expect(page.get_by_role("article", name="Model digits")).to_be_visible()
        expect(page.get_by_role("alert")).to_be_empty()


def test_the_colours_are_a_choice_that_is_kept(visit: Visit) -> None:
    page = visit("", WIDE)
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    button = page.locator("#scheme")
    button.click()
    button.click()
    expect(button).to_contain_text("Dark")
    dark = page.evaluate(background)
    page.reload()
    drawn(page)
    assert page.evaluate(background) == dark != light


def test_the_keyboard_reaches_the_content_past_the_frame(visit: Visit) -> None:
    page = visit()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Try it").last).not_to_be_focused()
    assert page.evaluate("document.querySelector('#content').contains(document.activeElement)")


def test_the_focus_stays_where_a_section_or_a_model_was_chosen(visit: Visit) -> None:
    page = visit("#/models")
    tab = page.locator("#tabs").get_by_role("link", name="Folding")
    tab.focus()
    page.keyboard.press("Enter")
    expect(page.locator('[data-section="folding"]')).to_be_visible()
    expect(tab).to_be_focused()
    choice = page.get_by_label("Model", exact=True)
    choice.focus()
    choice.select_option("diabetes")
    expect(page).to_have_url(re.compile("#/folding/diabetes$"))
    expect(choice).to_be_focused()


def test_nothing_of_a_name_becomes_html(visit: Visit, tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, name)
    with serve(tmp_path) as server:
        for section in ("models", "live", "folding"):
            page = visit(f"#/{section}", server=server, refusals=True)
            expect(page.get_by_text(name).first).to_be_attached()
            assert page.locator("main img").count() == 0
