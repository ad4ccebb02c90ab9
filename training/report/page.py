"""page(facts) → one file: no scripts, nothing from elsewhere, light or dark as the reader's system is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from training.report.facts import Facts
from training.report.html import Html, html
from training.report.sections import answers, data, model, training
from training.report.style import STYLE


def page(facts: Facts) -> str:
    """The page."""
    sections = list(_sections(facts))
    links = "".join(f'<a href="#{anchor}">{html(title)}</a>' for anchor, title, _ in sections)
    parts = "\n".join(
        f'<section id="{anchor}"><h2>{html(title)}</h2>\n{show(facts)}</section>'
        for anchor, title, show in sections
    )
    title = f"{facts.name}: {facts.splits.task} of {facts.splits.target}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{html(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<header><h1>{html(facts.name)}</h1>\n{_lead(facts)}\n{_tiles(facts)}\n<nav>{links}</nav></header>\n"
        f"<main>{parts}</main>\n</body>\n</html>\n"
    )


def _sections(facts: Facts) -> Iterator[tuple[str, str, Callable[[Facts], Html]]]:
    yield "data", "Data", data.data
    yield "training", "Training", training.curves
    yield "answers", "Answers", answers.scores
    if facts.splits.task == "classification":
        yield "calibration", "Calibration", answers.calibration
    yield "importance", "Importance of the columns", answers.importance
    yield "normalisations", "Normalisations", model.normalisations
    yield "folding", "Folding", model.folding
    yield "certificate", "Certificate", model.certificate
    yield "hyperparameters", "Hyperparameters", model.hyperparameters
    yield "provenance", "Provenance", model.provenance


def _lead(facts: Facts) -> str:
    splits, origin = facts.splits, facts.metadata.provenance
    kind = f"{len(splits.classes)} classes" if splits.classes else "a number"
    told = f"predicts {splits.target} ({kind}) from {len(splits.columns):,} columns of {splits.source}"
    return f'<p class="lead">{html(told)}; trained {origin.created:%Y-%m-%d %H:%M} UTC</p>'


def _tiles(facts: Facts) -> str:
    tiles = "".join(
        f'<div class="tile"><b>{html(value)}</b><span>{html(name)}</span></div>'
        for name, value in _headlines(facts)
    )
    return f'<div class="tiles">{tiles}</div>'


def _headlines(facts: Facts) -> Iterator[tuple[str, str]]:
    """The few numbers that people look for first."""
    metrics, metadata = facts.metadata.metrics, facts.metadata
    names = ("accuracy", "log_loss") if facts.splits.task == "classification" else ("rmse", "r2")
    for name in names:
        rows = next((rows for rows in ("test", "validation") if f"{rows}_{name}" in metrics), None)
        if rows is not None:
            shown = name.replace("_", " ").replace("rmse", "RMSE").replace("r2", "R²")
            yield f"{rows} {shown}", f"{metrics[f'{rows}_{name}']:.4f}"
    yield "training rows", f"{metadata.provenance.training_rows:,}"
    yield "parameters in the file", f"{metadata.folding.parameters_after:,}"
    if metadata.certificate is not None:
        yield "error beside plain float32", f"× {metadata.certificate.ratio_of_means:.3f}"
