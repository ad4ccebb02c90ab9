"""A comparison as one HTML file: no scripts, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path

from training.comparison import pictures, table, wording
from training.comparison.summary import Summary
from training.comparison.trials import MOST_ROWS, SMALL_DEVIATION, UNIT

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 62rem; margin: 2rem auto;
  padding: 0 1.25rem; }
h1 { font-size: 1.6rem; margin-bottom: 0.25rem; }
h2 { font-size: 1.15rem; margin: 2.25rem 0 0.5rem; }
p, li { max-width: 46rem; }
.of { color: #666; margin-top: 0; }
.answer { border-left: 4px solid #2563a8; padding-left: 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.35rem 0.9rem 0.35rem 0; text-align: left; border-bottom: 1px solid #e2e2e2;
  vertical-align: top; }
td { white-space: pre-line; }
thead th { border-bottom: 2px solid #999; }
tbody th { font-weight: normal; color: #444; }
figure { margin: 0.5rem 0; }
figcaption { font-size: 0.9rem; color: #555; max-width: 46rem; }
svg { max-width: 100%; height: auto; }
""".strip()


def write(summary: Summary, path: Path) -> None:
    """The page, to a file."""
    path.write_text(page(summary), encoding="utf-8")


def page(summary: Summary) -> str:
    """The page."""
    comparison = summary.comparison
    title = f"Does Batch Normalization help on {comparison.source}?"
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8"/>',
            '<meta name="viewport" content="width=device-width, initial-scale=1"/>',
            f"<title>{escape(title)}</title>\n<style>\n{STYLE}\n</style>\n</head>\n<body>",
            f"<h1>{escape(title)}</h1>",
            *_body(summary),
            "</body>\n</html>\n",
        ]
    )


def _body(summary: Summary) -> Iterator[str]:
    comparison = summary.comparison
    train, validation, test = comparison.rows
    yield _paragraph(
        f"Predicts {comparison.target}; {train:,} rows to train, {validation:,} to validate, {test:,} to "
        f"test. {len(comparison.runs)} runs of {comparison.steps:,} steps each.",
        "of",
    )
    yield '<div class="answer">'
    yield from (_paragraph(sentence) for sentence in wording.answer(summary))
    yield "</div>"
    yield "<h2>Side by side</h2>"
    headings = (
        f"validation {comparison.score}, n = {comparison.grid.seeds} seeds",
        *(face.question for face in summary.faces),
    )
    yield _table(headings, ([heading, *cells] for heading, cells in table.rows(summary)))
    yield _figure(
        pictures.curves(summary), "Mean over the seeds; the band reaches from the lowest to the highest."
    )
    yield "<h2>How much the learning rate matters</h2>"
    yield _table(table.rate_headings(summary), table.rate_rows(summary))
    yield _figure(pictures.rates(summary), "Mean and standard deviation over the seeds.")
    yield from _starts(summary)
    yield "<h2>What a unit is given while the network trains</h2>"
    yield _figure(pictures.percentiles(summary), _unit(summary))
    yield from _diverged(summary)
    yield "<h2>How this was measured</h2>"
    yield _list(_method(summary))


def _starts(summary: Summary) -> Iterator[str]:
    found = [(spread.batch_norm, spread.over_starts) for spread in summary.spreads if spread.over_starts]
    if not found:
        return
    seeds = summary.comparison.grid.seeds
    usual = wording.start_name(summary.comparison, "usual")
    small = wording.start_name(summary.comparison, "small")
    yield "<h2>How much the initialisation matters</h2>"
    yield _table(
        ("", f"best score from {usual} less that from {small}, each at its best rate"),
        ([wording.SIDES[side], wording.difference(estimate, seeds)] for side, estimate in found),
    )


def _unit(summary: Summary) -> str:
    one, other = summary.faces[0].with_norm, summary.faces[0].without
    begun = wording.start_name(summary.comparison, one.start)
    return (
        f"15th, 50th and 85th percentile of what the activation of unit {UNIT + 1} of the last hidden layer "
        f"is given over the validation rows; weights begin as {begun}, rate {one.rate:g} with BN and "
        f"{other.rate:g} without, seed {one.runs[0].trial.seed}. The unit was fixed beforehand."
    )


def _diverged(summary: Summary) -> Iterator[str]:
    runs = summary.comparison.diverged
    if not runs:
        return
    yield "<h2>Runs that diverged</h2>"
    yield _table(
        ("side", "start", "rate", "seed", "what ended it"),
        (
            [
                wording.SIDES[run.trial.batch_norm],
                wording.start_name(summary.comparison, run.trial.start),
                f"{run.trial.rate:g}",
                str(run.trial.seed),
                str(run.diverged),
            ]
            for run in runs
        ),
    )


def _method(summary: Summary) -> Iterator[str]:
    comparison = summary.comparison
    model, loop = comparison.recipe.model, comparison.recipe.loop
    widths = ", ".join(map(str, model.hidden)) or "none"
    often = "after every step" if comparison.every == 1 else f"every {comparison.every} steps"
    guard = "on" if loop.spike_guard else "off"
    yield (
        "Both sides have the same rows, the same encoding fitted to the training rows, the same widths "
        f"({widths}), {model.activation}, dropout {model.dropout:g}, and the same budget: {loop.epochs} "
        f"epochs, {comparison.steps:,} steps. Without BN a layer has a bias instead."
    )
    yield (
        f"Optimiser {loop.optimizer}, schedule {loop.schedule}, weight decay {loop.weight_decay:g}, average "
        f"of the weights {loop.ema:g}, spike guard {guard}; no early stop. A schedule that falls belongs to "
        "its budget: steps to a score depend on it, on both sides alike."
    )
    yield (
        f"Each run was looked at {often}, so steps are known no better than that. "
        "The best score is the highest validation score of a run; the rate and the start of a side are "
        "chosen by it as well. The test score, which chose nothing, is taken where the validation score was "
        "best."
    )
    yield (
        "Steps without / with: both sides reach the lower of their two best scores, and the steps of "
        "each until then are compared, seed by seed (geometric mean). The side that ends lower needs its "
        "whole way for that score, as in the paper, so the ratio favours the side that ends higher."
    )
    yield (
        "Intervals are 95 %, Student's t over paired differences by seed. Seeds change the initial weights, "
        "the order of the rows and dropout, not the split of the table: another split may say otherwise."
    )
    yield (
        f"The small start draws all weights behind the encoding from N(0, {SMALL_DEVIATION}²). Of more than "
        f"{MOST_ROWS:,} validation or test rows so many are looked at, chosen by chance."
    )


def _paragraph(text: str, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    return f"<p{marked}>{escape(text)}</p>"


def _figure(picture: str, caption: str) -> str:
    return f"<figure>\n{picture}\n<figcaption>{escape(caption)}</figcaption>\n</figure>"


def _table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in headings)
    body = "\n".join(_row(list(cells)) for cells in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table></div>"
    )


def _row(cells: list[str]) -> str:
    rest = "".join(f"<td>{escape(text)}</td>" for text in cells[1:])
    return f'<tr><th scope="row">{escape(cells[0])}</th>{rest}</tr>'


def _list(sentences: Iterable[str]) -> str:
    return "<ul>\n" + "\n".join(f"<li>{escape(text)}</li>" for text in sentences) + "\n</ul>"
