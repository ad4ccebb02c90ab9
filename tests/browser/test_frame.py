"""The frame around the sections: what it shows, and what it tells when something is wrong."""

import re
from pathlib import Path
from urllib.parse import quote

import httpx
from playwright.sync_api import expect

from tests.browser.conftest import KEY, LOOKS_EVERY, Changing, Visit, drawn
from tests.browser.looks import WIDE, Look, every_look, faults, overflow, shoot
from tests.browser.zoo import HOSTILE_NAME
from tests.processes import Server, serve

SECTIONS = ("models", "try/digits", "folding/digits", "file/digits", "live")


def test_every_section_fits_its_window_and_axe_finds_nothing(
    visit: Visit, server: Server, look: Look
) -> None:
    page = visit("", look)
    for section in SECTIONS:
        page.goto(f"{server.address}/#/{section}")
        name = section.partition("/")[0]
        drawn(page, name)
        shoot(page, look, name)
        assert (section, overflow(page), faults(page)) == (section, 0, [])


def test_the_tabs_open_the_sections(visit: Visit) -> None:
    page = visit()
    for link in page.locator("#tabs a").all():
        link.click()
        expect(page.locator("main h1")).to_be_visible()
        expect(link).to_have_attribute("aria-current", "page")


def test_a_server_that_goes_and_comes_is_told(visit: Visit, tmp_path: Path) -> None:
    with serve(tmp_path) as server:
        page = visit("", server=server, refusals=True, clock=True)
        expect(page.get_by_text("connected", exact=True)).to_be_visible()
    page.clock.run_for(LOOKS_EVERY)
    banner = page.get_by_role("alert")
    expect(banner).to_contain_text("The server does not answer.")
    expect(page.get_by_text("no connection")).to_be_visible()
    # axe waits by timers of the page.
    page.clock.resume()
    for look in every_look(page):
        shoot(page, look, "server-gone")
        assert faults(page) == []
    with serve(tmp_path, "--port", server.address.rpartition(":")[2]):
        page.clock.run_for(LOOKS_EVERY)
        expect(page.get_by_text("connected", exact=True)).to_be_visible()
        expect(banner).to_be_empty()


def test_a_model_that_is_unloaded_while_its_section_is_open_is_told(visit: Visit, changing: Changing) -> None:
    page = visit("#/folding/breast-cancer", server=changing.server, refusals=True, clock=True)
    address = f"{changing.server.address}/v2/repository/models/breast-cancer"
    expect(page.get_by_role("alert")).to_be_empty()
    httpx.post(f"{address}/unload").raise_for_status()
    page.clock.run_for(LOOKS_EVERY)
    expect(page.get_by_role("alert")).to_contain_text("Model breast-cancer is not served")
    httpx.post(f"{address}/load").raise_for_status()
    page.clock.run_for(LOOKS_EVERY)
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_model_that_the_server_does_not_know_is_told(visit: Visit) -> None:
    page = visit("#/folding/nobody", refusals=True)
    expect(page.get_by_role("alert")).to_contain_text("no longer has a model named nobody")
    expect(page.get_by_label("Model", exact=True)).to_have_value("nobody")
    page.get_by_label("Model", exact=True).select_option("digits")
    expect(page).to_have_url(re.compile("#/folding/digits$"))
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_key_is_asked_for_once_and_kept_for_the_tab(visit: Visit, keyed: Server) -> None:
    page = visit("", server=keyed, refusals=True, draws=False)
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
    page.goto(f"{keyed.address}/#/live")
    expect(page.get_by_role("heading", name="Live")).to_be_visible()


def test_who_gives_no_key_is_told_and_may_give_one_later(visit: Visit, keyed: Server) -> None:
    page = visit("", server=keyed, refusals=True, draws=False)
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


def test_nothing_of_a_name_becomes_html(visit: Visit, odd: Server) -> None:
    for section in ("models", "live", f"folding/{quote(HOSTILE_NAME)}"):
        page = visit(f"#/{section}", server=odd, refusals=True)
        expect(page.get_by_text(HOSTILE_NAME).first).to_be_attached()
        assert page.locator("main img").count() == 0
