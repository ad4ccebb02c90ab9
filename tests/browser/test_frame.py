"""The frame around the sections: what it shows, and what it tells when something is wrong."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Visit
from tests.browser.looks import Look, faults, overflow, shoot

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
