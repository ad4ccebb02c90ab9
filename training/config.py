"""What a run is made of: the data, the model and the loop, as frozen records."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from training.errors import ConfigError

Task = Literal["classification", "regression"]
Activation = Literal["relu", "gelu", "tanh", "sigmoid"]
Moments = Literal["feature", "all"]


@dataclass(frozen=True)
class DataConfig:
    """Which rows, and what is predicted from them.

    Attributes:
        source: a file or several with the same columns, or the name of an embedded data set.
        target: the column to predict; None for an embedded data set.
        test: files of test rows; None holds out a share of the source.
        task: None chooses by the target.
        validation: the share of all rows for early stopping.
        test_share: the share of all rows for the test when no file is given; None takes `validation`.
        split_seed: of the choice of these rows; None takes the run's seed.
        delimiter, header, columns, skip_lines: how a CSV is written; None finds out.
        missing: the texts that mean "missing"; None takes the usual ones.
        categorical, numeric, drop: columns whose role is given.
        weight: a column of sample weights.
        drop_missing_target: leave rows without a target out instead of refusing them.
    """

    source: Path | tuple[Path, ...] | str
    target: str | None = None
    test: Path | tuple[Path, ...] | None = None
    task: Task | None = None
    validation: float = 0.15
    test_share: float | None = None
    split_seed: int | None = None
    delimiter: str | None = None
    header: bool | None = None
    columns: tuple[str, ...] = ()
    skip_lines: int | None = None
    missing: tuple[str, ...] | None = None
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    weight: str | None = None
    drop_missing_target: bool = False

    def __post_init__(self) -> None:
        _check(0.0 < self.validation < 0.5, f"--validation is {self.validation}, expected between 0 and 0.5")
        share = self.test_share
        _check(
            share is None or 0.0 <= share < 0.5, f"--test-share is {share}, expected at least 0, below 0.5"
        )
        lines = self.skip_lines
        _check(lines is None or lines >= 0, f"--skip-lines is {lines}, expected a number of lines")
        mark = self.delimiter
        _check(
            mark is None or (len(mark) == 1 and mark.isascii()), f"--delimiter is {mark!r}, expected one sign"
        )
        _check(
            self.weight is None or self.weight != self.target, "--weight and --target name the same column"
        )


@dataclass(frozen=True)
class ModelConfig:
    """The network.

    Attributes:
        hidden: the width of each hidden layer.
        moments: "feature" takes one mean and variance per unit (axis 0 of the batch), "all" one for the
            whole layer's output (axes 0 and 1).
        epsilon: added to the variance; TensorFlow's 1e-3, PyTorch's is 1e-5.
        momentum: the weight of the newest batch in the running statistics, PyTorch's convention.
    """

    hidden: tuple[int, ...] = (256, 128)
    activation: Activation = "relu"
    batch_norm: bool = True
    moments: Moments = "feature"
    epsilon: float = 1e-3
    momentum: float = 0.1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        _check(
            all(width > 0 for width in self.hidden), f"--hidden is {self.hidden}, expected positive widths"
        )
        _check(self.epsilon > 0, f"--epsilon is {self.epsilon}, expected a positive number")
        _check(0 <= self.dropout < 1, f"--dropout is {self.dropout}, expected at least 0 and below 1")


@dataclass(frozen=True)
class LoopConfig:
    """The training loop.

    Attributes:
        epochs: None takes as many as make about `STEPS` steps, between 15 and 200.
        batch_size: None takes 256, less for small tables.
        learning_rate: the highest rate of the one-cycle schedule.
        weight_decay: on weights of linear layers only, never on γ, β or biases.
        patience: epochs without a better validation score before the loop stops; None never stops early.
    """

    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    patience: int | None = 20
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.epochs is None or self.epochs > 0, f"--epochs is {self.epochs}, expected at least 1")
        size = self.batch_size
        _check(size is None or size > 0, f"--batch-size is {size}, expected at least 1")
        _check(self.learning_rate > 0, f"--lr is {self.learning_rate}, expected a positive number")
        _check(
            self.patience is None or self.patience > 0, f"--patience is {self.patience}, expected at least 1"
        )

    def batch_size_for(self, rows: int) -> int:
        """Rows per step: what was asked for, else a power of two that gives some 30 steps per epoch."""
        if self.batch_size is not None:
            return self.batch_size
        return min(256, max(16, 1 << (rows // 30).bit_length()))

    def epochs_for(self, rows: int) -> int:
        """Passes over the training rows: what was asked for, else enough for about `STEPS` steps."""
        if self.epochs is not None:
            return self.epochs
        steps_per_epoch = -(-rows // self.batch_size_for(rows))
        return min(200, max(15, -(-STEPS // steps_per_epoch)))


STEPS = 3000


@dataclass(frozen=True)
class RunConfig:
    """One run from a table to a published model."""

    data: DataConfig
    name: str
    model: ModelConfig = field(default_factory=ModelConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    models_dir: Path = Path("models")

    def __post_init__(self) -> None:
        safe = self.name.replace("-", "").replace("_", "").replace(".", "")
        legal = safe.isascii() and safe.isalnum() and not self.name.startswith(".")
        _check(legal, f"--name is {self.name!r}, expected letters, digits, '-', '_' and '.'")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)
