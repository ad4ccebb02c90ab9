"""What a fold did: one entry for each normalisation or affine found, and a reason for each one left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from training.errors import TrainingError


class Reason(StrEnum):
    """Why a normalisation cannot be folded. The list is closed: every refusal is one of these."""

    TRAINING_MODE = "training-mode"
    NO_RUNNING_STATISTICS = "no-running-statistics"
    SPATIAL = "spatial-0"
    NON_FINITE = "non-finite-statistics"
    NEGATIVE_VARIANCE = "variance-plus-eps-not-positive"
    OUT_OF_RANGE = "out-of-range"
    NO_LINEAR_NEIGHBOUR = "no-linear-neighbour"
    OUTPUT_ALSO_USED = "linear-output-also-used"
    CAPTURED = "captured-by-subgraph"
    GRAPH_OUTPUT = "graph-output"
    OVERRIDABLE_INPUT = "overridable-input"
    NOT_CONSTANT = "parameter-not-constant"
    DATA_MISSING = "external-data-missing"
    ZERO_PADDING = "zero-padding-with-shift"
    NEGATIVE_SCALE = "negative-scale-before-max-pool"
    QUANTISED = "quantised-between"
    AMP = "amp-above-limit"
    FORWARD_OFF = "forward-switched-off"
    OTHER_AXIS = "other-axis"
    UNKNOWN_SHAPE = "unknown-shape"
    CHANNELS_DIFFER = "channels-differ"
    UNKNOWN_MODULE = "unknown-module"
    SHARED_MODULE = "shared-module"
    HOOKS = "hooks"


class FoldError(TrainingError):
    """A normalisation cannot be folded.

    Attributes:
        layer: the name of the layer.
        reason: the reason code.
    """

    def __init__(self, layer: str, reason: Reason, detail: str) -> None:
        super().__init__(f"{layer} cannot be folded ({reason.value}): {detail}")
        self.layer = layer
        self.reason = reason


@dataclass(frozen=True)
class FoldEntry:
    """One normalisation or affine and where it went.

    Attributes:
        layer: its name in the model.
        kind: what it was, such as "BatchNorm" or "Standardiser".
        channels: over how many channels it acted.
        into: the linear layer that took it, or None when it was left.
        direction: "previous" (rows of W), "next" (columns of W), "split" (a Sub stays in front, the rest went
            into the next layer) or "left".
        amp: the amplification a forward fold was judged by; None for the other directions.
        reason: the reason code when it was left.
        detail: the missing fact in words, or what stayed.
    """

    layer: str
    kind: str
    channels: int
    into: str | None
    direction: str
    amp: float | None = None
    reason: Reason | None = None
    detail: str = ""


@dataclass(frozen=True)
class FoldReport:
    """All entries of one fold, with the size of the model before and after.

    Attributes:
        entries: in the order of the model.
        parameters_before, parameters_after: stored numbers, running statistics included.
        layers_before, layers_after: operations that run at inference.
    """

    entries: tuple[FoldEntry, ...]
    parameters_before: int
    parameters_after: int
    layers_before: int
    layers_after: int

    @property
    def folded(self) -> int:
        """How many entries were folded, wholly or up to one Sub."""
        return sum(entry.direction != "left" for entry in self.entries)
