"""How the training went."""

from __future__ import annotations

from collections.abc import Iterator

from training.report import charts
from training.report.facts import Facts
from training.report.html import Html, bullets, figures, joined, paragraph


def curves(facts: Facts) -> Html:
    """Loss, score, rate and gradient norm by epoch, and what went wrong."""
    score = "accuracy" if facts.splits.task == "classification" else "R²"
    losses = (
        ("s1", "training", lambda epoch: epoch.train_loss),
        ("s2", "validation", lambda epoch: epoch.validation_loss),
    )
    return joined(
        [
            paragraph(_sentence(facts)),
            figures(
                [
                    charts.curve(facts.fits, losses, "Loss", "loss"),
                    charts.curve(
                        facts.fits, [("s2", score, lambda e: e.score)], f"Validation {score}", score
                    ),
                    # A cosine ends near 0: by its logarithm its last point would be the whole picture.
                    charts.curve(
                        *(facts.fits, [("s1", "rate", lambda e: e.rate)], "Learning rate", "rate"),
                        logarithmic=False,
                    ),
                    charts.curve(
                        facts.fits, [("s1", "norm", lambda e: e.gradient_norm)], "Gradient norm", "norm"
                    ),
                ]
            ),
            bullets(_incidents(facts), "findings"),
        ]
    )


def _sentence(facts: Facts) -> str:
    fits = facts.fits
    epochs = ", ".join(f"{len(fit.epochs)} of {fit.epochs[0].of} (best: {fit.best})" for fit in fits)
    seconds = sum(epoch.seconds for fit in fits for epoch in fit.epochs)
    members = f"{len(fits)} members; epochs of each: " if len(fits) > 1 else "Epochs: "
    note = "The training loss counts dropout and mixing, so it can lie above the validation loss."
    rows = "validation" if len(facts.splits.validation) else "training (there are no validation rows)"
    return f"{members}{epochs}, in {seconds:.1f} s. The best is chosen by the score on {rows} rows. {note}"


def _incidents(facts: Facts) -> Iterator[str]:
    for number, fit in enumerate(facts.fits, 1):
        for warning in fit.warnings:
            yield f"member {number}: {warning}" if len(facts.fits) > 1 else warning
