"""Servers that the tests share, and windows onto their page that tolerate no error in the console."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser import zoo
from tests.browser.looks import LOOKS, WIDE, Look
from tests.browser.window import PATIENCE, Window
from tests.processes import Server, serve

KEY = "a-key-of-these-tests-0123456789"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
LOOKS_EVERY = 3_000
"""How often the page asks for the models, in milliseconds."""


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo models, for all tests that change nothing; it takes short bodies, and folds files."""
    folder = zoo.demo_models(tmp_path_factory.mktemp("models"))
    options = ("--default-model", "digits", "--max-body-bytes", "100000", "--fold-uploads")
    with serve(folder, *options) as server:
        yield server


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Beside them models of odd shapes and names, for all tests that change nothing."""
    with serve(zoo.odd_models(tmp_path_factory.mktemp("odd"))) as server:
        yield server


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The demo models behind KEY, and the metrics on a port of their own."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "keys").write_text(f"{KEY}\n")
    options = ("--api-key-file", str(folder / "keys"), "--metrics-port", "0")
    with serve(zoo.demo_models(folder / "models"), *options) as server:
        yield server


class Changing(NamedTuple):
    """A server that follows its folder, and the folder."""

    server: Server
    folder: Path

    def wait_for(self, text: str, *, there: bool) -> None:
        """Until what the server says of its models holds a text, or no longer does."""
        until = monotonic() + PATIENCE / 1000
        with httpx.Client(base_url=self.server.address) as client:
            while (text in client.get("/models").text) != there:
                assert monotonic() < until, f"{text} neither came nor went"


@pytest.fixture(scope="session")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Changing]:
    """Demo models and faulty ones; each test leaves them as it found them."""
    folder = zoo.troubled_models(tmp_path_factory.mktemp("changing"))
    options = ("--watch-interval", "0.1", "--default-model", "digits", "--repository-api")
    with serve(folder, *options) as server:
        yield Changing(server, folder)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.exit(f"there is no browser at {CHROMIUM}: apt-get install chromium, or set CHROMIUM", 2)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


class Visit(Protocol):
    """Open the page.

    Args:
        place: what stands behind the address, such as "#/live".
        server: another one than that of all tests.
        refusals: whether the network may fail, which the browser tells in the console.
        draws: whether a section will be there.
        clock: whether the page's clock stands still until the test moves it.
        alone: whether the test does to the window what the next one would feel.
        anew: whether the page is loaded even if it is there; a section is drawn from nothing in any case.
    """

    def __call__(
        self,
        place: str = "",
        look: Look = WIDE,
        *,
        server: Server | None = None,
        refusals: bool = False,
        draws: bool = True,
        clock: bool = False,
        alone: bool = False,
        anew: bool = True,
    ) -> Page: ...


@pytest.fixture(scope="session")
def window(browser: Browser) -> Window:
    """The window of all tests that leave the clock alone."""
    return Window(browser)


@pytest.fixture
def visit(browser: Browser, window: Window, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Look at the page; its errors fail the test, and nothing of it is left for the next."""
    used: list[Window] = []

    def open_page(
        place: str = "",
        look: Look = WIDE,
        *,
        server: Server | None = None,
        refusals: bool = False,
        draws: bool = True,
        clock: bool = False,
        alone: bool = False,
        anew: bool = True,
    ) -> Page:
        mine = Window(browser, clock=clock) if clock or alone else window
        used.append(mine)
        server = server or request.getfixturevalue("server")
        mine.open(server.address, place, look, refusals=refusals, anew=anew)
        if draws:
            drawn(mine.page)
        return mine.page

    yield open_page
    wrong = [line for each in dict.fromkeys(used) for line in each.leave()]
    for each in dict.fromkeys(used):
        if each is not window:
            each.context.close()
    assert not wrong


@pytest.fixture(params=LOOKS, ids=lambda look: look.name)
def look(request: pytest.FixtureRequest) -> Look:
    """Light and dark, wide and narrow."""
    look: Look = request.param
    return look


def drawn(page: Page, section: str | None = None) -> None:
    """Wait until a section is there in full: this one, or any."""
    which = "[data-section]" if section is None else f'[data-section="{section}"]'
    page.wait_for_selector(f"main {which}:not([aria-busy])")
