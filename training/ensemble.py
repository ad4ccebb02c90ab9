"""Ensemble: several networks side by side, whose mean is the answer.

    encoder → member1 … memberN → (answer1 + … + answerN) / N

Members are networks of the same form: they answer probabilities, or values in the target's own unit. What is
said of a member's layer is said under the member's name: member3.norm1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from training.folding import FoldedModule, FoldEntry, FoldReport


class Ensemble(nn.Module):
    """The mean of its members' answers.

    Shape: as each of its members.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        for number, member in enumerate(members, 1):
            self.add_module(f"member{number}", member)

    def forward(self, *inputs: Tensor) -> Tensor:
        """One sum and one division: a mean over stacked answers would be more nodes of a graph."""
        first, *others = self.children()
        total: Tensor = first(*inputs)
        for member in others:
            total = total + member(*inputs)
        return total / len(self._modules)


def mean_of(members: Sequence[nn.Module]) -> nn.Module:
    """An ensemble; one network is its own mean."""
    return Ensemble(members) if len(members) > 1 else members[0]


def members(network: nn.Module) -> tuple[nn.Module, ...]:
    """The networks of an ensemble, or the only one there is."""
    return tuple(network.children()) if isinstance(network, Ensemble) else (network,)


def fold_each(network: nn.Module, fold: Callable[[nn.Module], FoldedModule]) -> FoldedModule:
    """Fold member by member, so that none depends on what stands beside it; one report for all."""
    if not isinstance(network, Ensemble):
        return fold(network)
    folded = {name: fold(member) for name, member in network.named_children()}
    reports = {name: each.report for name, each in folded.items()}
    return FoldedModule(Ensemble([each.module for each in folded.values()]), _joined(reports))


def keeping(network: nn.Module, report: FoldReport) -> int:
    """How many members keep a shift in front of a layer."""
    kept = [entry.layer for entry in report.entries if entry.direction == "split"]
    if not isinstance(network, Ensemble):
        return min(len(kept), 1)
    return len({layer.partition(".")[0] for layer in kept})


def _joined(reports: dict[str, FoldReport]) -> FoldReport:
    """All entries under their member's name, and all sizes together."""
    all_of = reports.values()
    return FoldReport(
        tuple(_named(name, entry) for name, report in reports.items() for entry in report.entries),
        sum(report.parameters_before for report in all_of),
        sum(report.parameters_after for report in all_of),
        sum(report.layers_before for report in all_of),
        sum(report.layers_after for report in all_of),
    )


def _named(member: str, entry: FoldEntry) -> FoldEntry:
    into = entry.into and ", ".join(f"{member}.{layer}" for layer in entry.into.split(", "))
    return replace(entry, layer=f"{member}.{entry.layer}", into=into)
