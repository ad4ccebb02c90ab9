"""What folding a module gives."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from training.folding.report import FoldReport


@dataclass(frozen=True, eq=False)
class FoldedModule:
    """A module without the normalisations that could be folded.

    Attributes:
        module: an ordinary module; a copy of the original when nothing was folded.
        report: what became of each normalisation.
    """

    module: nn.Module
    report: FoldReport
