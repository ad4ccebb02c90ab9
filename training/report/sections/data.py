"""What the table holds, and what was done with it."""

from __future__ import annotations

from collections.abc import Iterator

from training.report.facts import Facts
from training.report.html import Html, bullets, facts, heading, joined, table
from training.schema import Role
from training.schema_table import MOST_FINDINGS, advised, cells, runs

MOST_ROWS = 200
"""Of the table of columns."""

MOST_WHOLE = 1e15


def data(all_facts: Facts) -> Html:
    """Rows, columns and findings."""
    splits = all_facts.splits
    parts = (("training", splits.train), ("validation", splits.validation), ("test", splits.test))
    schema = splits.schema
    found = [advised(finding) for finding in schema.findings[:MOST_FINDINGS]]
    left = len(schema.findings) - len(found)
    return joined(
        [
            facts([(f"{name} rows", f"{len(split):,}") for name, split in parts]),
            *([heading("Findings")] if found else []),
            bullets([*found, f"and {left} more"] if left else found, "findings"),
            bullets(splits.notes, "findings"),
            heading("Columns"),
            table(
                ("column", "values", "missing", "distinct", "range in training", "what was done"),
                _rows(all_facts),
                (2, 3),
            ),
        ]
    )


def _rows(all_facts: Facts) -> Iterator[tuple[str, ...]]:
    ranges = _ranges(all_facts)
    lines = list(runs(all_facts.splits.schema.roles))
    for alike in lines[:MOST_ROWS]:
        name, stored, missing, distinct, doing = cells(alike)
        yield name, stored, missing, distinct, _range(alike, ranges), doing
    if len(lines) > MOST_ROWS:
        yield (f"and {len(lines) - MOST_ROWS} more", "", "", "", "", "")


def _ranges(all_facts: Facts) -> dict[str, tuple[float, float]]:
    return {
        feature.name: (feature.minimum, feature.maximum)
        for feature in all_facts.metadata.features
        if feature.minimum is not None and feature.maximum is not None
    }


def _range(alike: list[Role], ranges: dict[str, tuple[float, float]]) -> str:
    ends = [ranges[role.name] for role in alike if role.name in ranges]
    if not ends:
        return ""
    return f"{_end(min(low for low, _ in ends))} to {_end(max(high for _, high in ends))}"


def _end(value: float) -> str:
    """All digits of a whole number: 1.4847e+06 would be no help to who looks for it."""
    whole = value == round(value) and abs(value) < MOST_WHOLE
    return (f"{value:,.0f}" if whole else f"{value:,.6g}").replace("-", "−")
