"""What is not asked for is chosen by the table: one set of rules, found on validation rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from training.config import LoopConfig, ModelConfig, RunConfig
from training.data import Splits

WIDE = 100
"""With more numeric columns than this, such as pixels, a column says little by itself."""

MANY = 64_000
"""Training rows from which a network is wider and needs less against overfitting."""

MIXED = 20_000
"""Training rows of a regression up to which mixing rows helps."""

PAIRS = 2
"""How many pairs of columns may be places on a plane: where a trip begins and where it ends."""

LONG = 20
"""Epochs of a wide table; a longer run leaves numbers out, and its columns share a scale."""

FEWEST_STEPS = {"classification": 1500, "regression": 3000}
"""Small tables get as many epochs as make about so many steps."""

MOST_EPOCHS = 200


@dataclass(frozen=True)
class Recipe:
    """All choices of a run."""

    model: ModelConfig
    loop: LoopConfig


def recipe_for(config: RunConfig, splits: Splits) -> Recipe:
    """What was asked for, and for the rest what suits the table."""
    classes, several = splits.task == "classification", config.ensemble > 1
    table = _Table(len(splits.train), len(splits.numeric_columns), classes, several)
    asked = dict(config.model)
    if asked.get("encoding") == "auto":
        del asked["encoding"]
    epochs = config.loop.get("epochs")
    chosen = table.model(epochs)
    if "hidden" in asked:
        # Widths that are asked for are those of plain layers, unless more is said.
        del chosen["residual"]
    model = ModelConfig(**{**chosen, **asked})
    return Recipe(model, LoopConfig(**{**table.loop(epochs), **config.loop}))


@dataclass(frozen=True)
class _Table:
    """What the rules look at."""

    rows: int
    numbers: int
    classes: bool
    several: bool
    """Whether it is for members of an ensemble."""

    @property
    def _wide(self) -> bool:
        return self.numbers > WIDE

    @property
    def _many(self) -> bool:
        return self.rows >= MANY

    @property
    def _few_classes(self) -> bool:
        """A narrow classification of less than many rows: it overfits soonest."""
        return self.classes and not self._wide and not self._many

    def model(self, epochs: int | None) -> dict[str, Any]:
        """The network; `epochs` where they are asked for."""
        long = self._wide and (epochs or self._epochs()) > LONG
        return {
            "encoding": "standard" if self._wide else "bins-relu",
            "pairs": 0 if self._wide else PAIRS,
            "encoding_rate": 10.0 if self._few_classes else 5.0,
            "hidden": (512, 512, 512) if self._wide or self._many else (384, 384),
            "dropout": 0.3 if self._wide or self._few_classes else 0.1,
            "shared_scale": long,
            "input_dropout": 0.1 if long else 0.0,
            "residual": self.several and not self._wide and not self._many,
        }

    def loop(self, epochs: int | None) -> dict[str, Any]:
        """The loop; `epochs` where they are asked for."""
        return {
            "batch_size": self._batch_size,
            "epochs": epochs or self._epochs(),
            "learning_rate": 0.005,
            "weight_decay": 0.01 if self._few_classes else 0.2,
            "warm_up": 0.05,
            "ema": 0.995,
            "mixup": self._mixup(),
        }

    @property
    def _batch_size(self) -> int | None:
        return 512 if self._many and not self._wide else None

    def _epochs(self) -> int:
        usual = self._usual_epochs()
        fewest = FEWEST_STEPS["classification" if self.classes else "regression"]
        steps = -(-self.rows // LoopConfig(batch_size=self._batch_size).batch_size_for(self.rows))
        return max(usual, min(MOST_EPOCHS, -(-fewest // steps)))

    def _usual_epochs(self) -> int:
        if self._wide:
            return LONG
        if self._many:
            return 30
        if self.classes:
            return 15
        return 60 if self.rows < 16_000 else 40

    def _mixup(self) -> float:
        if self._wide or self._many:
            return 0.0
        return 0.3 if self.classes or self.rows < MIXED else 0.0
