"""Moving an affine forward into everything that reads its result, through all that lies between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from training.folding.onnx_graph.absorb import absorb_before
from training.folding.onnx_graph.attributes import int_attribute
from training.folding.onnx_graph.forms import Form
from training.folding.onnx_graph.linear import is_linear, linear_for
from training.folding.onnx_graph.passages import passage
from training.folding.onnx_graph.plan import Plan
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.spread import Spread
from training.folding.onnx_graph.weights import FLOATS, Weights
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Precise
from training.folding.report import KEPT_BY_CERTIFICATE, KEPT_FOR_AMP, Reason

_FAR = 64


@dataclass(frozen=True, eq=False)
class Run:
    """Affine operators, each the only reader of the one before, and what they amount to together."""

    forms: tuple[Form, ...]
    spread: Spread

    @classmethod
    def of(cls, forms: Sequence[Form]) -> Run:
        """Compose them. The first scale and shift tell the statistics of x; what follows was learned."""
        spread = forms[0].spread
        stated = forms[0].node.op_type in _STATED
        settled = stated or _is_settled(spread)
        for form in forms[1:]:
            composed = spread.then(form.spread)
            if not settled or (form.node.op_type == "Div" and not stated):
                composed = Spread.affine(composed.scale, composed.shift)
                settled = _is_settled(composed)
            spread = composed
        if not settled and not spread.shift.is_zero:  # a lone shift says nothing about the deviation
            spread = replace(spread, deviation=np.full_like(spread.deviation, np.nan))
        return cls(tuple(forms), spread)

    @property
    def source(self) -> ir.Value:
        """What enters."""
        return self.forms[0].source

    @property
    def result(self) -> ir.Value:
        """What leaves."""
        return self.forms[-1].result


def fold_forward(workspace: Workspace, run: Run, amp_limit: float) -> tuple[Plan, Precise | None]:
    """Plan the fold of a run into the layers after it, and what a Sub in front must subtract, if anything.

    Raises:
        Refused: some layer after it cannot take it.
    """
    _require_readable(workspace, run)
    _require_not_kept(run, amp_limit)
    try:
        return _plan(workspace, run, run.spread, amp_limit), None
    except Refused as refused:
        if refused.reason is Reason.AMP:
            return _split(workspace, run, refused, Precise.of(run.spread.mean), refused.amp)
        if refused.reason is Reason.ZERO_PADDING:
            return _split(workspace, run, refused, _root(run.spread, refused), None)
        raise


def _split(
    workspace: Workspace, run: Run, refused: Refused, centre: Precise, amp: float | None
) -> tuple[Plan, Precise | None]:
    """Keep one Sub of the centre in front and fold the rest."""
    dtype = workspace.facts.dtype(run.source)
    if dtype not in FLOATS:
        raise Refused(refused.reason, f"{refused.detail}; integers leave nowhere to keep the Sub", amp)
    centre = Precise.of(
        centre.rounded(FLOATS[dtype])
    )  # as it will be stored: what rounding takes, the rest gives
    rest = run.spread.centred(centre)
    if refused.reason is Reason.ZERO_PADDING:
        rest = rest.linear()  # the centre is where the affine is zero: what is left over is a rounding error
    lone = len(run.forms) == 1 and run.forms[0].node.op_type in ("Add", "Sub")
    if lone and rest.scale.is_one and rest.shift.is_zero:
        raise Refused(refused.reason, f"{refused.detail}; the shift alone is all there is to keep", amp)
    try:
        plan = _plan(workspace, run, rest, np.inf)
    except Refused as second:
        if second.reason is not Reason.ZERO_PADDING or refused.reason is Reason.ZERO_PADDING:
            raise
        return _split(workspace, run, second, _root(run.spread, second), amp)
    plan.amp = amp
    return plan, centre


def _root(spread: Spread, refused: Refused) -> Precise:
    """−t / s, where the affine is zero: y = s·(x − c)."""
    if (spread.scale.hi == 0).any():
        raise Refused(refused.reason, f"{refused.detail}, and a channel with scale 0 is a shift alone")
    return -spread.shift / spread.scale


def _require_readable(workspace: Workspace, run: Run) -> None:
    """Without the run its readers see x: it must be of a type they take."""
    source = workspace.facts.dtype(run.source)
    if source not in FLOATS and run.forms[0].node.op_type != "Scaler":
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{run.source.name} is not floating")


def _require_not_kept(run: Run, amp_limit: float) -> None:
    """An earlier fold kept this Sub, and knew better than its bare shift tells what that was worth."""
    note = run.forms[0].node.doc_string or ""
    if len(run.forms) > 1:
        return
    if note == KEPT_BY_CERTIFICATE:
        raise Refused(Reason.AMP, "the certificate of an earlier fold kept this Sub")
    if note.startswith(KEPT_FOR_AMP) and (amp := float(note.removeprefix(KEPT_FOR_AMP))) > amp_limit:
        raise Refused(Reason.AMP, f"an earlier fold kept this Sub for its amp of {amp:.3g}", amp)


def _plan(workspace: Workspace, run: Run, spread: Spread, amp_limit: float) -> Plan:
    plan = Plan()
    _into(workspace, run.result, spread, plan, amp_limit, _FAR)
    return plan


def _into(
    workspace: Workspace, value: ir.Value, before: Spread, plan: Plan, amp_limit: float, steps: int
) -> None:
    """Plan that everything that reads `value` takes `before` over."""
    producer = value.producer()
    if value.is_graph_output():
        raise Refused(Reason.GRAPH_OUTPUT, f"{value.name} is an output of the graph")
    uses = list(value.uses())
    if not uses or steps == 0:
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"no linear layer reads {value.name}")
    for use in uses:
        if producer is not None and use.node.graph is not producer.graph:
            raise Refused(Reason.CAPTURED, f"{value.name} is used inside a subgraph")
    for node in dict.fromkeys(use.node for use in uses):
        indices = [use.idx for use in uses if use.node is node]
        _into_node(workspace, node, indices, before, plan, amp_limit, steps)


def _into_node(
    workspace: Workspace,
    node: ir.Node,
    indices: list[int],
    before: Spread,
    plan: Plan,
    amp_limit: float,
    steps: int,
) -> None:
    if node in plan.takers:  # a second edit would be planned on what the first one replaces
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} is reached in two ways")
    if is_linear(node) and len(indices) == 1:
        edits, amp = absorb_before(workspace, linear_for(workspace, node, indices[0]), before, amp_limit)
        plan.edits += edits
        plan.takers.append(node)
        if not before.shift.is_zero:
            plan.amp = max(amp, plan.amp or 0.0)
    elif node.domain == "" and node.op_type == "Concat":
        joined = _joined(workspace, node, indices, before)
        _into(workspace, node.outputs[0], joined, plan, amp_limit, steps - 1)
    elif (through := passage(node)) is not None and indices == [0]:
        _into(workspace, node.outputs[0], through(workspace, node, before, True), plan, amp_limit, steps - 1)
    else:
        raise Refused(
            _REASONS.get(node.op_type, Reason.NO_LINEAR_NEIGHBOUR), f"{node.op_type} {node.name} reads it"
        )


def _joined(workspace: Workspace, node: ir.Node, indices: list[int], before: Spread) -> Spread:
    """Over the joined axis: the affine in its own places, nothing done in the others."""
    axis = int_attribute(node, "axis", 1) % len(before.scale.shape)
    sizes: list[int] = []
    for value in node.inputs:
        size = workspace.shape(value)[axis]
        if not isinstance(size, int):
            raise Refused(Reason.UNKNOWN_SHAPE, f"the sizes that {node.name} joins are not known")
        sizes.append(size)

    def move(array: NDArray[np.float64], neutral: float) -> NDArray[np.float64]:
        parts = [
            _part(array, axis, size, neutral if k not in indices else None) for k, size in enumerate(sizes)
        ]
        return np.concatenate(parts, axis=axis)

    return before.moved_with(move)


def _part(array: NDArray[np.float64], axis: int, size: int, neutral: float | None) -> NDArray[np.float64]:
    shape = [*array.shape[:axis], size, *array.shape[axis + 1 :]]
    return np.broadcast_to(array, shape) if neutral is None else np.full(shape, neutral)


def subtract(workspace: Workspace, run: Run, centre: Precise, amp: float | None) -> ir.Node:
    """The Sub that stays in front, in the place of the run."""
    dtype = workspace.facts.dtype(run.source)
    shape = centre.shape
    while len(shape) > 1 and shape[0] == 1:
        shape = shape[1:]
    name = run.result.name or "centred"
    node = ir.Node("", "Sub", [run.source, None], num_outputs=1, name=workspace.unique(f"{name}_centred"))
    node.outputs[0].name = workspace.unique(f"{name}_centred_out")
    node.doc_string = None if amp is None else f"{KEPT_FOR_AMP}{amp:.6g}"
    workspace.replace([form.node for form in run.forms], node, run.result)
    weights = Weights.of(
        centre.reshape(shape), dtype or workspace.facts.dtype(run.result) or _FLOAT, f"{name}_centre"
    )
    workspace.set_weights(node, 1, weights)
    workspace.align(node, centre.shape)
    return node


_FLOAT = next(iter(FLOATS))

_REASONS = {"QuantizeLinear": Reason.QUANTISED, "DequantizeLinear": Reason.QUANTISED}


_STATED = ("BatchNormalization", "Scaler")
"""Operators whose parameters say what the mean and the deviation of their input are."""


def _is_settled(spread: Spread) -> bool:
    """Whether a scale and a shift together tell the statistics of x."""
    return not (spread.shift.is_zero or spread.scale.is_one)
