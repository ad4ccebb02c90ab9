"""What a run tells the model file about itself: features, scores, folding report and provenance."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from service.image import image_from_names
from service.metadata import (
    Certificate,
    Feature,
    Folding,
    GoldenRows,
    Image,
    Layer,
    ModelMetadata,
    Provenance,
    Written,
)
from service.outline import outline_of
from service.session import runtime_version
from training.config import Task
from training.data import Splits
from training.defaults import Recipe
from training.folding.report import FoldReport
from training.loop import FitResult
from training.parts import differ, parts, together
from training.target import Label

MOST_LAYERS = 500
"""A file tells of its graph before folding up to here: about 100 bytes a layer."""


@dataclass(frozen=True, eq=False)
class Sealed:
    """A folded graph with the report and the certificate that belong to it."""

    model: onnx.ModelProto
    folding: FoldReport
    certificate: Certificate
    golden: GoldenRows


@dataclass(frozen=True)
class Subject:
    """What a model answers, and the rows it was made from, without the rows themselves.

    Attributes:
        rows: how many it was trained on.
        rows_of_each: how many each member of an ensemble was trained on, where that is less.
        image: the picture that a row is, as was said or as the names of its columns say.
    """

    task: Task
    target: str
    features: tuple[Feature, ...]
    classes: tuple[Label, ...] | None
    source: str
    fingerprint: str
    rows: int
    rows_of_each: int
    image: Image | None = None

    @classmethod
    def of(cls, splits: Splits, members: int = 1) -> Subject:
        """Of a run's rows, all that some member has learnt from."""
        each = parts(splits, members)
        seen = together(splits) if differ(each) else splits.train
        features = tuple(_features(splits, seen.numeric))
        named = (splits.task, splits.target, features, splits.classes)
        image = _image(splits.image) or image_from_names(features)
        rows = (len(seen), len(each[0].train))
        return cls(*named, splits.source, splits.fingerprint, *rows, image)


def describe(
    recipe: Recipe,
    subject: Subject,
    fits: Sequence[FitResult],
    metrics: dict[str, float],
    sealed: Sealed,
    before: tuple[Layer, ...] | None = None,
    places: Sequence[tuple[int, int]] = (),
) -> ModelMetadata:
    """The metadata of a certified model.

    Args:
        fits: of each member.
        before: the graph before it was folded.
        places: the pairs of numeric columns that are seen as places.
    """
    model, loop = recipe.model, recipe.loop
    return ModelMetadata(
        task=subject.task,
        target=subject.target,
        features=subject.features,
        classes=subject.classes,
        image=subject.image,
        epsilon=model.epsilon if model.batch_norm else None,
        hyperparameters={
            **_plain(asdict(model), ("hidden",)),
            "hidden": ",".join(map(str, model.hidden)),
            **_named(places, subject.features),
            "batch_size": loop.batch_size_for(subject.rows_of_each),
            **({"ensemble": len(fits)} if len(fits) > 1 else {}),
            **({"member_rows": subject.rows_of_each} if subject.rows_of_each < subject.rows else {}),
            "epochs": _each(len(fit.epochs) for fit in fits),
            "best_epoch": _each(fit.best for fit in fits),
            **_plain(asdict(loop), ("batch_size", "epochs", "seed")),
        },
        metrics=metrics,
        folding=Folding.model_validate(sealed.folding).model_copy(update={"before": before}),
        certificate=sealed.certificate,
        golden=sealed.golden,
        provenance=Provenance(
            created=datetime.now(UTC),
            foldserve=importlib.metadata.version("foldserve"),
            versions=_versions(),
            data=subject.source,
            data_fingerprint=subject.fingerprint,
            training_rows=subject.rows,
            seed=loop.seed,
        ),
    )


def outline_before(unfolded: Path) -> tuple[Layer, ...] | None:
    """The graph of a file before folding, in the report's names; None for one of too many layers to tell."""
    layers = outline_of(unfolded)
    if len(layers) > MOST_LAYERS:
        return None
    prefix = "network."
    return tuple(layer.model_copy(update={"owner": layer.owner.removeprefix(prefix)}) for layer in layers)


def _features(splits: Splits, numeric: NDArray[np.float32]) -> Iterator[Feature]:
    """The columns in the table's order, with what training saw of them."""
    numbers = iter(numeric.T)
    for column in splits.columns:
        if column.kind == "categorical":
            yield Feature(name=column.name, kind="categorical", categories=column.categories, missing=True)
        else:
            values = next(numbers)
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            written = None if column.writing.plain else Written.model_validate(column.writing)
            seen = {"minimum": low, "maximum": high, "missing": column.missing}
            yield Feature(name=column.name, **seen, marks=column.marks, written=written)


def _image(size: tuple[int, int] | None) -> Image | None:
    return None if size is None else Image(width=size[0], height=size[1])


def _named(places: Sequence[tuple[int, int]], features: Sequence[Feature]) -> dict[str, str]:
    """Which columns are places, where some are."""
    names = [feature.name for feature in features if feature.kind == "numeric"]
    told = ", ".join(f"{names[one]} × {names[other]}" for one, other in places)
    return {"places": told} if told else {}


def _each(values: Iterable[int]) -> int | str:
    """A number, or the numbers of several members."""
    first, *others = values
    return ",".join(map(str, [first, *others])) if others else first


def _plain(record: dict[str, Any], without: tuple[str, ...]) -> dict[str, float | int | str | bool]:
    """What was chosen; None is left out, as it says nothing."""
    return {key: value for key, value in record.items() if key not in without and value is not None}


def _versions() -> dict[str, str]:
    names = ("torch", "onnx", "onnxscript", "numpy")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {**versions, "onnxruntime": runtime_version()}
