"""The order of work on one graph: back first, because that is exact; then forward; then the report."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import onnx_ir as ir

from training.folding.onnx_graph.backward import bias_owner, fold_back
from training.folding.onnx_graph.finish import join_added_biases
from training.folding.onnx_graph.forms import Form, recognise
from training.folding.onnx_graph.forward import Run, fold_forward, subtract
from training.folding.onnx_graph.journal import Journal
from training.folding.onnx_graph.plan import Plan
from training.folding.onnx_graph.refused import Refused, refusing_contradictions
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Precise
from training.folding.report import FoldEntry, Reason


@dataclass(frozen=True)
class Options:
    """What a caller may choose: whether to fold forward at all, and up to which amp a shift goes with it.

    Attributes:
        observe: is told how many nodes have been looked at, and of how many.
    """

    forward: bool = True
    amp_limit: float = 32.0
    observe: Callable[[int, int], None] = lambda _done, _of: None


@dataclass
class Engine:
    """Folds every normalisation of a model.

    Attributes:
        workspace: the model.
        options: what the caller chose.
        journal: what became of each normalisation.
    """

    workspace: Workspace
    options: Options
    journal: Journal = field(default_factory=Journal)

    def run(self) -> tuple[FoldEntry, ...]:
        """Fold, and say what was folded and what was left."""
        graphs = list(self.workspace.model.graphs())
        for graph in graphs:
            for forms in self._runs(graph):
                self.journal.group(forms)
        done, of = count(1), sum(map(len, graphs))
        for graph in graphs:
            for node in list(graph):
                self._back(node)
                self.options.observe(next(done), of)
        for graph in graphs:
            self._forward(graph)
        join_added_biases(self.workspace)
        return self.journal.entries()

    def _back(self, node: ir.Node) -> None:
        form = self._recognise(node)
        if form is None:
            return
        self.journal.found(form)
        try:
            with refusing_contradictions():
                plan = fold_back(self.workspace, form)
        except Refused as refused:
            self.journal.refused(node, refused)
            return
        plan.commit(self.workspace)
        self.workspace.bypass(node, form.source)
        self.journal.folded(node, plan, "previous")

    def _recognise(self, node: ir.Node) -> Form | None:
        """The affine that a node is; the bias of a linear layer is none of our business."""
        try:
            with refusing_contradictions():
                form = recognise(self.workspace, node)
        except Refused as refused:
            self.journal.unusable(node, refused)
            return None
        if form is None or (node.op_type in ("Add", "Sub") and bias_owner(self.workspace, node) is not None):
            return None
        return form

    def _forward(self, graph: ir.Graph) -> None:
        """From the last run to the first, so that what one run leads into has already gone."""
        for forms in reversed(list(self._runs(graph))):
            self._fold_some_end(forms)

    def _runs(self, graph: ir.Graph) -> Iterator[list[Form]]:
        """The affine operators that are left, joined where one is the only reader of the other."""
        runs: dict[ir.Value, list[Form]] = {}
        for node in graph:
            form = self._recognise(node)
            if form is None:
                continue
            before = runs.pop(form.source, None) if self._is_private(form) else None
            runs[form.result] = [*(before or []), form]
        yield from runs.values()

    def _is_private(self, form: Form) -> bool:
        return self.workspace.sole_consumer(form.source) is form.node

    def _fold_some_end(self, forms: list[Form]) -> None:
        """Fold the longest end of a run that can be folded."""
        first: Refused | None = None
        for start in range(len(forms))[:_LONGEST_RUN]:
            run = Run.of(forms[start:])
            try:
                plan, centre = self._plan_forward(run)
            except Refused as refused:
                first = first or refused
                continue
            self._commit(run, plan, centre)
            forms = forms[:start]
            break
        if forms and first is not None:
            self.journal.refused_forward([form.node for form in forms], first)

    def _plan_forward(self, run: Run) -> tuple[Plan, Precise | None]:
        with refusing_contradictions():
            plan = fold_forward(self.workspace, run, self.options.amp_limit)
        if not self.options.forward:
            raise Refused(Reason.FORWARD_OFF, "folding into the layers after it is switched off")
        return plan

    def _commit(self, run: Run, plan: Plan, centre: Precise | None) -> None:
        plan.commit(self.workspace)
        nodes = [form.node for form in run.forms]
        kept = subtract(self.workspace, run, centre, plan.amp) if centre is not None else None
        if kept is None:
            self.workspace.dissolve(nodes, run.source, run.result)
        direction = "split" if kept is not None and not self._folds_back(kept) else "next"
        for node in nodes:
            self.journal.folded(node, plan, direction)

    def _folds_back(self, kept: ir.Node) -> bool:
        """A Sub that could not go forward may still go back: a bias has axes that weights have not."""
        form = recognise(self.workspace, kept)
        if form is None or bias_owner(self.workspace, kept) is not None:
            return form is not None
        try:
            plan = fold_back(self.workspace, form)
        except Refused:
            return False
        plan.commit(self.workspace)
        self.workspace.bypass(kept, form.source)
        return True


_LONGEST_RUN = 16
