"""What a fold did: one entry for each normalisation or affine found, and a reason for each one left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from training.errors import TrainingError


class Reason(StrEnum):
    """Why a normalisation cannot be folded. The list is closed: every refusal is one of these."""

    TRAINING_MODE = "training-mode"
    """It normalises with the statistics of the batch; call `.eval()` first."""
    NO_RUNNING_STATISTICS = "no-running-statistics"
    """`track_running_stats=False`: there is nothing constant to fold."""
    NOT_CONSTANT = "parameters-not-constant"
    """Its statistics or parameters are computed from the input."""
    NON_FINITE = "non-finite-statistics"
    """A statistic or parameter is infinite or not a number."""
    NEGATIVE_VARIANCE = "variance-plus-eps-not-positive"
    """There is no square root to divide by."""
    OUT_OF_RANGE = "out-of-range"
    """A folded parameter would not fit in the type it is stored in."""
    NO_LINEAR_NEIGHBOUR = "no-linear-neighbour"
    """What is before and after it is not linear, or not constant."""
    CHANNELS_DIFFER = "channels-differ"
    """It acts along another axis than the channels of the linear layer, whatever the sizes."""
    OUTPUT_ALSO_USED = "linear-output-also-used"
    """Something else needs the output of the linear layer as it is."""
    GRAPH_OUTPUT = "linear-output-is-an-output"
    """The model returns the output of the linear layer."""
    ZERO_PADDING = "zero-padding-with-shift"
    """Zeros are padded after it, which a folded shift would miss."""
    NEGATIVE_SCALE = "negative-scale-before-maximum"
    """A maximum is in between, and a negative scale would make it a minimum."""
    AMPLIFICATION = "amplification-above-limit"
    """Folding the shift forward would cost more accuracy than the limit allows, and no Sub can stay."""
    DATA_DEPENDENT = "data-dependent-control-flow"
    """Whether or how it runs depends on the values of the input."""
    NOT_EXPORTABLE = "not-exportable"
    """torch.export cannot follow the module."""
    EXAMPLE_FAILS = "example-inputs-fail"
    """The module raises on the example inputs."""
    DISAGREES = "folded-module-disagrees"
    """The proof at the end failed: the folded module was thrown away."""
    HOOKS = "hooks"
    """A hook stands where the fold would."""


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
