"""run(config): from a table to a certified, published model, in the order it happens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx

from service.metadata import ModelMetadata
from training import certify
from training.config import RunConfig
from training.data import Splits, load
from training.defaults import Recipe, recipe_for
from training.description import Sealed, Subject, describe, outline_before
from training.ensemble import fold_each, keeping, members
from training.export import export, export_folded, with_metadata
from training.finish import finished
from training.folding import FoldedModule, FoldError, fold_module
from training.folding.affine import AMP_LIMIT
from training.held_out import HeldOut
from training.loop import FitResult, Observer, RateCurve, find_range
from training.members import discard, train_members
from training.parts import parts
from training.predictor import Predictor, output_task, places_of
from training.preparation import Preparation
from training.publication import Workshop
from training.report import write_report
from training.scores import metrics


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        fits: of each member.
    """

    path: Path
    metadata: ModelMetadata
    fits: tuple[FitResult, ...]


@dataclass(frozen=True, eq=False)
class Trained:
    """A fitted model before the fold.

    Attributes:
        predictor: the unfolded model, raw rows in.
        fits: of each member.
        recipe: all choices it was made by.
    """

    predictor: Predictor
    fits: tuple[FitResult, ...]
    metrics: dict[str, float]
    recipe: Recipe


def run(
    config: RunConfig,
    observe: Observer = lambda _: None,
    announce: Callable[[Splits], None] = lambda _: None,
) -> Outcome:
    """Train, fold, export, certify and publish one model.

    Raises:
        TrainingError: with one line that says what stopped it; nothing is published then.
    """
    splits = load(config.data, config.seed)
    announce(splits)
    if not config.resume:
        # Those of other options would be refused when this run is resumed, after members that went well.
        discard(config.checkpoint, others_only=True)
    outcome = publish(config, splits, train(splits, config, observe, config.checkpoint))
    discard(config.checkpoint)
    return outcome


def find_rate(config: RunConfig) -> RateCurve:
    """Try all learning rates on the network and the training rows of a run.

    Raises:
        TrainingError: with one line that says what stopped it.
    """
    splits = load(config.data, config.seed)
    recipe = recipe_for(config, splits)
    preparation = Preparation.of(splits, recipe)
    network = preparation.network(recipe.model, splits, config.seed)
    return find_range(network, preparation.rows(splits.train, splits), splits.task, recipe.loop)


def train(
    splits: Splits,
    config: RunConfig,
    observe: Observer = lambda _: None,
    checkpoint: Path | None = None,
) -> Trained:
    """Fit the networks, and put what they need around them to answer raw rows."""
    recipe, own = recipe_for(config, splits), parts(splits, config.ensemble)
    trained = list(train_members(own, recipe, config, observe, checkpoint))
    predictor, calibration = finished(trained, recipe.model)
    scores = metrics(predictor, own, logarithm=trained[0].preparation.logarithm) | calibration
    return Trained(predictor, tuple(member.fit for member in trained), scores, recipe)


def publish(config: RunConfig, splits: Splits, trained: Trained) -> Outcome:
    """Fold, export, certify, and make the file the model's next version.

    Raises:
        TrainingError: with one line that says what stopped it; nothing is published then.
    """
    with Workshop(config.models_dir / config.name) as workshop:
        held_out = HeldOut.of(splits, config.seed)
        subject = Subject.of(splits, config.ensemble)
        metadata = write(trained, subject, held_out, workshop.file, workshop.scratch)
        if config.report:
            write_report(workshop.folder, config.name, splits, trained.predictor, trained.fits, metadata)
        path = workshop.publish()
    return Outcome(path, metadata, trained.fits)


def write(trained: Trained, subject: Subject, held_out: HeldOut, file: Path, scratch: Path) -> ModelMetadata:
    """Fold, export, certify, and write the file with all it says about itself.

    Args:
        scratch: a file that may be written over.

    Raises:
        FoldError, ExportError, CertificateError: as they say.
    """
    truth = _truth(trained.predictor, held_out, scratch)
    before = outline_before(scratch)
    sealed = fold_and_certify(trained.predictor, truth, scratch)
    metadata = describe(
        trained.recipe, subject, trained.fits, trained.metrics, sealed, before, places_of(trained.predictor)
    )
    onnx.save(with_metadata(sealed.model, metadata), file)
    return metadata


def fold_and_certify(predictor: Predictor, truth: certify.Truth, scratch: Path) -> Sealed:
    """Fold as much as the certificate allows.

    The amp rule allows a fold of the input's shift that may still cost more than the certificate permits
    when float32 alone errs little; then the shift stays as one subtraction, and the rest is folded.

    Raises:
        FoldError, ExportError, CertificateError: as they say.
    """
    sealed = _seal(predictor, truth, scratch, AMP_LIMIT)
    kept = keeping(predictor.network, sealed.folding) == len(members(predictor.network))
    if sealed.certificate.ratio_of_means > certify.KEEP_RATIO and not kept:
        sealed = _seal(predictor, truth, scratch, 0.0)
    certify.check(sealed.certificate)
    return sealed


def _seal(predictor: Predictor, truth: certify.Truth, scratch: Path, amp_limit: float) -> Sealed:
    folded = fold_completely(predictor, amp_limit)
    model = export_folded(predictor, folded, truth.held_out.codebook)
    onnx.save(model, scratch)
    certificate = certify.certify(scratch, truth)
    golden = certify.golden_rows(scratch, truth.held_out, certificate)
    return Sealed(model, folded.report, certificate, golden)


def fold_completely(predictor: Predictor, amp_limit: float = AMP_LIMIT) -> FoldedModule:
    """The predictor's network, or each of them, without any normalisation.

    Raises:
        FoldError: one could not be folded; the message names the layer and the reason.
    """
    examples = predictor.encoded(*predictor.examples())
    folded = fold_each(
        predictor.network, examples, lambda member, own: fold_module(member, own, amp_limit=amp_limit)
    )
    for entry in folded.report.entries:
        if entry.reason is not None:
            raise FoldError(entry.layer, entry.reason, entry.detail)
    return folded


def _truth(predictor: Predictor, held_out: HeldOut, scratch: Path) -> certify.Truth:
    onnx.save(export(predictor, output_task(predictor)), scratch)
    return certify.Truth.of(predictor, held_out, scratch)
