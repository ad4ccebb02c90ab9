"""`foldserve compare`: translation from flags to a grid of trials, and a progress bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from training import data_flags, extras, loop_flags, model_flags
from training.config import RunConfig
from training.errors import ConfigError
from training.flags import Flags, taking
from training.run_flags import run_config

Rates = Annotated[
    str | None, typer.Option(help="learning rates to try: a,b,… [0.0005,0.002,0.005,0.02]", metavar="RATES")
]
Seeds = Annotated[int, typer.Option(help="runs of each setting, paired by seed")]
Output = Annotated[Path, typer.Option("-o", "--output", help="the page")]


_OWN: Flags = {"seeds": (Seeds, 5), "rates": (Rates, None), "output": (Output, Path("compare.html"))}

_OF_MODEL = ("encoding", "hidden", "activation", "residual", "initialisation", "dropout", "log_target")
_OF_LOOP = (
    *("epochs", "batch_size", "weight_decay", "optimizer", "schedule", "warm_up", "ema", "mixup", "clip"),
    *("class_weight", "spike_guard", "threads", "device", "seed"),
)
"""What both sides share: nothing that the grid varies or that belongs to the norms."""


@taking(
    data_flags.FLAGS,
    _OWN,
    {name: model_flags.FLAGS[name] for name in _OF_MODEL},
    {name: loop_flags.FLAGS[name] for name in _OF_LOOP},
)
def compare(*, seeds: int, rates: str | None, output: Path, **given: Any) -> None:
    """Train with and without Batch Normalization under one budget, and say whether it helps here."""
    _run(run_config(given | {"name": "compare"}), seeds, rates, output)


def _run(config: RunConfig, seeds: int, rates: str | None, output: Path) -> None:
    _require_extra()
    from rich.console import Console

    from training.comparison import RATES, Grid, Summary, compare, page, table
    from training.progress import TrialsProgress

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
    extras.require("compare,train,cpu", "scipy", "torch", "matplotlib.figure")


def _check_writable(path: Path) -> None:
    """Before minutes are spent on what could not be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"--output is {str(path)!r}, expected a file in a folder that exists")
