"""A fold that has been thought through to its end and not yet made."""

from __future__ import annotations

from dataclasses import dataclass, field

import onnx_ir as ir

from training.folding.onnx_graph.bias import Edit
from training.folding.onnx_graph.workspace import Workspace


@dataclass(eq=False)
class Plan:
    """What a fold would change, and into which nodes it goes; nothing changes before all is known."""

    edits: list[Edit] = field(default_factory=list)
    takers: list[ir.Node] = field(default_factory=list)
    amp: float | None = None

    def commit(self, workspace: Workspace) -> None:
        """Make the changes."""
        for edit in self.edits:
            edit()
        workspace.touched.update(self.takers)
