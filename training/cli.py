"""`foldserve train`: translation from flags to a `RunConfig`, and what a person sees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from training import data_flags, extras, loop_flags, model_flags
from training.config import RunConfig
from training.flags import Flags, taking
from training.run_flags import PLACE, TRACKING, run_config

if TYPE_CHECKING:
    from training.loop import Epoch

_OWN: Flags = {"resume": (loop_flags.Resume, False), "lr_finder": (loop_flags.RateFinder, None)}


@taking(data_flags.FLAGS, model_flags.FLAGS, loop_flags.FLAGS, PLACE, _OWN, TRACKING)
def train(
    *, resume: bool, lr_finder: Path | None, tensorboard: Path | None, mlflow: str | None, **given: Any
) -> None:
    """Train, fold, export, certify and publish a model from a table."""
    config = run_config(given, resume=resume)
    if lr_finder is None:
        _run(config, tensorboard, mlflow)
    else:
        _find_rate(config, lr_finder)


def _find_rate(config: RunConfig, path: Path) -> None:
    _require_extra()
    from training.loop import plot
    from training.pipeline import find_rate

    curve = find_rate(config)
    plot(curve, path)
    typer.echo(f"suggested: --lr {curve.suggestion:.1e}; {len(curve.rates)} rates are plotted in {path}")


def _run(config: RunConfig, tensorboard: Path | None, mlflow: str | None) -> None:
    _require_extra()
    from rich.console import Console

    from service.inspection import describe_model
    from training.pipeline import run
    from training.progress import TrainingProgress
    from training.report import REPORT
    from training.schema_table import show
    from training.tracking import opened

    console = Console()
    with opened(config.name, tensorboard, mlflow) as logs, TrainingProgress(console) as progress:

        def observe(epoch: Epoch) -> None:
            progress.epoch(epoch)
            logs.epoch(epoch)

        outcome = run(config, observe, lambda splits: show(console, splits))
        logs.published(outcome.metadata, outcome.path)
    console.print(describe_model(outcome.metadata))
    for number, fit in enumerate(outcome.fits, 1):
        who = f"member {number}: " if len(outcome.fits) > 1 else ""
        pace = fit.seconds_per_epoch
        console.print(f"{who}{len(fit.epochs)} epochs, best {fit.best}, {pace:.2f} s per epoch")
        for warning in fit.warnings:
            console.print(f"warning: {who}{warning}", soft_wrap=True)
    for warning in logs.warnings:
        console.print(f"warning: {warning}", soft_wrap=True)
    for metric, value in outcome.metadata.metrics.items():
        console.print(f"{metric.replace('_', ' ')}: {value:.4f}")
    if config.report:
        console.print(f"report {outcome.path.with_name(REPORT)}", soft_wrap=True)
    console.print(f"published {outcome.path}", soft_wrap=True)


def _require_extra() -> None:
    extras.require("train,cpu", "onnxscript", "torch")
