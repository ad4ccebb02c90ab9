"""What is generated from code: complete, and in step with the tables that people wrote."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.site import cli, http, markdown, python, stage, tables
from service.settings import Settings
from tests.docs.blocks import ROOT
from training.folding import Reason

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that MkDocs reads."""
    folder = tmp_path_factory.mktemp("site") / "docs"
    stage.stage(folder)
    return folder


def test_every_command_has_a_section_and_every_flag_a_line() -> None:
    page = cli.page()
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == list(cli._ORDER)
    for flag in (
        "--ensemble",
        "--amp-limit",
        "--rates",
        "--trials",
        "--grpc-port",
        "--no-fast-lane",
        "--output",
    ):
        assert f"`{flag}`" in page


def test_every_setting_has_its_flag_its_variable_and_its_text() -> None:
    page = tables.settings()
    for name, field in Settings.model_fields.items():
        assert f"`FOLDSERVE_{name.upper()}`" in page
        assert field.description
        assert markdown.cell(field.description) in page


def test_the_guide_lists_the_metrics_that_the_server_answers() -> None:
    guide = (DOCS / "metrics.md").read_text()
    written = set(re.findall(r"^\| `((?:nv|foldserve)_\w+)` \|", guide, re.MULTILINE))
    assert written == {name for name, _, _ in tables.families()}


def test_the_guide_lists_the_reasons_that_the_folder_gives() -> None:
    guide = (DOCS / "folding.md").read_text()
    written = set(re.findall(r"^\| `([a-z0-9-]+)` \|", guide, re.MULTILINE))
    assert written == {reason.value for reason in Reason}
    assert all(f"| `{reason.value}` |" in tables.reasons() for reason in Reason)


def test_the_doors_of_the_server_are_listed_with_their_bodies() -> None:
    page = http.page()
    for door in ("POST /predict", "GET /models/{name}", "POST /v2/models/{name}/infer", "POST /invocations"):
        assert f"| `{door}` |" in page
    assert "`application/x-npy`" in page
    assert re.search(r"^### Certificate$", page, re.MULTILINE)


def test_every_public_name_has_a_signature_and_a_sentence() -> None:
    page = python.page()
    for _, names, _ in python.PUBLIC:
        for name in names:
            assert re.search(
                rf"^## {name}\n\n```text\nfrom [\w.]+ import {name}\n```\n\n\S", page, re.MULTILINE
            )
    assert "'" not in re.findall(r"encoding: (.*) = None", page)[0]


def test_cells_keep_what_markdown_and_html_would_read() -> None:
    assert markdown.cell("a|b <x> `c|d`\n[e]") == r"a\|b &lt;x&gt; `c\|d` \[e\]"


def test_links_of_the_site_lead_to_files_of_it(site: Path) -> None:
    for page in site.rglob("*.md"):
        for link in re.findall(r"\]\(([^)\s#]+)[^)]*\)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_nothing_of_the_sources_is_in_the_site(site: Path) -> None:
    assert not list(site.rglob("*.py"))


def test_nothing_of_the_site_comes_from_another_host() -> None:
    config = (ROOT / "mkdocs.yml").read_text()
    assert "font: false" in config
    assert "://" not in config
    for file in (DOCS / "assets").iterdir():
        assert "://" not in file.read_text()
