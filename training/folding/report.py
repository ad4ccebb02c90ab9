"""What a fold did: one entry for each normalisation or affine found, and a reason for each one left."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from training.errors import TrainingError

KEPT_FOR_AMP = "kept in front by foldserve: amp "
"""How the note on a kept Sub begins in an ONNX file; the amplification that kept it follows."""

KEPT_BY_CERTIFICATE = "kept in front by foldserve: the certificate needs it"
"""The note on a Sub that the amp rule would let go, but the accuracy demanded of the file would not."""


class Reason(StrEnum):
    """Why a normalisation cannot be folded. The list is closed: every refusal is one of these."""

    # About the normalisation.
    TRAINING_MODE = "training-mode"
    """It normalises by the statistics of the batch, or a Dropout in between is random."""
    NO_RUNNING_STATISTICS = "no-running-statistics"
    """`track_running_stats=False`: there is nothing constant to fold."""
    SPATIAL = "spatial-0"
    """Each position has statistics of its own (opset 1-8, `spatial=0`)."""
    NOT_CONSTANT = "parameter-not-constant"
    """A parameter or weight is computed from the inputs."""
    OVERRIDABLE_INPUT = "overridable-input"
    """A parameter or weight is an initialiser that a caller may override (a graph input, IR 4 and newer)."""
    DATA_MISSING = "external-data-missing"
    """The data of a parameter or weight cannot be read."""

    # About what stands around it.
    NO_LINEAR_NEIGHBOUR = "no-linear-neighbour"
    """Nothing linear makes or reads it."""
    OUTPUT_ALSO_USED = "linear-output-also-used"
    """Something else sees the layer's result before it is normalised."""
    CAPTURED = "captured-by-subgraph"
    """The body of an If, Loop or Scan sees it."""
    GRAPH_OUTPUT = "graph-output"
    """The layer's result, or the normalised value going forward, is an output."""
    OTHER_AXIS = "other-axis"
    """It varies along an axis that the weights do not carry, whatever the sizes."""
    UNKNOWN_SHAPE = "unknown-shape"
    """An axis cannot be followed because the file does not tell its size."""
    QUANTISED = "quantised-between"
    """QuantizeLinear and DequantizeLinear round in between."""
    ZERO_PADDING = "zero-padding-with-shift"
    """A shift in front of zero padding, with nothing else to fold."""
    NEGATIVE_SCALE = "negative-scale-before-max-pool"
    """The maximum of -x is not minus the maximum of x."""
    FORWARD_OFF = "forward-switched-off"
    """It would fold forward, which was forbidden."""

    # About numbers.
    AMP = "amp-above-limit"
    """The shift would cost accuracy, and there is nowhere to keep a Sub, or nothing but the Sub."""
    NON_FINITE = "non-finite-statistics"
    """A parameter or weight is NaN or infinite."""
    NEGATIVE_VARIANCE = "variance-plus-eps-not-positive"
    """There is no square root to divide by."""
    OUT_OF_RANGE = "out-of-range"
    """A result overflows, or vanishes in, the type it would be stored in."""

    # About PyTorch modules.
    HOOKS = "hooks"
    """A hook stands where the fold would."""
    DATA_DEPENDENT = "data-dependent-control-flow"
    """Whether or how it runs depends on the values of the input."""
    NOT_EXPORTABLE = "not-exportable"
    """torch.export cannot follow the module."""
    EXAMPLE_FAILS = "example-inputs-fail"
    """The module raises on the example inputs."""
    DISAGREES = "folded-module-disagrees"
    """The proof at the end failed: the folded module was thrown away."""


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
