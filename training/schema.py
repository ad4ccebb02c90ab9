"""Which column is a number, which a category, which no feature: inferred, shown, open to objection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from training.columns import FEW_ROWS, Finding, Judgement, judge, notes_on
from training.config import DataConfig
from training.errors import DataError
from training.leaks import duplicates, leaks, one_to_one
from training.profiles import Profile, Stored
from training.tables import Remark, Table, listing
from training.tables.writing import PLAIN, Writing


@dataclass(frozen=True)
class Column:
    """A feature of the model.

    Attributes:
        categories: the texts of the training rows, sorted; () for a number.
        missing: whether null may come. A number: some row of the run lacks it; a category: always.
        marks: texts that meant "missing" in this column of the table.
        writing: how the table wrote its numbers.
    """

    name: str
    kind: Literal["numeric", "categorical"]
    categories: tuple[str, ...] = ()
    missing: bool = False
    marks: tuple[str, ...] = ()
    writing: Writing = PLAIN


Kind = Literal["numeric", "categorical", "dropped", "target", "weight"]


@dataclass(frozen=True)
class Role:
    """What is done with a column of the table.

    Attributes:
        stored: what its values are.
        missing, distinct: how many rows lack it, and how many different values the others have.
        why: the code of the finding for which it is dropped; "asked" when a flag says so.
        marks: the texts that were read as missing.
    """

    name: str
    kind: Kind
    stored: Stored
    missing: int
    distinct: int
    why: str = ""
    marks: tuple[str, ...] = ()

    @property
    def doing(self) -> str:
        """What will be done, in words."""
        if self.kind == "dropped":
            return f"dropped: {self.why}"
        if self.kind == "categorical":
            return f"{self.distinct:,} categories" + (", and missing" if self.missing else "")
        if self.kind == "numeric":
            return "number" + (", missing ones flagged" if self.missing else "")
        return self.kind


@dataclass(frozen=True)
class Schema:
    """The roles of all columns in the table's order, and what a person should know about them."""

    roles: tuple[Role, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def features(self) -> tuple[Role, ...]:
        """The columns that the model takes."""
        return tuple(role for role in self.roles if role.kind in ("numeric", "categorical"))

    def role(self, name: str) -> Role:
        """The role of a column."""
        return next(role for role in self.roles if role.name == name)


def infer_schema(
    table: Table, target: str, config: DataConfig, y: NDArray[Any], classes: int | None
) -> Schema:
    """The roles of a table's columns.

    Args:
        y: the target as class indices or values, one per row, to find the columns that leak it.
        classes: how many classes; None for a regression.

    Raises:
        DataError: a flag names a column that is not there, or that is the target; or no feature is left.
    """
    _check_flags(table, target, config)
    profiles = {name: Profile(table.frame[name]) for name in table.names}
    judged = {
        name: _judgement(profile, table.remark(name), config, table.fixed)
        for name, profile in profiles.items()
        if name not in (target, config.weight)
    }
    if not table.fixed:
        judged |= _repeated(judged, profiles, config)
    kept = [profiles[name] for name, judgement in judged.items() if judgement.verdict != "dropped"]
    if not kept:
        raise DataError(_nothing_left(table, target, judged))
    findings = [finding for judgement in judged.values() for finding in judgement.findings]
    findings += _constants(kept) if table.fixed else one_to_one(kept)
    findings += leaks(kept, y, classes)
    roles = [_role(profile, judged, config, table) for profile in profiles.values()]
    return Schema(tuple(roles), tuple(findings))


def _judgement(profile: Profile, remark: Remark, config: DataConfig, fixed: bool) -> Judgement:
    name = profile.name
    if name in config.drop:
        return Judgement("dropped", "asked", ())
    if profile.stored == "other" and name in (*config.numeric, *config.categorical):
        raise DataError(f"column {name!r} holds {profile.series.dtype}: neither numbers nor categories")
    if name in config.numeric:
        return Judgement("numeric", "", notes_on(profile, remark, "numeric"))
    if name in config.categorical:
        return Judgement("categorical", "", ())
    if fixed and profile.series.dtype.is_numeric() and profile.stored != "nothing":
        return Judgement("numeric", "", ())
    return judge(profile, remark)


def _repeated(
    judged: dict[str, Judgement], profiles: dict[str, Profile], config: DataConfig
) -> dict[str, Judgement]:
    """Columns whose every value stands in another one too."""
    kept = [profiles[name] for name, judgement in judged.items() if judgement.verdict != "dropped"]
    found = duplicates(kept) if kept and kept[0].rows >= FEW_ROWS else {}
    asked = (*config.numeric, *config.categorical)
    return {
        name: Judgement("dropped", "duplicate", (Finding(name, "duplicate", f"is {first!r} once more"),))
        for name, first in found.items()
        if name not in asked
    }


def _constants(kept: Sequence[Profile]) -> list[Finding]:
    """The columns of an array that say nothing, in one line; they stay, for their places count."""
    names = [profile.name for profile in kept if profile.distinct == 1 and not profile.missing]
    if not names:
        return []
    text = "is the same in every row, and stays: the columns of an array keep their places"
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return [Finding(names[0] + more, "constant-array", text)]


def _role(profile: Profile, judged: dict[str, Judgement], config: DataConfig, table: Table) -> Role:
    name = profile.name
    judgement = judged.get(name)
    kind: Kind = judgement.verdict if judgement else ("weight" if name == config.weight else "target")
    why = judgement.why if judgement else ""
    marks = table.remark(name).marks
    return Role(name, kind, profile.stored, profile.missing, profile.distinct, why, marks)


def _nothing_left(table: Table, target: str, judged: dict[str, Judgement]) -> str:
    text = f"{table.source}: no features are left beside the target {target!r}"
    if not judged:
        return text
    dropped = [f"{name} ({judgement.why})" for name, judgement in judged.items()]
    return f"{text}; dropped were {', '.join(dropped[:8])}: --numeric or --categorical keeps one"


def _check_flags(table: Table, target: str, config: DataConfig) -> None:
    flags = {"categorical": config.categorical, "numeric": config.numeric, "drop": config.drop}
    for flag, names in flags.items():
        unknown = [name for name in names if name not in table.names]
        if unknown:
            there = listing(table.names)
            raise DataError(
                f"{table.source}: --{flag} names {listing(unknown)}, no such column; there is {there}"
            )
        if target in names:
            raise DataError(f"{table.source}: --{flag} names the target {target!r}")
    _check_once(table, [*config.categorical, *config.numeric, *config.drop])


def _check_once(table: Table, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        text = f"{listing(twice)} stands in more than one of --categorical, --numeric and --drop"
        raise DataError(f"{table.source}: {text}")
