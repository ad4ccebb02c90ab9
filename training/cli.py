"""The training commands of `foldserve`: translation from flags to a `RunConfig`, and a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training import data_flags as flags
from training import loop_flags, model_flags
from training.config import RunConfig
from training.errors import ConfigError


def train(
    data: flags.Data = None,
    target: flags.Target = None,
    dataset: flags.Dataset = None,
    test: flags.Test = None,
    task: flags.TaskName = "auto",
    categorical: flags.Categorical = None,
    numeric: flags.Numeric = None,
    drop: flags.Drop = None,
    missing: flags.Missing = None,
    columns: flags.Columns = None,
    header: flags.Header = None,
    delimiter: flags.Delimiter = None,
    skip_lines: flags.SkipLines = None,
    weight: flags.Weight = None,
    drop_missing_target: flags.DropMissingTarget = False,
    image: flags.Image = None,
    validation: flags.Validation = 0.15,
    test_share: flags.TestShare = None,
    split_seed: flags.SplitSeed = None,
    name: Annotated[str | None, typer.Option(help="the model's name [the file's]")] = None,
    encoding: model_flags.Encoding = None,
    bins: model_flags.Bins = None,
    encoding_rate: model_flags.EncodingRate = None,
    hidden: model_flags.Hidden = None,
    activation: model_flags.Activation = None,
    residual: model_flags.Residual = False,
    initialisation: model_flags.Initialisation = None,
    moments: model_flags.Moments = None,
    epsilon: model_flags.Epsilon = None,
    momentum: model_flags.Momentum = None,
    batch_norm: model_flags.BatchNorm = True,
    dropout: model_flags.Dropout = None,
    log_target: model_flags.LogTarget = False,
    calibrate: model_flags.Calibrate = True,
    epochs: loop_flags.Epochs = None,
    batch_size: loop_flags.BatchSize = None,
    lr: loop_flags.Rate = None,
    weight_decay: loop_flags.WeightDecay = None,
    optimizer: loop_flags.Optimizer = None,
    schedule: loop_flags.Schedule = None,
    warm_up: loop_flags.WarmUp = None,
    ema: loop_flags.Ema = None,
    exact_statistics: loop_flags.ExactStatistics = True,
    mixup: loop_flags.Mixup = None,
    label_smoothing: loop_flags.LabelSmoothing = None,
    clip: loop_flags.Clip = None,
    class_weight: loop_flags.ClassWeight = None,
    loss: loop_flags.RegressionLoss = None,
    spike_guard: loop_flags.SpikeGuard = True,
    threads: loop_flags.Threads = None,
    device: loop_flags.Device = None,
    precision: loop_flags.Precision = None,
    ensemble: loop_flags.Ensemble = 1,
    resume: loop_flags.Resume = False,
    lr_finder: loop_flags.RateFinder = None,
    patience: loop_flags.Patience = None,
    seed: loop_flags.Seed = 0,
    models_dir: Annotated[Path, typer.Option(help="where the model is published")] = Path("models"),
    report: Annotated[bool, typer.Option(help="write report.html and history.csv beside the model")] = True,
) -> None:
    """Train, fold, export, certify and publish a model from a table."""
    config = RunConfig(
        flags.data_config(
            data,
            dataset,
            target=target,
            test=test,
            task=task,
            categorical=categorical,
            numeric=numeric,
            drop=drop,
            missing=missing,
            columns=columns,
            header=header,
            delimiter=delimiter,
            skip_lines=skip_lines,
            weight=weight,
            drop_missing_target=drop_missing_target,
            image=image,
            validation=validation,
            test_share=test_share,
            split_seed=split_seed,
        ),
        name or _name(data, dataset),
        model_flags.model_fields(
            encoding=encoding,
            bins=bins,
            encoding_rate=encoding_rate,
            hidden=hidden,
            activation=activation,
            residual=residual,
            initialisation=initialisation,
            moments=moments,
            epsilon=epsilon,
            momentum=momentum,
            batch_norm=batch_norm,
            dropout=dropout,
            log_target=log_target,
            calibrate=calibrate,
        ),
        loop_flags.loop_fields(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=lr,
            weight_decay=weight_decay,
            patience=patience,
            seed=seed,
            optimizer=optimizer,
            schedule=schedule,
            warm_up=warm_up,
            ema=ema,
            exact_statistics=exact_statistics,
            mixup=mixup,
            label_smoothing=label_smoothing,
            clip=clip,
            class_weight=class_weight,
            loss=loss,
            spike_guard=spike_guard,
            threads=threads,
            device=device,
            precision=precision,
        ),
        models_dir,
        resume,
        ensemble,
        report,
    )
    if lr_finder is None:
        _run(config)
    else:
        _find_rate(config, lr_finder)


def _find_rate(config: RunConfig, path: Path) -> None:
    _require_extra()
    from training.loop import plot
    from training.pipeline import find_rate

    curve = find_rate(config)
    plot(curve, path)
    typer.echo(f"suggested: --lr {curve.suggestion:.1e}; {len(curve.rates)} rates are plotted in {path}")


def _run(config: RunConfig) -> None:
    _require_extra()
    from rich.console import Console

    from service.inspection import describe_model
    from training.pipeline import run
    from training.progress import TrainingProgress
    from training.report import REPORT
    from training.schema_table import show

    console = Console()
    with TrainingProgress(console) as progress:
        outcome = run(config, progress.epoch, lambda splits: show(console, splits))
    console.print(describe_model(outcome.metadata))
    for number, fit in enumerate(outcome.fits, 1):
        who = f"member {number}: " if len(outcome.fits) > 1 else ""
        pace = fit.seconds_per_epoch
        console.print(f"{who}{len(fit.epochs)} epochs, best {fit.best}, {pace:.2f} s per epoch")
        for warning in fit.warnings:
            console.print(f"warning: {who}{warning}", soft_wrap=True)
    for metric, value in outcome.metadata.metrics.items():
        console.print(f"{metric.replace('_', ' ')}: {value:.4f}")
    if config.report:
        console.print(f"report {outcome.path.with_name(REPORT)}", soft_wrap=True)
    console.print(f"published {outcome.path}", soft_wrap=True)


def _require_extra() -> None:
    try:
        import onnxscript  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'foldserve[train,cpu]'") from error


def _name(data: list[Path] | None, dataset: str | None) -> str:
    return dataset or (data[0].name.split(".")[0] if data else "model")
