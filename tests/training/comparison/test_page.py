import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console

from tests.training.comparison.small import comparison, diverged
from training.comparison import Comparison, Summary, page, table


def shown(found: Comparison, width: int = 160) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(table.show(Summary.of(found)))
    return console.export_text()


def written(found: Comparison, path: Path) -> str:
    pytest.importorskip("matplotlib")
    page.write(Summary.of(found), path)
    return path.read_text(encoding="utf-8")


def test_the_table_answers_both_faces() -> None:
    text = shown(comparison())
    for words in (
        "small start, lowest rate",
        "best start and rate of each",
        "N(0, 0.01²), 0.002",
        "with BN: best score",
        "steps without / with [95 %]",
        "difference, test score",
        "n = 2 seeds",
        "range",
        "usual less small start",
        "With the best settings of both sides",
    ):
        assert words in text, words
    summary = Summary.of(comparison())
    best = summary.best.with_norm.score
    assert best
    assert f"{best.mean:.4f} ± {best.deviation:.4f}" in text


def test_a_diverged_rate_is_named_in_table_and_page(tmp_path: Path) -> None:
    assert "diverged" in shown(diverged())
    text = written(diverged(), tmp_path / "page.html")
    assert "Runs that diverged" in text
    assert "try a lower --lr" in text


def test_where_all_runs_diverge_it_says_so(tmp_path: Path) -> None:
    found = diverged()
    runs = tuple(type(run)(run.trial, run.looks, run.diverged or "the loss is nan") for run in found.runs)
    lost = type(found)(**{**vars(found), "runs": runs})
    assert "nothing can be said" in shown(lost)
    assert "nothing can be said" in written(lost, tmp_path / "page.html")


def test_the_page_is_well_formed_and_needs_nothing_else(tmp_path: Path) -> None:
    text = written(comparison(), tmp_path / "page.html")
    root = ElementTree.fromstring(text)  # noqa: S314 - our own page
    assert len(root.findall(".//svg")) == 3
    assert "http" not in text
    assert not re.search(r"<script|<link|<img|@import|src=|url\((?!#)", text)
    named = re.findall(r'\bid="([^"]+)"', text)
    assert len(named) == len(set(named))
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    assert used <= set(named)


def test_the_page_says_what_was_measured_and_how(tmp_path: Path) -> None:
    text = written(comparison(), tmp_path / "page.html")
    for words in ("16 runs of 32 steps", "Student's t", "after every step", "same budget: 4 epochs"):
        assert words.replace("'", "&#x27;") in text, words
