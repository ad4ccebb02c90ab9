"""Servers that the tests share, and windows onto their page that tolerate no error in the console."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import NamedTuple, Protocol

import httpx
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.browser import zoo
from tests.browser.looks import LOOKS, WIDE, Look
from tests.processes import Server, serve

KEY = "a-key-of-these-tests-0123456789"
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
_NETWORK = "Failed to load resource"
_GONE = "net::ERR_CONNECTION"
_PATIENCE = 15_000
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
        until = monotonic() + _PATIENCE / 1000
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
    ) -> Page: ...


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Windows that are closed after the test, and whose errors fail it."""
    contexts, wrong = [], []

    def open_page(
        place: str = "",
        look: Look = WIDE,
        *,
        server: Server | None = None,
        refusals: bool = False,
        draws: bool = True,
        clock: bool = False,
    ) -> Page:
        context = browser.new_context(
            viewport={"width": look.width, "height": look.height},
            color_scheme=look.scheme,
            reduced_motion="reduce",
        )
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(_PATIENCE)

        def hear(message: ConsoleMessage) -> None:
            # A server of the test's own may end before its windows do.
            is_forgiven = (refusals and _NETWORK in message.text) or _GONE in message.text
            if message.type in ("error", "warning") and not is_forgiven:
                wrong.append(f"{message.type}: {message.text}")

        if clock:
            page.clock.install(time=0)
            page.clock.pause_at(1000)
        page.on("console", hear)
        page.on("pageerror", lambda error: wrong.append(f"uncaught: {error}"))
        server = server or request.getfixturevalue("server")
        page.goto(f"{server.address}/{place}")
        if draws:
            drawn(page)
        return page

    yield open_page
    for context in contexts:
        context.close()
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
