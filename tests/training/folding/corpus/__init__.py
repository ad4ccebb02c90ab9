"""Small graphs, one for each thing that folding must do and for each trap; `patterns()` lists them all."""

from __future__ import annotations

from tests.training.folding.corpus import backward, forms, forward, left, storage
from tests.training.folding.corpus.build import PATTERNS, Kind, Pattern

__all__ = ["Kind", "Pattern", "backward", "forms", "forward", "left", "patterns", "storage"]


def patterns() -> list[Pattern]:
    """All patterns, in the order in which the files define them."""
    return list(PATTERNS.values())
