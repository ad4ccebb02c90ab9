"""What a run tells the model file about itself: features, scores, folding report and provenance."""

from __future__ import annotations

import importlib.metadata
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import onnx

from service.metadata import Certificate, Feature, Folding, GoldenRows, ModelMetadata, Provenance
from service.session import runtime_version
from training.config import RunConfig
from training.data import Splits
from training.folding.report import FoldReport
from training.loop import FitResult


@dataclass(frozen=True, eq=False)
class Sealed:
    """A folded graph with the report and the certificate that belong to it."""

    model: onnx.ModelProto
    folding: FoldReport
    certificate: Certificate
    golden: GoldenRows


def describe(
    config: RunConfig, splits: Splits, fit: FitResult, metrics: dict[str, float], sealed: Sealed
) -> ModelMetadata:
    """The metadata of a certified model."""
    lows, highs = splits.train.numeric.min(axis=0), splits.train.numeric.max(axis=0)
    ranges = zip(splits.features, lows.tolist(), highs.tolist(), strict=True)
    model, loop = config.model, config.loop
    rows = len(splits.train)
    return ModelMetadata(
        task=splits.task,
        target=splits.target,
        features=tuple(Feature(name=name, minimum=low, maximum=high) for name, low, high in ranges),
        classes=splits.classes,
        epsilon=model.epsilon if model.batch_norm else None,
        hyperparameters={
            **{key: value for key, value in asdict(model).items() if key != "hidden"},
            "hidden": ",".join(map(str, model.hidden)),
            "batch_size": loop.batch_size_for(rows),
            "epochs": len(fit.epochs),
            "best_epoch": fit.best,
            "learning_rate": loop.learning_rate,
            "weight_decay": loop.weight_decay,
        },
        metrics=metrics,
        folding=Folding.model_validate(sealed.folding),
        certificate=sealed.certificate,
        golden=sealed.golden,
        provenance=Provenance(
            created=datetime.now(UTC),
            foldserve=importlib.metadata.version("foldserve"),
            versions=_versions(),
            data=splits.source,
            data_fingerprint=splits.fingerprint,
            training_rows=rows,
            seed=loop.seed,
        ),
    )


def _versions() -> dict[str, str]:
    names = ("torch", "onnx", "onnxscript", "numpy")
    versions = {name: importlib.metadata.version(name) for name in names}
    return {**versions, "onnxruntime": runtime_version()}
