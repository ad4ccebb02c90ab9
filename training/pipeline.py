"""run(config): from a table to a certified, published model, in the order it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from service.metadata import ModelMetadata
from training import certify
from training.config import RunConfig
from training.data import Moments, Split, Splits, load
from training.description import Sealed, describe
from training.errors import DataError
from training.export import export, export_folded, with_metadata
from training.folding import FoldedModule, FoldError, FoldReport, fold_module
from training.folding.affine import AMP_LIMIT
from training.loop import FitResult, Observer, RateCurve, Rows, find_range, fit, generator
from training.model import Standardiser, TargetScale, build_core, build_predictor
from training.publication import Workshop


@dataclass(frozen=True)
class Outcome:
    """What a run gave."""

    path: Path
    metadata: ModelMetadata
    fit: FitResult


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted model before the fold.

    Attributes:
        predictor: the unfolded model, raw features in.
    """

    predictor: nn.Sequential
    fit: FitResult
    metrics: dict[str, float]


def run(
    config: RunConfig,
    observe: Observer = lambda _: None,
    announce: Callable[[Splits], None] = lambda _: None,
) -> Outcome:
    """Train, fold, export, certify and publish one model.

    Raises:
        TrainingError: with one line that says what stopped it; nothing is published then.
    """
    splits = load(config.data, config.loop.seed)
    announce(splits)
    _require_plain_numbers(splits)
    outcome = publish(config, splits, train(splits, config, observe, config.checkpoint))
    config.checkpoint.unlink(missing_ok=True)
    return outcome


def find_rate(config: RunConfig) -> RateCurve:
    """Try all learning rates on the network and the training rows of a run.

    Raises:
        TrainingError: with one line that says what stopped it.
    """
    splits = load(config.data, config.loop.seed)
    _require_plain_numbers(splits)
    network, rows, _ = _begin(splits, config)
    return find_range(network, rows, splits.task, config.loop)


def _require_plain_numbers(splits: Splits) -> None:
    """Until the graph takes categories and missing numbers, say so: half of a table is none."""
    others = [column.name for column in splits.columns if column.kind == "categorical" or column.missing]
    if others:
        raise DataError(
            f"{splits.source}: the network takes no categories and no missing numbers: {others[:8]}"
        )


def publish(config: RunConfig, splits: Splits, trained: Trained) -> Outcome:
    """Fold, export, certify, and make the file the model's next version.

    Raises:
        TrainingError: with one line that says what stopped it; nothing is published then.
    """
    with Workshop(config.models_dir / config.name) as workshop:
        truth = _truth(trained.predictor, splits, config.loop.seed, workshop.scratch)
        sealed = fold_and_certify(trained.predictor, truth, splits, workshop.scratch)
        metadata = describe(config, splits, trained.fit, trained.metrics, sealed)
        onnx.save(with_metadata(sealed.model, metadata), workshop.file)
        path = workshop.publish()
    return Outcome(path, metadata, trained.fit)


def fold_and_certify(predictor: nn.Sequential, truth: certify.Truth, splits: Splits, scratch: Path) -> Sealed:
    """Fold as much as the certificate allows.

    The amp rule allows a fold of the input's shift that may still cost more than the certificate permits
    when float32 alone errs little; then the shift stays as one subtraction, and the rest is folded.

    Raises:
        FoldError, ExportError, CertificateError: as they say.
    """
    sealed = _seal(predictor, truth, splits, scratch, AMP_LIMIT)
    if sealed.certificate.ratio_of_means > certify.MAX_RATIO and not _keeps_shift(sealed.folding):
        sealed = _seal(predictor, truth, splits, scratch, 0.0)
    certify.check(sealed.certificate)
    return sealed


def _seal(
    predictor: nn.Sequential, truth: certify.Truth, splits: Splits, scratch: Path, amp_limit: float
) -> Sealed:
    folded = fold_completely(predictor, len(splits.features), amp_limit)
    linear_layers = sum(isinstance(layer, nn.Linear) for layer in predictor)
    model = export_folded(folded, len(splits.features), splits.task, linear_layers)
    onnx.save(model, scratch)
    certificate = certify.certify(scratch, truth)
    golden = certify.golden_rows(scratch, truth.held_out, certificate)
    return Sealed(model, folded.report, certificate, golden)


def fold_completely(predictor: nn.Sequential, features: int, amp_limit: float = AMP_LIMIT) -> FoldedModule:
    """The predictor without any normalisation.

    Raises:
        FoldError: one could not be folded; the message names the layer and the reason.
    """
    folded = fold_module(predictor, (torch.zeros(2, features),), amp_limit=amp_limit)
    for entry in folded.report.entries:
        if entry.reason is not None:
            raise FoldError(entry.layer, entry.reason, entry.detail)
    return folded


def _keeps_shift(report: FoldReport) -> bool:
    return any(entry.direction == "split" for entry in report.entries)


def _truth(predictor: nn.Sequential, splits: Splits, seed: int, scratch: Path) -> certify.Truth:
    held_out = certify.HeldOut.of(_held_out_rows(splits), seed)
    onnx.save(export(predictor, len(splits.features), splits.task), scratch)
    return certify.Truth.of(predictor, held_out, scratch)


def train(
    splits: Splits,
    config: RunConfig,
    observe: Observer = lambda _: None,
    checkpoint: Path | None = None,
) -> Trained:
    """Fit a network and put the standardiser and the target's scale around it."""
    inputs = Moments.of(splits.train.numeric)
    target = _target_moments(splits)
    core, train_rows, held = _begin(splits, config)
    result = fit(
        *(core, train_rows, held, splits.task, config.loop, observe, checkpoint), resume=config.resume
    )
    after = _target_scale(core, target) if target else None
    predictor = build_predictor(core, Standardiser(inputs.mean, inputs.deviation), after)
    return Trained(predictor, result, _metrics(predictor, splits))


def _begin(splits: Splits, config: RunConfig) -> tuple[nn.Sequential, Rows, Rows]:
    """The untrained network, and the rows as it takes them."""
    inputs, target = Moments.of(splits.train.numeric), _target_moments(splits)
    draws = generator(config.loop.seed, "initialisation")
    core = build_core(config.model, len(splits.features), splits.outputs, draws)
    return core, _rows(splits.train, inputs, target), _rows(splits.validation, inputs, target)


def _target_moments(splits: Splits) -> Moments | None:
    return Moments.of(splits.train.y).in_powers_of_two() if splits.task == "regression" else None


def _target_scale(core: nn.Sequential, target: Moments) -> TargetScale:
    """Back to the target's unit, such that folding it loses nothing: its scale is a power of two, and the
    head's bias moves into its mean, so that no two constants are left to add and round."""
    head = core[-1]
    assert isinstance(head, nn.Linear)  # noqa: S101 - build_core ends with it
    with torch.no_grad():
        mean = float(target.mean) + float(target.deviation) * float(head.bias.double())
        head.bias.zero_()
    return TargetScale(mean, float(target.deviation))


def _rows(split: Split, inputs: Moments, target: Moments | None) -> Rows:
    X = ((split.numeric - inputs.mean) / inputs.deviation).astype(np.float32)
    y = split.y if target is None else ((split.y - target.mean) / target.deviation).astype(np.float32)
    weight = None if split.weight is None else torch.from_numpy(split.weight)
    return Rows((torch.from_numpy(X),), torch.from_numpy(y), weight)


def _metrics(predictor: nn.Sequential, splits: Splits) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, split in (("validation", splits.validation), ("test", splits.test)):
        if len(split):
            with torch.no_grad():
                outputs = predictor(torch.from_numpy(split.numeric)).numpy()
            metrics |= {f"{name}_{metric}": value for metric, value in _score(outputs, split).items()}
    return metrics


def _score(outputs: np.ndarray, split: Split) -> dict[str, float]:
    if split.y.dtype == np.int64:
        return {"accuracy": float((outputs.argmax(axis=1) == split.y).mean())}
    errors = outputs[:, 0].astype(np.float64) - split.y
    spread = float(split.y.astype(np.float64).var())
    rmse = float(np.sqrt((errors**2).mean()))
    return {"rmse": rmse, "r2": 1 - rmse**2 / spread if spread else 0.0}


def _held_out_rows(splits: Splits) -> np.ndarray:
    """Rows that training never saw; a table too small to hold any out is certified on its own rows."""
    for split in (splits.test, splits.validation, splits.train):
        if len(split):
            return split.numeric
    raise AssertionError("a split always has training rows")
