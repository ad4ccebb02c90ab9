"""What a run is made of: the data, the model and the loop, as frozen records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from training.errors import ConfigError

Task = Literal["classification", "regression"]
Activation = Literal["relu", "gelu", "tanh", "sigmoid"]
Moments = Literal["feature", "all"]
Initialisation = Literal["auto", "he", "xavier", "lecun", "small"]
OptimizerName = Literal["adamw", "muon", "sgd"]
ScheduleName = Literal["cosine", "one-cycle", "plateau", "constant"]
RegressionLoss = Literal["mse", "huber"]
ClassWeight = Literal["none", "balanced"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "bf16"]
EncodingKind = Literal["standard", "robust", "bins", "bins-relu", "periodic"]
EncodingName = Literal["auto", EncodingKind]


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
        image: the width and height of the picture that a row is; None finds out by the columns' names.
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
    image: tuple[int, int] | None = None

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
        encoding: how numbers become inputs of the first linear layer.
        bins: of each of the two kinds that a piecewise linear encoding unites, by quantiles and by a tree.
        pairs: how many pairs of columns may be encoded as places on a plane, beside bins; which columns are
            such pairs the training rows tell.
        shared_scale: whether `standard` has one scale for all columns where a wide table has one unit.
        encoding_rate: times the learning rate, of what the encoding learns.
        input_dropout: the share of encoded numbers that are left out at each step, in front of the first
            linear layer.
        hidden: the width of each hidden layer; with `residual` that inside each step, the first the
            shortcut's too.
        residual: steps beside a shortcut, each behind a norm of its own, instead of plain layers.
        initialisation: how weights are drawn; "auto" is He's for relu and gelu, Xavier's for others.
        moments: "feature" takes one mean and variance per unit (axis 0 of the batch), "all" one for the
            whole layer's output (axes 0 and 1).
        epsilon: added to the variance; TensorFlow's 1e-3, PyTorch's is 1e-5.
        momentum: the weight of the newest batch in the running statistics, PyTorch's convention.
        log_target: learn the logarithm of the target; the model answers in the target's own unit.
        calibrate: divide the logits by a temperature chosen on validation rows (Guo et al. 2017).
    """

    encoding: EncodingKind = "standard"
    bins: int = 64
    pairs: int = 0
    shared_scale: bool = False
    encoding_rate: float = 5.0
    hidden: tuple[int, ...] = (256, 128)
    activation: Activation = "relu"
    residual: bool = False
    initialisation: Initialisation = "auto"
    batch_norm: bool = True
    moments: Moments = "feature"
    epsilon: float = 1e-3
    momentum: float = 0.1
    dropout: float = 0.1
    input_dropout: float = 0.0
    log_target: bool = False
    calibrate: bool = True

    def __post_init__(self) -> None:
        widths = f"--hidden is {self.hidden}, expected positive widths"
        _check(all(width > 0 for width in self.hidden), widths)
        _check(bool(self.hidden) or not self.residual, "--residual needs at least one width in --hidden")
        _check(self.epsilon > 0, f"--epsilon is {self.epsilon}, expected a positive number")
        _check(0 <= self.dropout < 1, f"--dropout is {self.dropout}, expected at least 0 and below 1")
        given = self.input_dropout
        _check(0 <= given < 1, f"--input-dropout is {given}, expected at least 0 and below 1")
        _check(2 <= self.bins <= 4096, f"--bins is {self.bins}, expected 2 to 4096")
        _check(self.pairs >= 0, f"--pairs is {self.pairs}, expected at least 0")


@dataclass(frozen=True)
class LoopConfig:
    """The training loop.

    Attributes:
        epochs: passes over the training rows; `training.defaults` knows how many suit a table.
        batch_size: None takes 256, less for small tables; "full" all rows; 1 is single-sample descent, in
            which normalisations use running statistics.
        learning_rate: the highest rate of the schedule.
        weight_decay: on weights of linear layers only, never on γ, β, biases or embeddings.
        patience: epochs without a better validation score before the loop stops; None never stops early.
        warm_up: the share of the steps in which the rate rises.
        ema: the weight of the past in a moving average of the weights; 0 takes the weights themselves.
        exact_statistics: give normalisations the training rows' moments before each validation and in the
            end; else they keep their running averages.
        mixup: α of the Beta distribution of the shares in which rows of a batch are mixed, in front of the
            first linear layer (Zhang et al. 2018; Verma et al. 2019); 0 mixes none.
        label_smoothing: the share of the probability that is spread over all classes.
        clip: the greatest norm of a gradient; a longer one is shortened to it.
        class_weight: "balanced" lets every class weigh the same.
        loss: of a regression.
        spike_guard: skip steps whose loss or gradient is far outside the ordinary.
        threads: of one matrix product on the CPU, all cores if None; another number may round otherwise.
        device: "auto" takes a GPU where there is one.
        precision: "bf16" computes the products of wide linear layers in bfloat16, on a GPU or a processor
            with instructions for it.
    """

    epochs: int = 20
    batch_size: int | Literal["full"] | None = None
    learning_rate: float = 3e-3
    weight_decay: float = 0.1
    patience: int | None = 20
    seed: int = 0
    optimizer: OptimizerName = "adamw"
    schedule: ScheduleName = "cosine"
    warm_up: float = 0.2
    ema: float = 0.0
    exact_statistics: bool = True
    mixup: float = 0.0
    label_smoothing: float = 0.0
    clip: float | None = None
    class_weight: ClassWeight = "none"
    loss: RegressionLoss = "mse"
    spike_guard: bool = True
    threads: int | None = None
    device: Device = "auto"
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        _check(self.epochs > 0, f"--epochs is {self.epochs}, expected at least 1")
        size = self.batch_size
        legal = size in (None, "full") or (isinstance(size, int) and size > 0)
        _check(legal, f"--batch-size is {size}, expected at least 1, or full")
        _check(self.learning_rate > 0, f"--lr is {self.learning_rate}, expected a positive number")
        _check(
            self.patience is None or self.patience > 0, f"--patience is {self.patience}, expected at least 1"
        )
        _check(
            self.weight_decay >= 0, f"--weight-decay is {self.weight_decay}, expected a number from 0 upwards"
        )
        _check(self.mixup >= 0, f"--mixup is {self.mixup}, expected a number from 0 upwards")
        _check(self.clip is None or self.clip > 0, f"--clip is {self.clip}, expected a positive number")
        _check(self.threads is None or self.threads > 0, f"--threads is {self.threads}, expected at least 1")
        for flag in ("warm_up", "ema", "label_smoothing"):
            share = getattr(self, flag)
            name = flag.replace("_", "-")
            _check(0 <= share < 1, f"--{name} is {share}, expected at least 0 and below 1")

    def batch_size_for(self, rows: int) -> int:
        """Rows per step: what was asked for, else a power of two that gives some 30 steps per epoch."""
        if self.batch_size == "full":
            return max(rows, 2)
        if self.batch_size is not None:
            return self.batch_size
        return min(256, max(16, 1 << (rows // 30).bit_length()))


@dataclass(frozen=True)
class RunConfig:
    """One run from a table to a published model.

    Attributes:
        model, loop: fields of `ModelConfig` and `LoopConfig` that are asked for; the others are chosen by
            the table (`training.defaults`).
        ensemble: how many networks are trained; the model answers their mean.
        report: write a page and the history of the epochs beside the model.
    """

    data: DataConfig
    name: str
    model: Mapping[str, Any] = field(default_factory=dict)
    loop: Mapping[str, Any] = field(default_factory=dict)
    models_dir: Path = Path("models")
    resume: bool = False
    ensemble: int = 1
    report: bool = True

    @property
    def seed(self) -> int:
        """Of every random choice."""
        return int(self.loop.get("seed", LoopConfig.seed))

    @property
    def checkpoint(self) -> Path:
        """Where the state of the run is kept while it trains; the server overlooks hidden folders."""
        return self.models_dir / ".training" / f"{self.name}.checkpoint"

    def __post_init__(self) -> None:
        safe = self.name.replace("-", "").replace("_", "").replace(".", "")
        legal = safe.isascii() and safe.isalnum() and not self.name.startswith(".")
        _check(legal, f"--name is {self.name!r}, expected letters, digits, '-', '_' and '.'")
        _check(self.ensemble > 0, f"--ensemble is {self.ensemble}, expected at least 1")
        for record, asked in ((ModelConfig, self.model), (LoopConfig, self.loop)):
            known = {entry.name for entry in fields(record)}
            unknown = sorted(set(asked) - known)
            _check(not unknown, f"{record.__name__} has no {', '.join(unknown)}; it has {sorted(known)}")
            record(**asked)


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise ConfigError(message)
