"""What a run tells the model file about itself: features, scores, folding report and provenance."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import onnx

from service.image import image_from_names
from service.metadata import Certificate, Feature, Folding, GoldenRows, Image, ModelMetadata, Provenance
from service.session import runtime_version
from training.config import Task
from training.data import Splits
from training.defaults import Recipe
from training.folding.report import FoldReport
from training.loop import FitResult
from training.target import Label


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
        image: the picture that a row is, as was said or as the names of its columns say.
    """

    task: Task
    target: str
    features: tuple[Feature, ...]
    classes: tuple[Label, ...] | None
    source: str
    fingerprint: str
    rows: int
    image: Image | None = None

    @classmethod
    def of(cls, splits: Splits) -> Subject:
        """Of a run's rows."""
        features, rows = tuple(_features(splits)), len(splits.train)
        named = (splits.task, splits.target, features, splits.classes)
        image = _image(splits.image) or image_from_names(features)
        return cls(*named, splits.source, splits.fingerprint, rows, image)


def describe(
    recipe: Recipe, subject: Subject, fits: Sequence[FitResult], metrics: dict[str, float], sealed: Sealed
) -> ModelMetadata:
    """The metadata of a certified model.

    Args:
        fits: of each member.
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
            "batch_size": loop.batch_size_for(subject.rows),
            **({"ensemble": len(fits)} if len(fits) > 1 else {}),
            "epochs": _each(len(fit.epochs) for fit in fits),
            "best_epoch": _each(fit.best for fit in fits),
            **_plain(asdict(loop), ("batch_size", "epochs", "seed")),
        },
        metrics=metrics,
        folding=Folding.model_validate(sealed.folding),
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


def _features(splits: Splits) -> Iterator[Feature]:
    """The columns in the table's order, with what training saw of them."""
    numbers = iter(splits.train.numeric.T)
    for column in splits.columns:
        if column.kind == "categorical":
            yield Feature(name=column.name, kind="categorical", categories=column.categories, missing=True)
        else:
            values = next(numbers)
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            yield Feature(name=column.name, minimum=low, maximum=high, missing=column.missing)


def _image(size: tuple[int, int] | None) -> Image | None:
    return None if size is None else Image(width=size[0], height=size[1])


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
