"""Metadata as a training run would write it, for tests that need no training run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.metadata import Feature, Folding, GoldenRows, ModelMetadata, Provenance

CODES = ("7756", "-3", "0")
"""Categories that are integers."""


def metadata(features: int = 3, **changes: Any) -> ModelMetadata:
    """A sound document for a classifier of two classes."""
    fields: dict[str, Any] = {
        "task": "classification",
        "target": "kind",
        "features": tuple(Feature(name=f"f{i}", minimum=0.0, maximum=1.0) for i in range(features)),
        "classes": ("no", "yes"),
        "metrics": {"test_accuracy": 0.9},
        "folding": Folding(
            entries=(), parameters_before=1, parameters_after=1, layers_before=1, layers_after=1
        ),
        "provenance": Provenance(
            created=datetime(2026, 1, 1, tzinfo=UTC),
            foldserve="0.1.0",
            versions={},
            data="made up",
            data_fingerprint="0" * 64,
            training_rows=10,
            seed=0,
        ),
    }
    return ModelMetadata(**(fields | changes))


def golden(inputs: list[list[float]], outputs: list[list[float]], tolerance: float = 1e-5) -> GoldenRows:
    """Golden rows."""
    return GoldenRows.model_validate({"inputs": inputs, "outputs": outputs, "tolerance": tolerance})


def coded() -> ModelMetadata:
    """Two numbers and, between them, a category of `CODES`."""
    category = Feature(name="c1", kind="categorical", categories=CODES, missing=True)
    features = (Feature(name="n0"), category, Feature(name="n2"))
    return metadata().model_copy(update={"features": features})
