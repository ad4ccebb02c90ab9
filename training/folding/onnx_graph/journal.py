"""What became of each normalisation, node by node, and the report made of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from training.folding.onnx_graph.forms import NORMALISATIONS, Form
from training.folding.onnx_graph.plan import Plan
from training.folding.onnx_graph.refused import Refused
from training.folding.report import FoldEntry, Reason

_UNSPECIFIC = {Reason.NO_LINEAR_NEIGHBOUR, Reason.GRAPH_OUTPUT, Reason.NOT_CONSTANT}


@dataclass
class _Record:
    """One affine operator: what it is, and where it went or why it stayed."""

    name: str
    op_type: str
    channels: int
    is_normalisation: bool
    group: int
    plan: Plan | None = None
    direction: str = "left"
    back: Refused | None = None
    forward: Refused | None = None

    @property
    def refusal(self) -> Refused | None:
        """The more telling of the two: a reason before it, unless that only says that nothing is there."""
        if self.back is None or self.forward is None:
            return self.back or self.forward
        telling = self.back.reason not in _UNSPECIFIC or self.forward.reason in _UNSPECIFIC
        return self.back if telling else self.forward


class Journal:
    """Keeps one record for each affine operator, in the order they were found."""

    def __init__(self) -> None:
        self._records: dict[ir.Node, _Record] = {}
        self._groups = 0

    def group(self, forms: Iterable[Form]) -> None:
        """These stand in a row and are one normalisation to a reader."""
        self._groups += 1
        for form in forms:
            self._records[form.node] = _record(
                form.node, max(form.spread.scale.hi.size, form.spread.shift.hi.size), self._groups
            )

    def found(self, form: Form) -> None:
        """A form that only came to light during folding."""
        if form.node not in self._records:
            self.group([form])

    def unusable(self, node: ir.Node, refused: Refused) -> None:
        """A normalisation whose parameters cannot be used."""
        if node not in self._records:
            self._groups += 1
            self._records[node] = _record(node, 0, self._groups)
        self._records[node].is_normalisation = True
        self._records[node].back = refused

    def refused(self, node: ir.Node, refused: Refused) -> None:
        """It cannot go back."""
        self._records[node].back = refused

    def refused_forward(self, nodes: Iterable[ir.Node], refused: Refused) -> None:
        """They cannot go forward."""
        for node in nodes:
            self._records[node].forward = refused

    def folded(self, node: ir.Node, plan: Plan, direction: str) -> None:
        """It went where the plan says."""
        self._records[node].plan = plan
        self._records[node].direction = direction

    def entries(self) -> tuple[FoldEntry, ...]:
        """One entry for each normalisation, two for one that was folded in part."""
        groups: dict[int, list[_Record]] = {}
        for record in self._records.values():
            groups.setdefault(record.group, []).append(record)
        return tuple(entry for records in groups.values() for entry in _entries(records))


def _record(node: ir.Node, channels: int, group: int) -> _Record:
    name = node.name or node.outputs[0].name or node.op_type
    return _Record(name, node.op_type, channels, (node.domain, node.op_type) in NORMALISATIONS, group)


def _entries(records: Sequence[_Record]) -> Iterable[FoldEntry]:
    gone = [record for record in records if record.plan is not None]
    left = [record for record in records if record.plan is None and record.refusal is not None]
    if gone:
        yield _folded(gone)
    # A lone number that multiplies or is added is nobody's normalisation unless it could be folded.
    if any(record.is_normalisation or record.channels > 1 for record in left):
        yield _left(left)


def _folded(records: Sequence[_Record]) -> FoldEntry:
    plans = list(dict.fromkeys(record.plan for record in records if record.plan is not None))
    takers = dict.fromkeys(taker.name or taker.op_type for plan in plans for taker in plan.takers)
    amps = [plan.amp for plan in plans if plan.amp is not None]
    split = any(record.direction == "split" for record in records)
    direction = "split" if split else records[-1].direction
    return FoldEntry(
        layer=records[0].name,
        kind="/".join(record.op_type for record in records),
        channels=max(record.channels for record in records),
        into=", ".join(takers) or "a constant",
        direction=direction,
        amp=max(amps) if amps else None,
        detail="one Sub stays in front" if split else "",
    )


def _left(records: Sequence[_Record]) -> FoldEntry:
    record = max(records, key=lambda record: record.is_normalisation)
    refusal = record.refusal
    assert refusal is not None  # noqa: S101 - only refused records are left
    return FoldEntry(
        layer=records[0].name,
        kind="/".join(record.op_type for record in records),
        channels=max(record.channels for record in records),
        into=None,
        direction="left",
        amp=refusal.amp,
        reason=refusal.reason,
        detail=refusal.detail,
    )
