"""What folding the input's shift costs, against which baseline: the figures of docs/decisions.md.

    python benchmarks/certificate.py [--seeds 3]

For each embedded data set: the amp of the whole forward fold, and the ratio of mean row errors to the
unfolded float32 model, with the shift folded and with one Sub kept, and, for the latter, with PyTorch's
float32 as the baseline instead of onnxruntime's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from service.metadata import row_errors
from training.certify import EPS, HeldOut, Truth, run_file
from training.config import DataConfig, LoopConfig, RunConfig
from training.data import Splits, load
from training.export import export
from training.pipeline import fold_completely, train
from training.tables import EMBEDDED


def measure(dataset: str, seed: int, scratch: Path) -> tuple[float, ...]:
    """Amp, ratio folded whole, with a Sub kept, the same against PyTorch, float32's own error in eps."""
    config = RunConfig(DataConfig(dataset), dataset, loop=LoopConfig(seed=seed, epochs=40))
    splits = load(config.data, seed)
    predictor = train(splits, config).predictor
    _export(predictor, splits, scratch)
    truth = Truth.of(predictor, HeldOut.of(splits.test.X, seed), scratch)
    with torch.no_grad():
        by_torch = predictor(torch.from_numpy(truth.held_out.rows)).numpy()
    whole = fold_completely(predictor, len(splits.features))
    kept = fold_completely(predictor, len(splits.features), 0.0)
    amp = next(entry.amp for entry in whole.report.entries if entry.amp is not None)
    folded, split = (_outputs(fold.module, splits, truth, scratch) for fold in (whole, kept))
    plain = _error(truth.float32, truth)
    ratios = (_error(folded, truth) / plain, _error(split, truth) / plain)
    return (amp, *ratios, _error(split, truth) / _error(by_torch, truth), plain / EPS)


def _export(module: nn.Module, splits: Splits, scratch: Path) -> None:
    onnx.save(export(module, len(splits.features), splits.task), scratch)


def _outputs(module: nn.Module, splits: Splits, truth: Truth, scratch: Path) -> NDArray[np.float32]:
    _export(module, splits, scratch)
    return run_file(scratch, truth.held_out.rows)


def _error(outputs: NDArray[np.float32], truth: Truth) -> float:
    return float(row_errors(outputs, truth.exact).mean())


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[sys.argv.index("--seeds") + 1]) if "--seeds" in sys.argv else 3
    table = Table(
        "data", "seed", "amp", "ratio, folded whole", "ratio, Sub kept", "… ÷ PyTorch", "float32, eps"
    )
    with tempfile.TemporaryDirectory() as folder:
        for dataset in EMBEDDED:
            for seed in range(seeds):
                figures = measure(dataset, seed, Path(folder) / "model.onnx")
                table.add_row(dataset, str(seed), *(f"{figure:.2f}" for figure in figures))
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
