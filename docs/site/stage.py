"""What is copied into the site's folder, and how links out of docs/ are led."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from docs.site import cli, http, python, tables

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

GENERATED: Mapping[str, Callable[[], str]] = {
    "reference/cli.md": cli.page,
    "reference/python.md": python.page,
    "reference/http.md": http.page,
    "reference/settings.md": tables.settings,
    "reference/metrics.md": tables.metrics,
    "reference/metadata.md": tables.metadata,
    "reference/reasons.md": tables.reasons,
}

BESIDE = (
    "benchmarks/results/folding.md",
    "benchmarks/results/folding.png",
    "benchmarks/results/serving.md",
    "benchmarks/results/serving.png",
    "examples/kubernetes/foldserve.yaml",
)
"""Files from outside docs/ that pages link to. In the site they lie below the pages, not beside them."""


def stage(target: Path) -> None:
    """Write the folder anew."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(DOCS, target, ignore=shutil.ignore_patterns("*.py", "site", "__pycache__"))
    for page in target.glob("*.md"):
        page.write_text(led(page.read_text()))
    for name in BESIDE:
        _write(target / name, (ROOT / name).read_bytes())
    for name, text in GENERATED.items():
        _write(target / name, text().encode())


def led(text: str) -> str:
    """A page whose links to files beside docs/ lead to their copies."""
    for name in BESIDE:
        text = text.replace(f"](../{name}", f"]({name}")
    return text


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
