"""judge(profile) → the role of a column, and what a person should know about it.

The rules are heuristics of the kind that tools for tables use. Each one that changes what is done with a
column leaves a finding. None looks at the target.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from training.outliers import sentinel
from training.profiles import Profile
from training.tables import Remark

FEW_ROWS = 20
"""With fewer rows than this, all different says nothing."""

MOST_CODES = 200
"""Whole numbers of more values than this are not taken for codes."""

MANY_CATEGORIES = 1000
LEAST_ROWS_PER_CATEGORY = 5
FLOAT64_INTEGERS = 2**53

Verdict = Literal["numeric", "categorical", "dropped"]


class Finding(NamedTuple):
    """Something a person should know about a column.

    Attributes:
        code: a short word for it, such as "constant".
    """

    column: str
    code: str
    text: str


class Judgement(NamedTuple):
    """The role of a column, why it is dropped when it is, and what was found."""

    verdict: Verdict
    why: str
    findings: tuple[Finding, ...]


def judge(profile: Profile, remark: Remark) -> Judgement:
    """The role of a column that nobody gave one."""
    name = profile.name
    notes = _remarks(name, remark)
    if profile.stored == "nothing":
        return _dropped(name, "empty", "every value is missing", notes)
    if profile.distinct == 1 and not profile.missing:
        return _dropped(name, "constant", f"is {profile.known[0]!r} in every row", notes)
    if profile.stored == "dates":
        return _dropped(name, "date", "holds dates; numbers made of them, such as days, could be used", notes)
    if profile.stored == "other":
        return _dropped(name, "other", f"holds {profile.series.dtype}, no number and no text", notes)
    if profile.stored == "true or false":
        return Judgement("categorical", "", notes)
    return _text(profile, notes) if profile.stored == "text" else _numbers(profile, notes)


def notes_on(profile: Profile, remark: Remark, verdict: Verdict) -> tuple[Finding, ...]:
    """What is to be said of a column whose role is given."""
    precise = _precision(profile) if verdict == "numeric" and profile.series.dtype.is_numeric() else ()
    return (*_remarks(profile.name, remark), *precise)


def _dropped(name: str, code: str, text: str, notes: tuple[Finding, ...]) -> Judgement:
    return Judgement("dropped", code, (*notes, Finding(name, code, text)))


def _remarks(name: str, remark: Remark) -> tuple[Finding, ...]:
    found = []
    if remark.words:
        shown = ", ".join(map(repr, remark.words))
        found.append(Finding(name, "words", f"has {shown} among its numbers, read as missing"))
    if remark.note:
        found.append(Finding(name, "text", remark.note))
    if not remark.writing.plain:
        found.append(Finding(name, "text", f"{remark.writing}; records take plain numbers"))
    return tuple(found)


def _numbers(profile: Profile, notes: tuple[Finding, ...]) -> Judgement:
    name, distinct = profile.name, profile.distinct
    if profile.stored == "numbers":
        return Judgement("numeric", "", (*notes, *_precision(profile), *_sentinel(profile)))
    if _counts_rows(profile):
        return _dropped(name, "id-like", "counts the rows", notes)
    if profile.named_index and _differs(profile, 0.95):
        return _dropped(name, "id-like", f"is named like an identifier and has {distinct:,} values", notes)
    if profile.named_id and distinct > MOST_CODES:
        return _dropped(name, "id-like", f"is named like an identifier and has {distinct:,} values", notes)
    if _beyond_numbers(profile):
        return _dropped(name, "id-like", "is a whole number beyond 2^53, nearly another in every row", notes)
    if _looks_coded(profile):
        text = f"has {distinct} whole numbers that look like codes: taken for categories"
        return Judgement("categorical", "", (*notes, Finding(name, "code", text)))
    found = (*_precision(profile), *_all_different(profile), *_sentinel(profile))
    return Judgement("numeric", "", (*notes, *found))


def _differs(profile: Profile, share: float) -> bool:
    known = len(profile.known)
    return known >= FEW_ROWS and profile.distinct >= share * known


def _counts_rows(profile: Profile) -> bool:
    """Every whole number of a range once, in any order; or one step from each row to the next."""
    few = profile.missing or profile.rows < FEW_ROWS or profile.distinct < profile.rows
    if few or "year" in profile.words:
        return False
    low, high = _ends(profile)
    steps = profile.known.cast(pl.Float64).diff().drop_nulls()
    return high - low == profile.rows - 1 or steps.n_unique() == 1


def _ends(profile: Profile) -> tuple[int, int]:
    return int(profile.known.min()), int(profile.known.max())  # type: ignore[arg-type]


def _looks_coded(profile: Profile) -> bool:
    """Whole numbers whose order says little: named as codes, or few of them far apart and of one length."""
    distinct, known = profile.distinct, len(profile.known)
    if not 3 <= distinct <= MOST_CODES or known < LEAST_ROWS_PER_CATEGORY * distinct:
        return False
    return profile.named_code or _sparse(profile)


def _sparse(profile: Profile) -> bool:
    """Such as 2702, 2703, 4201, 8776: most numbers between the ends never occur, whatever their step."""
    low, high = _ends(profile)
    if low < 100 or len(str(low)) != len(str(high)) or profile.distinct < 5 or high <= 2100:
        return False
    values = profile.known.unique().cast(pl.Int64).to_numpy()
    step = int(np.gcd.reduce(values - low))
    counts = profile.known.value_counts()["count"]
    common = int(counts.max())  # type: ignore[arg-type]
    return (high - low) / step >= 10 * profile.distinct and common <= 0.5 * len(profile.known)


def _beyond_numbers(profile: Profile) -> bool:
    """Whole numbers beyond those that a float64 counts by ones, nearly all different: accounts, hashes."""
    low, high = _ends(profile)
    return max(abs(low), abs(high)) > FLOAT64_INTEGERS and _differs(profile, 0.95)


def _precision(profile: Profile) -> tuple[Finding, ...]:
    """Numbers that float32 cannot tell apart; of fractions some are alike but for the noise of their sums."""
    left = profile.known.cast(pl.Float32).n_unique()
    if left >= (0.99 if profile.whole else 0.9) * profile.distinct:
        return ()
    text = f"has {profile.distinct:,} values, of which float32 keeps {left:,}"
    return (Finding(profile.name, "float32", text),)


def _sentinel(profile: Profile) -> tuple[Finding, ...]:
    """A number that may stand for a missing one."""
    found = sentinel(profile.known)
    if found is None:
        return ()
    text = f"is {found.value} in {found.rows:,} rows, far from its other values: does it mean missing?"
    return (Finding(profile.name, "sentinel", f"{text} (--missing={found.value} if so)"),)


def _all_different(profile: Profile) -> tuple[Finding, ...]:
    """Whole numbers of which nearly every row has its own, over a wide range: perhaps an identifier."""
    low, high = _ends(profile)
    if not _differs(profile, 1.0) and not (_differs(profile, 0.9) and high - low > 100 * profile.rows):
        return ()
    text = (
        f"is a whole number with {profile.distinct:,} values in {len(profile.known):,} rows: an identifier?"
    )
    return (Finding(profile.name, "unique", text),)


def _text(profile: Profile, notes: tuple[Finding, ...]) -> Judgement:
    name, distinct, known = profile.name, profile.distinct, len(profile.known)
    if _differs(profile, 1.0):
        return _dropped(name, "id-like", "is text that differs in every row", notes)
    sparse = distinct > MANY_CATEGORIES and known < LEAST_ROWS_PER_CATEGORY * distinct
    named = profile.named_id and distinct > MOST_CODES
    if _differs(profile, 0.5) or sparse or named:
        return _dropped(name, "id-like", f"is text of {distinct:,} values in {known:,} rows", notes)
    many = Finding(name, "many", f"has {distinct:,} categories")
    return Judgement("categorical", "", (*notes, *([many] if distinct > MANY_CATEGORIES else [])))
