"""What is in the file: normalisations, their fold, its certificate, the choices and the origin."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from service.metadata import FoldEntry
from training.report import charts
from training.report.facts import Facts
from training.report.html import Html, bullets, facts, figures, folded_up, joined, paragraph, table
from training.report.layers import NormStatistics

EPS = 2.0**-23
MOST_PICTURES = 6
"""Normalisations whose distributions are shown; the table has all of them."""

NEAREST_ULP = 0.5
"""The distance within which no other float32 is nearer."""


def normalisations(all_facts: Facts) -> Html:
    """Running variances, γ, and units that never answer."""
    norms = all_facts.norms
    if not norms:
        return joined([paragraph("The network has no Batch Normalization."), _activities(all_facts)])
    pictures = [picture for norm in norms[:MOST_PICTURES] for picture in _pictures(norm)]
    more = f" The first {MOST_PICTURES} are drawn." if len(norms) > MOST_PICTURES else ""
    return joined(
        [
            paragraph(
                "Variances are those of the training rows as the final network sees them. A channel that "
                "hardly varies (variance below 10 ε) is magnified by γ / √ε, and so is drift in it; one "
                f"whose γ is near 0 says little.{more}"
            ),
            table(
                ("layer", "channels", "variance: least", "median", "greatest", "hardly vary", "γ", "near 0"),
                [_row(norm) for norm in norms],
                range(1, 8),
            ),
            _activities(all_facts),
            figures(pictures),
        ]
    )


def _row(norm: NormStatistics) -> tuple[str, ...]:
    low, middle, high = np.quantile(norm.variance, (0, 0.5, 1))
    scale = norm.scale
    small = int((np.abs(scale) < 0.01).sum())
    return (
        norm.name,
        f"{len(scale):,}",
        *(f"{value:.3g}" for value in (low, middle, high)),
        f"{norm.flat:,}",
        f"{scale.min():.3g} to {scale.max():.3g}".replace("-", "−"),
        f"{small:,}",
    )


def _pictures(norm: NormStatistics) -> Iterator[Html]:
    if norm.variance.ndim:
        yield charts.histogram(norm.variance, f"{norm.name}: running variance", "variance", logarithmic=True)
    yield charts.histogram(norm.scale, f"{norm.name}: γ", "γ", kind="s2")


def _activities(all_facts: Facts) -> Html:
    return bullets(
        f"{found.name}: {found.dead:,} of {found.units:,} units are dead (0 for each of {found.rows:,} "
        "training rows)"
        for found in all_facts.activities
    )


def folding(all_facts: Facts) -> Html:
    """What became of each normalisation."""
    found = all_facts.metadata.folding
    left = [entry for entry in found.entries if entry.direction == "left"]
    told = f"{found.layers_before} layers became {found.layers_after}; of {found.parameters_before:,} "
    told += f"parameters {found.parameters_after:,} are left. "
    told += f"{len(left)} could not be folded." if left else "Nothing is left that only scales and shifts."
    if any(entry.direction == "split" for entry in found.entries):
        told += " Where accuracy needs it, the shift stays in front as one subtraction."
    rows = [
        (entry.layer, entry.kind, f"{entry.channels:,}", entry.into or "–", _how(entry), _amp(entry))
        for entry in found.entries
    ]
    headings = ("layer", "kind", "channels", "folded into", "how", "amplification")
    return joined([paragraph(told), table(headings, rows, (2, 5))])


def _how(entry: FoldEntry) -> str:
    return {
        "previous": "rows of its weights and its bias",
        "next": "columns of its weights and its bias",
        "split": entry.detail,
        "left": f"left ({entry.reason}): {entry.detail}",
    }[entry.direction]


def _amp(entry: FoldEntry) -> str:
    return "" if entry.amp is None else f"{entry.amp:.1f}"


def certificate(all_facts: Facts) -> Html:
    """The certificate in words."""
    found = all_facts.metadata.certificate
    if found is None:
        return paragraph("This file has no certificate.")
    folded, plain = found.folded, found.unfolded_float32
    rows = f"The file was written, opened again and run on {found.rows:,} rows"
    genuine = f"{found.held_out_rows:,} of them rows of the table"
    between = (
        ", the others points between them and rows with gaps" if found.rows > found.held_out_rows else ""
    )
    sentences = [
        f"{rows}, {genuine}{between}. Each answer was compared with that of the unfolded model in float64.",
        f"The mean error of a row is {folded.mean / EPS:.2f} eps of float32 "
        f"(greatest {folded.max / EPS:.1f}). "
        f"The unfolded model in float32 has {plain.mean / EPS:.2f} (greatest {plain.max / EPS:.1f}): folding "
        f"costs a factor of {found.ratio_of_means:.3f}, where 1 means nothing.",
        _parameters(found.parameters, found.parameters_max_ulp),
    ]
    if found.label_agreement is not None:
        ties = f"{found.ties:,} rows are too close to call in float32"
        sentences.append(f"{found.label_agreement:.2%} of the labels are the same as in float64; {ties}.")
    return bullets(sentences)


def _parameters(count: int, distance: float) -> str:
    told = (
        f"All {count:,} stored parameters lie within {distance:.3f} units in the last place of the exact fold"
    )
    if distance <= NEAREST_ULP:
        return f"{told}: each is the float32 nearest to it."
    return f"{told}."


def hyperparameters(all_facts: Facts) -> Html:
    """All choices, those of flags and those of the table."""
    chosen = all_facts.metadata.hyperparameters
    return facts((name.replace("_", " "), _shown(value)) for name, value in chosen.items())


def provenance(all_facts: Facts) -> Html:
    """Where the file comes from."""
    origin = all_facts.metadata.provenance
    pairs = [
        ("made", f"{origin.created:%Y-%m-%d %H:%M} UTC"),
        ("by", f"foldserve {origin.foldserve}"),
        ("data", origin.data),
        ("training rows", f"{origin.training_rows:,}"),
        ("seed", str(origin.seed)),
        *origin.versions.items(),
    ]
    fingerprint = paragraph(f"SHA-256 over the table's column names and values: {origin.data_fingerprint}")
    classes = all_facts.metadata.classes
    listed = paragraph(", ".join(map(str, classes))) if classes else Html("")
    named = folded_up(f"{len(classes):,} classes", listed) if classes else Html("")
    return joined([facts(pairs), fingerprint, named])


def _shown(value: float | int | str | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
