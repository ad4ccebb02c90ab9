"""A server with the demo models, and windows onto its page that tolerate no error in the console."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from service.metadata import Feature, GoldenRows
from tests import graphs
from tests.browser.looks import LOOKS, ROOT, WIDE, Look
from tests.processes import Server, serve
from tests.records import metadata

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
_NETWORK = "Failed to load resource"
_GONE = "net::ERR_CONNECTION"
_PATIENCE = 15_000


def demo_models(folder: Path) -> Path:
    """A folder with digits, breast-cancer and diabetes, and `visits`, which takes numbers, texts and gaps."""
    for name in ("digits", "breast-cancer", "diabetes"):
        shutil.copytree(ROOT / "models" / name, folder / name)
    features = (
        Feature(name="age", minimum=0, maximum=90, missing=True, unit="years"),
        Feature(name="city", kind="categorical", categories=tuple(graphs.CITIES), missing=True),
        Feature(name="visits", minimum=0, maximum=12, missing=True),
    )
    # softmax of (0.4, 0.9): the weights of the graph times 40, 3 and the place of Oslo, 1.
    no = 1 / (1 + math.exp(0.5))
    examples = GoldenRows(inputs=((40.0, "Oslo", 3.0),), outputs=((no, 1 - no),), tolerance=1e-5)
    changes = {"features": features, "target": "returns", "golden": examples}
    document = metadata().model_copy(update=changes)
    properties = graphs.metadata_property(document.model_dump_json())
    graphs.put(graphs.numeric_and_categorical(properties), folder, "visits")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that change nothing on it."""
    folder = demo_models(tmp_path_factory.mktemp("models"))
    with serve(folder, "--default-model", "digits", "--watch-interval", "0.2") as server:
        yield server


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


def drawn(page: Page) -> None:
    """Wait until a section is there in full."""
    page.wait_for_selector("main [data-section]:not([aria-busy])")
