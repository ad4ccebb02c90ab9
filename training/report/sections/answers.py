"""How good the answers are: classes mistaken, errors, probabilities, and the columns that matter."""

from __future__ import annotations

import math

import numpy as np

from training.report import charts
from training.report.answers import Confusion, Reliability, Residuals
from training.report.facts import Facts
from training.report.html import Html, facts, figures, folded_up, html, joined, paragraph, table

MOST_COLUMNS = 20
"""Of the columns by importance; the others are folded up."""

_MEASURES = {"rmse": "RMSE", "log_rmse": "RMSE of the logarithm", "r2": "R²"}


def scores(all_facts: Facts) -> Html:
    """The metrics of the file, and what lies behind them."""
    answers, classes = all_facts.answers, all_facts.splits.classes
    rows = len(answers.split)
    told = f"Computed on the {rows:,} {answers.rows_of} rows"
    if answers.rows_of == "validation":
        told += "; they chose the best epoch, so the figures are a little optimistic"
    if answers.rows_of == "training":
        told += ", as there are no others: they say nothing about new rows"
    if classes is not None:
        shown = _confusion(Confusion.of(answers.outputs, answers.split.y, classes))
    else:
        shown = _residuals(Residuals.of(answers.outputs, answers.split.y))
    return joined([_metrics(all_facts), paragraph(told + "."), shown])


def _metrics(all_facts: Facts) -> Html:
    metrics = all_facts.metadata.metrics
    found: dict[str, dict[str, str]] = {}
    for name, value in metrics.items():
        rows, _, measure = name.partition("_")
        if rows in ("validation", "test"):
            found.setdefault(measure, {})[rows] = f"{value:.4f}"
    columns = [rows for rows in ("validation", "test") if any(rows in row for row in found.values())]
    body = [
        (_MEASURES.get(measure, measure.replace("_", " ")), *(row.get(rows, "") for rows in columns))
        for measure, row in found.items()
    ]
    return table(("", *columns), body, (1, 2)) if body else Html("")


def _confusion(found: Confusion) -> Html:
    counts = found.counts
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    head = "".join(f"<th>{html(label)}</th>" for label in found.labels)
    lines = []
    for place, label in enumerate(found.labels):
        cells = "".join(
            f'<td class="n {"right" if place == other else "wrong"}" '
            f'style="--share:{share[place, other] * 100:.0f}%">{count:,}</td>'
            for other, count in enumerate(counts[place])
        )
        lines.append(
            f'<tr><th>{html(label)}</th>{cells}<td class="n">{_share(found.recall[place])}</td></tr>'
        )
    last = "".join(f'<td class="n">{_share(value)}</td>' for value in found.precision)
    lines.append(f"<tr><th>precision</th>{last}<td></td></tr>")
    inside = f"<thead><tr><th>true ↓ told →</th>{head}<th>recall</th></tr></thead>"
    body = "\n".join(lines)
    return Html(
        "<h3>Confusion matrix</h3>"
        f'<div class="wide"><table class="confusion">{inside}<tbody>{body}</tbody></table></div>'
    )


def _residuals(found: Residuals) -> Html:
    errors = found.errors
    quantiles = np.quantile(np.abs(errors), (0.5, 0.9, 0.99))
    return joined(
        [
            facts(
                [
                    ("mean error", _signed(float(errors.mean()))),
                    ("half of the errors are below", f"{quantiles[0]:.4g}"),
                    ("nine in ten", f"{quantiles[1]:.4g}"),
                    ("99 in 100", f"{quantiles[2]:.4g}"),
                ]
            ),
            figures(
                [
                    charts.predicted(found),
                    charts.errors_by_prediction(found),
                    charts.histogram(errors, "Errors", "predicted − true"),
                ]
            ),
        ]
    )


def calibration(all_facts: Facts) -> Html:
    """Whether probabilities can be taken by their word."""
    answers, metrics = all_facts.answers, all_facts.metadata.metrics
    found = Reliability.of(answers.outputs, answers.split.y)
    temperature = metrics.get("temperature")
    if temperature is None:
        told = "The logits were left as they are."
    elif temperature == 1.0:
        told = "The validation rows asked for no other temperature (1), or were too few to ask."
    else:
        told = (
            f"The logits were divided by a temperature of {temperature:.4f}, which the validation rows "
            "chose; the weights of the last layer hold it."
        )
    return joined(
        [
            facts(
                [
                    ("calibration error", f"{found.error:.4f}"),
                    ("temperature", "–" if temperature is None else f"{temperature:.4f}"),
                    (f"{answers.rows_of} rows", f"{len(answers.split):,}"),
                ]
            ),
            paragraph(
                f"{told} The calibration error is the mean distance between the share of right labels and "
                "the mean probability (the dots from the dashed line), weighted by the rows in each bin."
            ),
            figures([charts.reliability(found), charts.confidence(found)]),
        ]
    )


def importance(all_facts: Facts) -> Html:
    """The columns that matter, by permutation."""
    found = all_facts.importance
    most = max((column.rise + np.nan_to_num(column.spread) for column in found.columns), default=0.0)
    # All have the decimals that the greatest needs, so that they can be compared at a glance.
    decimals = max(0, 2 - math.floor(math.log10(most))) if most > 0 else 4
    rows = [
        (
            column.name,
            charts.bar(column.rise, column.spread, most),
            _fixed(column.rise, decimals),
            *([_fixed(column.spread, decimals)] if found.repeats > 1 else []),
        )
        for column in found.columns
    ]
    headings = ("column", "", "rise", "±")[: 4 if found.repeats > 1 else 3]
    numbers = tuple(range(2, len(headings)))
    times = "once" if found.repeats == 1 else f"{found.repeats} times"
    spread = "; ± is the standard deviation of one shuffling" if found.repeats > 1 else ""
    told = (
        f"By how much the {found.measure} ({found.error:.4g}) rises when the values of one column are "
        f"shuffled among {found.rows:,} {all_facts.answers.rows_of} rows, {times}{spread}. Columns that say "
        "the same stand in for each other, and then neither seems to matter."
    )
    if found.left_out:
        told += f" {found.left_out:,} columns, drawn by chance, were not tried."
    parts = [paragraph(told), table(headings, rows[:MOST_COLUMNS], numbers)]
    if len(rows) > MOST_COLUMNS:
        others = table(headings, rows[MOST_COLUMNS:], numbers)
        parts.append(folded_up(f"{len(rows) - MOST_COLUMNS:,} more columns", others))
    return joined(parts)


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.1%}"


def _signed(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


def _fixed(value: float, decimals: int) -> str:
    return f"{round(value, decimals) + 0.0:,.{decimals}f}".replace("-", "−")
