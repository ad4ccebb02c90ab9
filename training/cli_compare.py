"""`foldserve compare`: translation from flags to a grid of trials, and a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from training import data_flags as flags
from training import loop_flags, model_flags
from training.config import RunConfig
from training.errors import ConfigError

Rates = Annotated[
    str | None, typer.Option(help="learning rates to try: a,b,… [0.0005,0.002,0.005,0.02]", metavar="RATES")
]
Seeds = Annotated[int, typer.Option(help="runs of each setting, paired by seed")]
Output = Annotated[Path, typer.Option("-o", "--output", help="the page")]


def compare(
    data: flags.Data = None,
    target: flags.Target = None,
    dataset: flags.Dataset = None,
    seeds: Seeds = 5,
    rates: Rates = None,
    output: Output = Path("compare.html"),
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
    validation: flags.Validation = 0.15,
    test_share: flags.TestShare = None,
    split_seed: flags.SplitSeed = None,
    encoding: model_flags.Encoding = None,
    hidden: model_flags.Hidden = None,
    activation: model_flags.Activation = None,
    residual: model_flags.Residual = None,
    initialisation: model_flags.Initialisation = None,
    dropout: model_flags.Dropout = None,
    log_target: model_flags.LogTarget = False,
    epochs: loop_flags.Epochs = None,
    batch_size: loop_flags.BatchSize = None,
    weight_decay: loop_flags.WeightDecay = None,
    optimizer: loop_flags.Optimizer = None,
    schedule: loop_flags.Schedule = None,
    warm_up: loop_flags.WarmUp = None,
    ema: loop_flags.Ema = None,
    mixup: loop_flags.Mixup = None,
    clip: loop_flags.Clip = None,
    class_weight: loop_flags.ClassWeight = None,
    spike_guard: loop_flags.SpikeGuard = True,
    threads: loop_flags.Threads = None,
    device: loop_flags.Device = None,
    seed: loop_flags.Seed = 0,
) -> None:
    """Train with and without Batch Normalization under one budget, and say whether it helps here."""
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
            validation=validation,
            test_share=test_share,
            split_seed=split_seed,
        ),
        "compare",
        model_flags.model_fields(
            encoding=encoding,
            hidden=hidden,
            activation=activation,
            residual=residual,
            initialisation=initialisation,
            dropout=dropout,
            log_target=log_target,
        ),
        loop_flags.loop_fields(
            epochs=epochs,
            batch_size=batch_size,
            weight_decay=weight_decay,
            seed=seed,
            optimizer=optimizer,
            schedule=schedule,
            warm_up=warm_up,
            ema=ema,
            mixup=mixup,
            clip=clip,
            class_weight=class_weight,
            spike_guard=spike_guard,
            threads=threads,
            device=device,
        ),
    )
    _run(config, seeds, rates, output)


def _run(config: RunConfig, seeds: int, rates: str | None, output: Path) -> None:
    _require_extra()
    from rich.console import Console

    from training.comparison import RATES, Grid, Summary, compare, page, pictures, table
    from training.progress import TrialsProgress

    pictures.require_matplotlib()
    _check_writable(output)
    grid = Grid(RATES if rates is None else _rates(rates), seeds)
    console = Console()
    with TrialsProgress(console, len(grid)) as progress:
        comparison = compare(config, grid, progress.trial)
    summary = Summary.of(comparison)
    console.print(
        f"{comparison.source} → {comparison.target}: {len(comparison.runs)} runs of {comparison.steps:,} "
        f"steps, {len(comparison.diverged)} diverged, {comparison.seconds:.0f} s\n",
        soft_wrap=True,
        highlight=False,
    )
    console.print(table.show(summary), highlight=False)
    page.write(summary, output)
    console.print(f"\npage: {output}", soft_wrap=True, highlight=False)


def _rates(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(rate) for rate in text.split(",") if rate.strip())
    except ValueError as error:
        raise ConfigError(f"--rates is {text!r}, expected rates such as 0.0005,0.005") from error


def _require_extra() -> None:
    try:
        import scipy  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise ConfigError(f"{error.name} is not installed: pip install 'foldserve[train,cpu]'") from error


def _check_writable(path: Path) -> None:
    """Before minutes are spent on what could not be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--output is {str(path)!r}, expected a file in a folder that exists")
