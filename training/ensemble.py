"""Ensemble: several networks side by side, whose mean is the answer.

    encoder1 → member1 … encoderN → memberN → (answer1 + … + answerN) / N

Members are networks of the same form: they answer probabilities, or values in the target's own unit. Each has
rows of its own and so an encoder of its own; members that have the same rows share one. What is said of a
member's layer is said under the member's name: member3.norm1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor, nn

from training.folding import FoldedModule, FoldEntry, FoldReport

Fold = Callable[[nn.Module, tuple[Tensor, ...]], FoldedModule]


class Ensemble(nn.Module):
    """The mean of its members' answers.

    Args:
        apart: whether each member has encoded numbers of its own, or all have the same.

    Shape: as each of its members; where they are apart, the encoded numbers of each in turn, then the places
    of categories.
    """

    def __init__(self, members: Sequence[nn.Module], *, apart: bool = False) -> None:
        super().__init__()
        self.apart = apart
        for number, member in enumerate(members, 1):
            self.add_module(f"member{number}", member)

    def forward(self, *inputs: Tensor) -> Tensor:
        """One sum and one division: a mean over stacked answers would be more nodes of a graph."""
        first, *others = self.children()
        total: Tensor = first(*self.inputs_of(0, inputs))
        for place, member in enumerate(others, 1):
            total = total + member(*self.inputs_of(place, inputs))
        return total / len(self._modules)

    def inputs_of(self, place: int, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """What one member takes of what all take."""
        return (inputs[place], *inputs[len(self._modules) :]) if self.apart else inputs


class Encoders(nn.Module):
    """An encoder for each member.

    Shape: (batch, numeric) → a tensor for each.
    """

    def __init__(self, encoders: Sequence[nn.Module]) -> None:
        super().__init__()
        for number, encoder in enumerate(encoders, 1):
            self.add_module(f"encoder{number}", encoder)

    def forward(self, numeric: Tensor) -> tuple[Tensor, ...]:
        """All of them."""
        return tuple(encoder(numeric) for encoder in self.children())


def members(network: nn.Module) -> tuple[nn.Module, ...]:
    """The networks of an ensemble, or the only one there is."""
    return tuple(network.children()) if isinstance(network, Ensemble) else (network,)


def fold_each(network: nn.Module, inputs: tuple[Tensor, ...], fold: Fold) -> FoldedModule:
    """Fold member by member, so that none depends on what stands beside it; one report for all.

    Args:
        inputs: some rows, as the network takes them.
    """
    if not isinstance(network, Ensemble):
        return fold(network, inputs)
    folded = {
        name: fold(member, network.inputs_of(place, inputs))
        for place, (name, member) in enumerate(network.named_children())
    }
    reports = {name: each.report for name, each in folded.items()}
    mean = Ensemble([each.module for each in folded.values()], apart=network.apart)
    return FoldedModule(mean, _joined(reports))


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
