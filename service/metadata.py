"""What a model file says about itself: the JSON under the key `foldserve` of its metadata_props.

The exporter writes it, the server reads it; nothing else is needed beside the graph. The schema grows by
new optional fields; `schema_version` changes only when an old reader would misread a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

KEY = "foldserve"

Label = str | int
Task = Literal["classification", "regression"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True, use_attribute_docstrings=True)


class Written(_Record):
    """How a table writes the numbers of a column."""

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""


class Feature(_Record):
    """One column of the input."""

    name: str
    kind: Literal["numeric", "categorical"] = "numeric"
    minimum: float | None = None
    """The smallest value in the training rows; None for text."""
    maximum: float | None = None
    """The largest value in the training rows; None for text."""
    categories: tuple[str, ...] | None = None
    """The texts of the training rows; others are accepted too."""
    missing: bool = False
    """Whether null is accepted."""
    marks: tuple[str, ...] = ()
    """Texts that stand for a missing number in a CSV, as in the table it was trained on."""
    written: Written | None = None
    """How the table it was trained on writes its numbers; a CSV may too. None for plain numbers."""
    unit: str | None = None
    """What its numbers count, such as "years"."""


class Image(_Record):
    """A row that is a picture: its features are the pixels, row by row from the top."""

    width: int = Field(ge=1)
    height: int = Field(ge=1)


class FoldEntry(_Record):
    """One normalisation or affine and the linear layer that took it."""

    layer: str
    kind: str
    channels: int
    into: str | None
    direction: Literal["previous", "next", "split", "left"]
    amp: float | None = None
    reason: str | None = None
    detail: str = ""


class Layer(_Record):
    """One operation of a graph, or what goes in or comes out."""

    name: str
    kind: str
    """The name of the operator; Input or Output for what goes in or comes out."""
    inputs: tuple[int, ...] = ()
    """The places of the layers it reads."""
    owner: str = ""
    """The module whose parameters it uses, where that is one."""
    shape: tuple[int, ...] = ()
    """Of its largest stored tensor."""
    parameters: int = 0
    """Numbers stored for it."""
    note: str = ""


class Folding(_Record):
    """What the fold did."""

    entries: tuple[FoldEntry, ...]
    parameters_before: int
    parameters_after: int
    layers_before: int
    layers_after: int
    before: tuple[Layer, ...] | None = None
    """The graph before folding; the one after it is in the file."""


class RowError(_Record):
    """max|y − t| / max|t| of each row, y in float32 and t in float64."""

    mean: float
    max: float


class Certificate(_Record):
    """The file, reopened, against the unfolded model in float64."""

    rows: int
    """Rows compared; the held-out rows and, when they are few, points between them."""
    held_out_rows: int
    """How many of them are rows of the data set that training never saw."""
    folded: RowError
    unfolded_float32: RowError
    """The same comparison for the model before folding, in float32: what float32 costs anyway."""
    ratio_of_means: float
    """Of the two mean errors, where no answer counts as smaller than the median one."""
    ratio_deviation: float = 0.0
    """The standard deviation that the ratio has by chance: few units and few different rows share few
    roundings."""
    label_agreement: float | None
    """The share of rows whose label equals the float64 label; None for regression."""
    ties: int
    """Rows whose two best classes are closer than float32 can tell apart."""
    parameters: int
    """Stored parameters compared with the exact fold."""
    parameters_max_ulp: float
    """The largest distance of a stored parameter from the exact fold, in units in the last place."""


class GoldenRows(_Record):
    """Inputs with the outputs the file gave when it was certified."""

    inputs: tuple[tuple[bool | float | str | None, ...], ...]
    outputs: tuple[tuple[float, ...], ...]
    tolerance: float = Field(gt=0)
    """The largest row error at which an output counts as reproduced."""

    @model_validator(mode="after")
    def _one_output_per_input(self) -> GoldenRows:
        if len(self.inputs) != len(self.outputs):
            raise ValueError("as many golden outputs as inputs are needed")
        return self


class Provenance(_Record):
    """Where the file comes from."""

    created: datetime
    foldserve: str
    versions: dict[str, str]
    data: str
    """The name of the file or data set."""
    data_fingerprint: str
    """SHA-256 over the table's column names and values."""
    training_rows: int
    seed: int


class ModelMetadata(_Record):
    """Everything a model file says about itself."""

    schema_version: Literal[1] = 1
    task: Task
    target: str
    features: tuple[Feature, ...]
    written: Written | None = None
    """How the table it was trained on writes its numbers; a CSV may too. None for plain numbers."""
    unit: str | None = None
    """What the target's numbers count."""
    classes: tuple[Label, ...] | None = None
    image: Image | None = None
    """The picture that a row is; None when it is none."""
    epsilon: float | None = None
    """The ε of its Batch Normalization layers; None when it had none."""
    hyperparameters: dict[str, float | int | str | bool] = {}
    metrics: dict[str, float]
    folding: Folding
    certificate: Certificate | None = None
    golden: GoldenRows | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _classes_belong_to_classification(self) -> ModelMetadata:
        if (self.task == "classification") != (self.classes is not None):
            raise ValueError("classes are needed for classification, and only there")
        return self

    @model_validator(mode="after")
    def _one_feature_per_pixel(self) -> ModelMetadata:
        image = self.image
        numbers = [feature for feature in self.features if feature.kind == "numeric"]
        if image is not None and not image.width * image.height == len(numbers) == len(self.features):
            raise ValueError(f"a picture of {image.width} × {image.height} needs a feature for each pixel")
        return self


def read_metadata(properties: Mapping[str, str]) -> ModelMetadata | None:
    """The metadata in a file's properties, or None for a file that foldserve did not write.

    Raises:
        ValueError: the key is there, but its content does not follow the schema.
    """
    text = properties.get(KEY)
    if text is None:
        return None
    try:
        return ModelMetadata.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "document"
        raise ValueError(f"its metadata are broken at {place}: {first['msg']}") from error


def row_errors(outputs: NDArray[np.generic], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """max|y − t| / max|t| of each row; a row of zeros that is met exactly has error 0.

    Shape: outputs and truth (rows, outputs) → (rows,).
    """
    difference = np.abs(outputs.astype(np.float64) - truth).max(axis=1)
    size = np.abs(truth).max(axis=1)
    errors: NDArray[np.float64] = np.where(difference == 0, 0.0, np.inf)
    np.divide(difference, size, out=errors, where=size > 0)
    return errors
