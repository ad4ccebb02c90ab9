"""A window of the browser, which tests look through one after the other."""

from __future__ import annotations

from playwright.sync_api import Browser, ConsoleMessage

from tests.browser.looks import Look

PATIENCE = 15_000
_NETWORK = "Failed to load resource"
_GONE = "net::ERR_CONNECTION"
_EMPTY = "about:blank"
_ELSEWHERE = "#/file/none"
_TURN = """place => {
  document.querySelector("main > [data-section]").dataset.old = "";
  location.hash = place;
}"""


class Window:
    """One page in a context of its own.

    Attributes:
        wrong: the errors and warnings of its console since it was opened.
    """

    def __init__(self, browser: Browser, *, clock: bool = False) -> None:
        permissions = ["clipboard-read", "clipboard-write"]
        self.context = browser.new_context(reduced_motion="reduce", permissions=permissions)
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))
        self.wrong: list[str] = []
        self._refusals = False
        if clock:
            self.page.clock.install(time=0)
            self.page.clock.pause_at(1000)

    def open(self, server: str, place: str, look: Look, *, refusals: bool, anew: bool) -> None:
        """Go to a place on the page of a server.

        Args:
            refusals: whether the network may fail, which the console tells.
            anew: whether the page is loaded even if it is there.
        """
        self._refusals = refusals
        is_there = self.page.url.startswith(f"{server}/") and not anew
        if not is_there and self.page.url != _EMPTY:
            # An address that differs in its fragment alone would not be loaded.
            self.page.goto(_EMPTY)
        self.page.set_viewport_size({"width": look.width, "height": look.height})
        self.page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
        if is_there:
            self._turn(place)
        else:
            self.page.goto(f"{server}/{place}")

    def leave(self) -> list[str]:
        """Take away what a test did to it; what went wrong."""
        self.page.unroute_all(behavior="ignoreErrors")
        if self.page.url != _EMPTY:
            self.page.evaluate("localStorage.clear(), sessionStorage.clear()")
        self.page.mouse.move(0, 0)
        wrong, self.wrong = self.wrong, []
        return wrong

    def _turn(self, place: str) -> None:
        """Open a section, which is drawn from nothing also when it is open already."""
        for each in (_ELSEWHERE, place):
            self.page.evaluate(_TURN, each)
            self.page.wait_for_selector("main > [data-section]:not([data-old])")

    def _hear(self, message: ConsoleMessage) -> None:
        # A server of the test's own may end before its windows do.
        is_forgiven = (self._refusals and _NETWORK in message.text) or _GONE in message.text
        if message.type in ("error", "warning") and not is_forgiven:
            self.wrong.append(f"{message.type}: {message.text}")
