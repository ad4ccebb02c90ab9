"""Folding one graph: every site first into what is before it, then what is left into what is after it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch.fx import GraphModule, Node

from training.folding.report import FoldEntry, Reason
from training.folding.torch_module.backward import Backward
from training.folding.torch_module.constants import Constants, NewConstant
from training.folding.torch_module.edits import AddAfter, Edit, Editor
from training.folding.torch_module.forward import Forward
from training.folding.torch_module.naming import SIZES_ONLY, module_path
from training.folding.torch_module.operators import is_call
from training.folding.torch_module.refusal import Blocked
from training.folding.torch_module.simplify import simplify
from training.folding.torch_module.sites import EVAL_NORM, TRAINING_NORMS, Site, sites_of
from training.folding.torch_module.storing import store


@dataclass(frozen=True, eq=False)
class GraphFold:
    """What folding a graph gave.

    Attributes:
        entries: one for each site, in the order of the graph.
        new: the new constants by the names they are stored under, still exact.
    """

    entries: tuple[FoldEntry, ...]
    new: dict[str, NewConstant]

    @property
    def changed(self) -> bool:
        """Whether anything was folded."""
        return any(entry.direction != "left" for entry in self.entries)


class _Folder:
    """One pass over a graph, in place."""

    def __init__(self, module: GraphModule, amp_limit: float) -> None:
        self.constants = Constants(module)
        simplify(module.graph, self.constants)
        self.editor = Editor(module.graph, self.constants)
        self.backward = Backward(self.constants)
        self.forward = Forward(self.constants, amp_limit)

    def back(self, site: Site) -> FoldEntry:
        assert site.field is not None  # noqa: S101 - sites without a field are refused before
        source = self.source(site)
        edits = self.backward.absorb(source, site.field, site.nodes[0])
        self.editor.check(edits)
        self.editor.apply(edits)
        self.editor.bypass(site.nodes, self.source(site))
        return FoldEntry(site.layer, site.kind, site.channels, _targets(edits), "previous")

    def onward(self, site: Site) -> FoldEntry:
        plan = self.forward.plan(site)
        self.editor.check(plan.edits)
        self.editor.apply(plan.edits)
        self.editor.bypass(site.nodes, self.source(site), plan.centre)
        direction, detail = ("next", "") if plan.centre is None else ("split", "a Sub stays in front")
        into = _targets(plan.edits)
        return FoldEntry(site.layer, site.kind, site.channels, into, direction, plan.amp, None, detail)

    def source(self, site: Site) -> Node:
        """What comes in now: earlier folds may have replaced what came in first."""
        inputs = site.nodes[0].all_input_nodes
        return next((node for node in inputs if not self.constants.is_constant(node)), inputs[0])


def fold_graph(module: GraphModule, *, forward: bool, amp_limit: float) -> GraphFold:
    """Folds every site of a graph in place."""
    folder = _Folder(module, amp_limit)
    sites = sites_of(module.graph, folder.constants)
    done: dict[Site, FoldEntry] = {}
    blocked: dict[Site, Blocked] = {site: site.refusal for site in sites if site.refusal}
    for site in sites:
        _attempt(folder.back, site, done, blocked)
    if forward:
        for site in reversed(sites):
            if site not in done:
                _attempt(folder.onward, site, done, blocked)
    entries = [done[site] if site in done else _left(site, blocked[site]) for site in sites]
    return GraphFold((*entries, *_inside_branches(module)), store(module, folder.constants))


def operations(module: GraphModule) -> int:
    """How many operations run on tensors."""
    return sum(
        node.op == "call_function" and node.target is not operator.getitem and node.target not in SIZES_ONLY
        for node in module.graph.nodes
    )


def _attempt(
    move: Callable[[Site], FoldEntry], site: Site, done: dict[Site, FoldEntry], blocked: dict[Site, Blocked]
) -> None:
    if site.refusal is not None:
        return
    try:
        done[site] = move(site)
    except Blocked as reason:
        before = blocked.get(site)
        blocked[site] = reason if before is None else _clearer(before, reason)


def _clearer(before: Blocked, after: Blocked) -> Blocked:
    """The more telling of two refusals, with the detail of both."""
    chosen = after if before.reason is Reason.NO_LINEAR_NEIGHBOUR else before
    return Blocked(chosen.reason, f"{before.detail}; {after.detail}")


def _inside_branches(module: GraphModule) -> Iterator[FoldEntry]:
    """Norms in the graphs that torch.cond and its kin choose from by the data."""
    for name, child in module.named_modules():
        for node in child.graph.nodes if name and isinstance(child, GraphModule) else ():
            if is_call(node, EVAL_NORM, *TRAINING_NORMS):
                detail = f"it runs in the branch {name}"
                yield FoldEntry(
                    module_path(node), "BatchNorm", 0, None, "left", None, Reason.DATA_DEPENDENT, detail
                )


def _left(site: Site, refusal: Blocked) -> FoldEntry:
    return FoldEntry(site.layer, site.kind, site.channels, None, "left", None, refusal.reason, refusal.detail)


def _targets(edits: list[Edit]) -> str:
    nodes = [edit.node if isinstance(edit, AddAfter) else edit.user for edit in edits]
    return ", ".join(dict.fromkeys(module_path(node) for node in nodes))
