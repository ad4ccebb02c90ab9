"""The normalisations and other affines of a graph: BatchNorm operators and chains of Sub, Div, Mul, Add.

A *site* is a run of operations, each used only by the next, that together compute y = scale·x + shift with
constants laid along one axis: (x − mean) / sqrt(var + eps) · γ + β is one site, however it is written.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass

import numpy as np
import torch
from torch.fx import Graph, Node

from training.folding.affine import Affine, Array
from training.folding.report import Reason
from training.folding.torch_module.axes import dims, tensor_of
from training.folding.torch_module.constants import Constants
from training.folding.torch_module.field import Field
from training.folding.torch_module.forms import FORMS
from training.folding.torch_module.naming import module_path, value_users
from training.folding.torch_module.operators import argument, is_call
from training.folding.torch_module.refusal import Blocked
from training.folding.torch_module.rounding import wide

aten = torch.ops.aten

EVAL_NORM = aten._native_batch_norm_legit_no_training.default
"""What every BatchNorm in eval mode becomes, a SyncBatchNorm and F.batch_norm too."""

TRAINING_NORMS = {
    aten._native_batch_norm_legit.default: Reason.TRAINING_MODE,
    aten._native_batch_norm_legit_functional.default: Reason.TRAINING_MODE,
    aten.native_batch_norm.default: Reason.TRAINING_MODE,
    aten._native_batch_norm_legit.no_stats: Reason.NO_RUNNING_STATISTICS,
}
"""Norms that use the statistics of the batch, with the reason why they stay."""


@dataclass(frozen=True, eq=False)
class Site:
    """One normalisation or affine.

    Attributes:
        layer: its name in the module.
        kind: "BatchNorm", "Normalisation" (several operations) or "Affine" (one).
        source: the tensor that comes in.
        nodes: the operations, in order; the last one's result is what goes out.
        field: what they compute, or None when that is not a constant affine.
        refusal: why it stays, when that is known already.
    """

    layer: str
    kind: str
    source: Node
    nodes: tuple[Node, ...]
    field: Field | None
    refusal: Blocked | None = None

    @property
    def result(self) -> Node:
        """The node whose value the others see."""
        return self.nodes[-1]

    @property
    def channels(self) -> int:
        """Over how many channels it acts; 1 when all share one scale and shift."""
        if self.field is not None:
            return int(np.prod(self.field.shape))
        size = dims(self.source)[1]
        return size if isinstance(size, int) else 0

    def joined(self, after: Site) -> Site:
        """This site with the next one as one."""
        assert self.field is not None  # noqa: S101 - only sites with a field are joined
        assert after.field is not None  # noqa: S101
        field = self.field.then(after.field)
        if after.kind == "BatchNorm" and self.kind != "BatchNorm":
            field = field.knowing(*after.field.seen_before(self.field))
        norm = "BatchNorm" in (self.kind, after.kind)
        if not norm:
            # Neither half of (x − mean) / scale knows both statistics; together they tell them.
            field = Field.of(field.scale, field.shift)
        names = [site.layer for site in (self, after) if not norm or site.kind == "BatchNorm"]
        layer = " + ".join(names) if norm else self.layer
        kind = "BatchNorm" if norm else "Normalisation"
        return Site(layer, kind, self.source, self.nodes + after.nodes, field)


def sites_of(graph: Graph, constants: Constants) -> list[Site]:
    """Every site of a graph, in the order of the graph."""
    found: dict[Node, Site] = {}
    for node in graph.nodes:
        site = _site(node, constants)
        if site is None:
            continue
        before = found.get(site.source)
        if before is not None and _join(before, site):
            del found[site.source]
            site = before.joined(site)
        found[site.result] = site
    return list(found.values())


def _join(before: Site, site: Site) -> bool:
    if before.field is None or site.field is None or before.refusal or site.refusal:
        return False
    alone = value_users(before.result) == {site.nodes[0]}
    return alone and len({*before.field.varies, *site.field.varies}) <= 1


def _site(node: Node, constants: Constants) -> Site | None:
    if node.op != "call_function" or constants.is_constant(node):
        return None
    if node.target in TRAINING_NORMS:
        reason = TRAINING_NORMS[node.target]
        refusal = Blocked(reason, "it normalises with the statistics of the batch")
        return Site(module_path(node), "BatchNorm", node.args[0], (node,), None, refusal)  # type: ignore[arg-type]
    if is_call(node, EVAL_NORM, aten.instance_norm.default):
        return _norm(node, constants)
    return _affine(node, constants)


def _affine(node: Node, constants: Constants) -> Site | None:
    form = FORMS.get(node.target)
    try:
        parts = form(node, constants) if form else None
    except Blocked:
        return None
    if parts is None or not _in_place(node, *parts) or len(parts[1].varies) > 1:
        return None
    source, field = parts
    broken = Blocked(Reason.NON_FINITE, "a constant is infinite or not a number")
    return Site(module_path(node), "Affine", source, (node,), field, None if field.is_finite else broken)


def _in_place(node: Node, source: Node, field: Field) -> bool:
    """Whether the constant leaves shape and floating type of the tensor as they are."""
    sizes = dims(source)
    fitting = all(sizes[axis] == field.shape[axis] for axis in field.varies)
    floating = tensor_of(source).dtype.is_floating_point and tensor_of(node).dtype.is_floating_point
    return fitting and floating and len(sizes) == len(dims(node))


def _norm(node: Node, constants: Constants) -> Site | None:
    nodes = _norm_nodes(node)
    if nodes is None:
        return None
    source = node.args[0]
    assert isinstance(source, Node)  # noqa: S101 - the schema says so
    name = module_path(node)
    parts = [argument(node, key) for key in ("weight", "bias", "running_mean", "running_var")]
    if not all(part is None or constants.is_constant(part) for part in parts):
        refusal = Blocked(Reason.NOT_CONSTANT, "its parameters are computed from the input")
        return Site(name, "BatchNorm", source, nodes, None, refusal)
    gamma, beta, mean, var = (
        wide([default] if part is None else constants.value(part))
        for part, default in zip(parts, (1.0, 0.0, 0.0, 1.0), strict=True)
    )
    return Site(name, "BatchNorm", source, nodes, *_statistics(node, gamma, beta, mean, var))


def _norm_nodes(node: Node) -> tuple[Node, ...] | None:
    """The call and the one of its three results that matters; an InstanceNorm in eval mode has only one."""
    if is_call(node, aten.instance_norm.default):
        return None if argument(node, "use_input_stats") else (node,)
    results = [user for user in value_users(node) if is_call(user, operator.getitem)]
    return (node, results[0]) if [user.args[1] for user in results] == [0] else None


def _statistics(
    node: Node, gamma: Array, beta: Array, mean: Array, var: Array
) -> tuple[Field | None, Blocked | None]:
    eps = argument(node, "eps")
    if not all(np.isfinite(part).all() for part in (gamma, beta, mean, var)):
        return None, Blocked(Reason.NON_FINITE, "a statistic or parameter is infinite or not a number")
    if (var + wide(eps) <= 0).any():
        return None, Blocked(Reason.NEGATIVE_VARIANCE, "running_var + eps is not positive")
    shape = [1] * len(dims(node.args[0]))  # type: ignore[arg-type]
    shape[1] = -1
    affine = Affine.batch_norm(gamma, beta, mean, var, eps)
    field = Field(
        affine.scale.reshape(shape),
        affine.shift.reshape(shape),
        mean.reshape(shape),
        np.sqrt(var + wide(eps)).reshape(shape),
    )
    return field, None
