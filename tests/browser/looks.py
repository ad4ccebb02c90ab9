"""How a window looks at the page, and what is wrong with what it sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
AXE = Path(__file__).parent / "axe" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]

_FAULTS = """async (rules) => {
  // Neither what is right nor files that only rules about sound and film look at: three times as fast.
  const found = await axe.run(document, { runOnly: rules, resultTypes: ["violations"], preload: false });
  return found.violations.flatMap((rule) => rule.nodes.map(
    (node) => `${rule.impact} ${rule.id}: ${node.target.join(" ")} — ${node.failureSummary}`));
}"""


@dataclass(frozen=True)
class Look:
    """A window and the colours that its owner likes."""

    scheme: Literal["light", "dark"]
    width: int
    height: int

    @property
    def name(self) -> str:
        """As it stands in the names of files and tests."""
        return f"{self.scheme}-{self.width}"


WIDE = Look("light", 1280, 900)
LOOKS = (WIDE, Look("dark", 1280, 900), Look("light", 375, 812), Look("dark", 375, 812))


def every_look(page: Page) -> Iterator[Look]:
    """Give an open window one look after the other."""
    for look in LOOKS:
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(color_scheme=look.scheme, reduced_motion="reduce")
        yield look


def shoot(page: Page, look: Look, name: str) -> None:
    """Leave a picture of the whole page."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}-{look.name}.png", full_page=True)


def faults(page: Page) -> list[str]:
    """What axe-core finds: text that is hard to read, fields without labels, and the like."""
    if page.evaluate("typeof axe") == "undefined":
        page.evaluate(_axe())
    found: list[str] = page.evaluate(_FAULTS, RULES)
    return found


@cache
def _axe() -> str:
    return AXE.read_text()


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
