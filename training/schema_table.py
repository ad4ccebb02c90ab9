"""The schema as a person sees it before training: a table of columns, and what was found about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from training.columns import Finding
from training.data import Splits
from training.schema import Role, Schema
from training.tables import counted

LONGEST_RUN = 20
"""More columns alike in a row than this are one line: a picture has hundreds."""

MOST_FINDINGS = 30

_ADVICE = {
    "constant": "--numeric or --categorical keeps it",
    "id-like": "--numeric or --categorical keeps it",
    "duplicate": "--numeric or --categorical keeps it",
    "code": "--numeric {name} if they measure something",
    "unique": "--drop {name} if so",
    "leak": "--drop {name} if so",
    "words": "--missing names such texts, --categorical keeps them",
    "float32": "--drop or --categorical if they are codes; else subtract a number from it beforehand",
}


def show(console: Console, splits: Splits) -> None:
    """Print what was read and what will be done with it."""
    for note in splits.notes:
        console.print(Text(note), soft_wrap=True)
    console.print(schema_table(splits.schema))
    kinds = f"{len(splits.classes)} classes" if splits.classes else "a number"
    train, validation, test = (len(rows) for rows in (splits.train, splits.validation, splits.test))
    console.print(
        Text(f"{splits.source}: {counted(len(splits.columns), 'feature')} → {splits.target} ({kinds})")
    )
    console.print(f"rows: {train:,} to train, {validation:,} to validate, {test:,} to test")


def schema_table(schema: Schema) -> Group:
    """Column, kind, missing, distinct, what will be done; and the findings below."""
    table = Table("column", "values", box=None, header_style="bold", pad_edge=False)
    for heading in ("missing", "distinct"):
        table.add_column(heading, justify="right")
    table.add_column("what is done")
    for roles in runs(schema.roles):
        table.add_row(*map(Text, cells(roles)), style="dim" if roles[0].kind == "dropped" else None)
    return Group(table, *_lines(schema.findings))


def runs(roles: Iterable[Role]) -> Iterator[list[Role]]:
    """Columns that are treated alike, together when they are many in a row."""
    for _, group in groupby(roles, key=lambda role: (role.kind, role.why, role.missing > 0, role.marks)):
        alike = list(group)
        yield from (
            [alike] if len(alike) > LONGEST_RUN and alike[0].kind == "numeric" else [[r] for r in alike]
        )


def cells(roles: list[Role]) -> tuple[str, ...]:
    """The row of one column, or of several that are treated alike."""
    first, last = roles[0], roles[-1]
    if len(roles) == 1:
        return first.name, first.stored, _missing(first), f"{first.distinct:,}", first.doing
    names = f"{first.name} … {last.name} ({len(roles)} columns)"
    stored = "numbers" if len({role.stored for role in roles}) > 1 else first.stored
    most = max(role.missing for role in roles)
    low, high = min(role.distinct for role in roles), max(role.distinct for role in roles)
    missing = f"≤ {most:,}" if most else ""
    return names, stored, missing, f"{low:,} to {high:,}", first.doing


def _missing(role: Role) -> str:
    if not role.missing:
        return ""
    marks = " ".join(role.marks[:3])
    return f"{role.missing:,} ({marks})" if marks else f"{role.missing:,}"


def advised(finding: Finding) -> str:
    """What was found about a column, and the flag that would change it."""
    advice = _ADVICE.get(finding.code, "").format(name=finding.column)
    return f"{finding.column} {finding.text}" + (f" ({advice})" if advice else "")


def _lines(findings: tuple[Finding, ...]) -> Iterator[Text]:
    for finding in findings[:MOST_FINDINGS]:
        yield Text(f"! {advised(finding)}", style="yellow")
    if len(findings) > MOST_FINDINGS:
        yield Text(f"! and {len(findings) - MOST_FINDINGS} more such lines", style="yellow")
