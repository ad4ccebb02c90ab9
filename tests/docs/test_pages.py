"""Quick rules of the pages: every command is run or says why not, every link leads somewhere.

The blocks themselves are run by `make docs`, which takes minutes.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.docs.blocks import PAGES, ROOT, RUN, Block, blocks_of, commands_in, indented_of, page_blocks

NOT_RUN = {
    "README.md": 2,
    "comparison.md": 1,
    "container.md": 2,
    "getting-started.md": 1,
    "kubernetes.md": 1,
    "metrics.md": 1,
    "serving.md": 1,
    "tuning.md": 1,
    "tutorial.md": 1,
}
"""How many blocks of each page nothing runs; each has its reason in front of it."""

BLOCKS = {path.name: page_blocks(path) for path in PAGES}
SITE_ONLY = ("reference/",)
"""Pages that are made when the site is built."""


def all_blocks() -> list[Block]:
    return [block for blocks in BLOCKS.values() for block in blocks]


def anchors(text: str) -> set[str]:
    """The names that MkDocs gives the headings of a page."""
    plain = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", plain, re.MULTILINE)
    return {re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


def test_what_is_not_run_is_counted_and_has_a_reason() -> None:
    skipped = [block for block in all_blocks() if block.fate == "not run"]
    assert all(len(block.said) > 5 for block in skipped)
    assert {name: sum(b.page == name for b in skipped) for name in {b.page for b in skipped}} == NOT_RUN


def test_most_pages_have_blocks_that_run() -> None:
    assert sum(block.fate == "run" for block in all_blocks()) > 45


def test_no_command_hides_where_nothing_runs_it() -> None:
    shown = [block for block in all_blocks() if block.fate == "shown"]
    for path in PAGES:
        shown += indented_of(path.read_text(), path.name)
    assert [block.place for block in shown if commands_in(block.text)] == []


def test_every_comment_in_front_of_a_block_is_one_that_is_known() -> None:
    for path in PAGES:
        comments = re.findall(r"^<!-- (\w[\w ]*?)(?::.*)? -->$", path.read_text(), re.MULTILINE)
        unknown = [c for c in comments if c not in ("not run", "file", "fails") and not c.startswith("bench")]
        assert unknown == [], path.name


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_leads_to_a_file_and_a_heading(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if link.startswith(SITE_ONLY):
            continue
        target, _, anchor = link.partition("#")
        found = path.parent / target if target else path
        assert found.exists(), link
        if anchor:
            assert anchor in anchors(found.read_text()), link


def test_every_page_is_in_the_menu() -> None:
    config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    listed = set(re.findall(r"[\w/-]+\.md", str(config["nav"])))
    assert {path.name for path in PAGES if path.name != "README.md"} <= listed


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_blocks_are_found_with_their_comments() -> None:
    text = "a\n\n<!-- file: x.csv -->\n```csv\n1,2\n```\n\n```sh\nls\n```\n\n    curl x\n"
    first, second = blocks_of(text, "page.md")
    assert (first.fate, first.said, first.text) == ("file", "x.csv", "1,2\n")
    assert (second.fate, second.place) == ("run", "page.md:8")
    assert second.language in RUN
    [indented] = indented_of(text, "page.md")
    assert commands_in(indented.text) == ["curl x"]
