"""report.html and history.csv, beside a model file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from service.metadata import ModelMetadata
from training.data import Splits
from training.loop import Epoch, FitResult
from training.predictor import Predictor
from training.report.facts import Facts
from training.report.page import page

REPORT = "report.html"
HISTORY = "history.csv"


def write_report(
    folder: Path,
    name: str,
    splits: Splits,
    predictor: Predictor,
    fits: Sequence[FitResult],
    metadata: ModelMetadata,
) -> None:
    """The page of a run, and its epochs.

    Args:
        folder: of the model file.
        name: the model's.
        predictor: the model before the fold.
        fits: of each member.
    """
    facts = Facts.of(name, splits, predictor, fits, metadata)
    (folder / REPORT).write_text(page(facts), encoding="utf-8")
    write_history(folder / HISTORY, fits)


def write_history(path: Path, fits: Sequence[FitResult]) -> None:
    """All epochs of all members: their numbers as they are, and whether their state was kept."""
    names = [entry.name for entry in fields(Epoch)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["member", *names, "best"])
        for member, fit in enumerate(fits, 1):
            for epoch in fit.epochs:
                writer.writerow([member, *asdict(epoch).values(), int(epoch.number == fit.best)])
