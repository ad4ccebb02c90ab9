"""Space: which choices are searched and between which bounds; what was asked for by a flag is not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from training.config import EncodingKind, ModelConfig, RunConfig
from training.data import Splits
from training.defaults import WIDE, Recipe, recipe_for

SMALLEST_BATCH = 16
"""Below it the moments of a batch are unsteady."""


@dataclass(frozen=True)
class Dimension:
    """One choice.

    Attributes:
        default: inside the distribution.
    """

    distribution: BaseDistribution
    default: Any


@dataclass(frozen=True)
class Space:
    """All choices of a search, by the names under which a study keeps them.

    Attributes:
        base: the run around them; its epochs are given, so that every trial has as many.
    """

    base: RunConfig
    dimensions: Mapping[str, Dimension]

    @classmethod
    def of(cls, config: RunConfig, splits: Splits) -> Space:
        """What a table leaves open."""
        recipe = recipe_for(config, splits)
        asked = {*config.model, *config.loop}
        if config.model.get("encoding") == "auto":
            asked.remove("encoding")
        dimensions = dict(_dimensions(recipe, splits, asked))
        base = replace(config, loop={**config.loop, "epochs": recipe.loop.epochs})
        return cls(base, dimensions)

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """The bounds."""
        return {name: dimension.distribution for name, dimension in self.dimensions.items()}

    @property
    def defaults(self) -> dict[str, Any]:
        """Where the search begins."""
        return {name: dimension.default for name, dimension in self.dimensions.items()}

    def config(self, chosen: Mapping[str, Any]) -> RunConfig:
        """The run of a trial."""
        values = {name: _rounded(value) for name, value in chosen.items()}
        if "width" in values:
            values["hidden"] = (values.pop("width"),) * values.pop("depth")
        of_model = {field.name for field in fields(ModelConfig)}
        model = {name: value for name, value in values.items() if name in of_model}
        loop = {name: value for name, value in values.items() if name not in of_model}
        base = self.base
        return replace(base, model={**base.model, **model}, loop={**base.loop, **loop})


def _dimensions(recipe: Recipe, splits: Splits, asked: set[str]) -> Iterator[tuple[str, Dimension]]:
    model, loop = recipe.model, recipe.loop
    searched: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
        "weight_decay": FloatDistribution(1e-4, 1.0, log=True),
        "dropout": FloatDistribution(0.0, 0.6, step=0.05),
        "mixup": FloatDistribution(0.0, 0.6, step=0.1),
        "ema": CategoricalDistribution([0.0, 0.98, 0.99, 0.995, 0.998]),
    }
    if splits.task == "classification":
        searched["label_smoothing"] = FloatDistribution(0.0, 0.2, step=0.02)
    if splits.numeric_columns:
        searched["encoding"] = CategoricalDistribution(_encodings(splits))
        if "encoding" not in asked and "bins-relu" in _encodings(splits):
            searched["encoding_rate"] = FloatDistribution(1.0, 30.0, log=True)
    for name, distribution in searched.items():
        if name not in asked:
            yield name, Dimension(distribution, getattr(loop if hasattr(loop, name) else model, name))
    if "batch_size" not in asked:
        size = loop.batch_size_for(len(splits.train))
        sizes = [size // 2, size, 2 * size, 4 * size]
        legal = [count for count in sizes if count == size or SMALLEST_BATCH <= count <= len(splits.train)]
        yield "batch_size", Dimension(CategoricalDistribution(legal), size)
    if "hidden" not in asked:
        yield "width", Dimension(IntDistribution(64, 768, step=64), model.hidden[0])
        yield "depth", Dimension(IntDistribution(1, 4), len(model.hidden))


def _encodings(splits: Splits) -> tuple[str, ...]:
    """Bins and sines of hundreds of columns are a network too wide to be tried many times."""
    return ("standard", "robust") if len(splits.numeric_columns) > WIDE else get_args(EncodingKind)


def _rounded(value: Any) -> Any:
    """Three digits, so that what is printed is what was tried."""
    return float(f"{value:.3g}") if isinstance(value, float) else value
