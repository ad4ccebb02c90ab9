"""What folding the input's shift costs, against which baseline: the figures of docs/decisions.md.

    python benchmarks/certificate.py [--seeds 3]

For each embedded data set: the amp of the whole forward fold, and the ratio of mean row errors to the
unfolded float32 model, with the shift folded and with one Sub kept, and, for the latter, with PyTorch's
float32 as the baseline instead of onnxruntime's.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from itertools import product
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
from training.certify import EPS, Truth, run_file
from training.config import DataConfig, RunConfig
from training.data import load
from training.export import export
from training.held_out import HeldOut
from training.pipeline import fold_completely, train
from training.predictor import Predictor, output_task
from training.tables import EMBEDDED

MODEL = {"hidden": (256, 128), "encoding": "standard", "dropout": 0.1}


def measure(dataset: str, seed: int, scratch: Path) -> tuple[float, ...]:
    """Amp, ratio folded whole, with a Sub kept, the same against PyTorch, float32's own error in eps."""
    config = RunConfig(DataConfig(dataset), dataset, MODEL, {"seed": seed, "epochs": 40})
    splits = load(config.data, seed)
    predictor = train(splits, config).predictor
    _export(predictor, scratch)
    truth = Truth.of(predictor, HeldOut.of(splits, seed), scratch)
    with torch.no_grad():
        by_torch = predictor(*truth.held_out.tensors()).numpy()
    whole, kept = fold_completely(predictor), fold_completely(predictor, 0.0)
    amp = next(entry.amp for entry in whole.report.entries if entry.amp is not None)
    folded, split = (_outputs(fold.module, truth, scratch) for fold in (whole, kept))
    plain = _error(truth.float32, truth)
    ratios = (_error(folded, truth) / plain, _error(split, truth) / plain)
    return (amp, *ratios, _error(split, truth) / _error(by_torch, truth), plain / EPS)


def _export(predictor: Predictor, scratch: Path) -> None:
    onnx.save(export(predictor, output_task(predictor)), scratch)


def _outputs(folded: nn.Module, truth: Truth, scratch: Path) -> NDArray[np.float32]:
    # The task of the unfolded one: a folded network has no layer that tells it.
    onnx.save(export(truth.predictor.with_network(folded), output_task(truth.predictor)), scratch)
    return run_file(scratch, truth.held_out.arrays(texts=True))


def _error(outputs: NDArray[np.float32], truth: Truth) -> float:
    return float(row_errors(outputs, truth.exact).mean())


def chance(dataset: str, encoding: str, networks: int, scratch: Path) -> tuple[float, ...]:
    """Mean, deviation and largest of the ratios of small networks that differ by their seed alone."""
    ratios = []
    for seed in range(networks):
        model = {"hidden": (12, 12), "encoding": encoding}
        config = RunConfig(DataConfig(dataset), dataset, model, {"seed": seed, "epochs": 2})
        splits = load(config.data, 0)
        predictor = train(splits, config).predictor
        _export(predictor, scratch)
        truth = Truth.of(predictor, HeldOut.of(splits, 0), scratch)
        kept = fold_completely(predictor, 0.0)
        ratios.append(_error(_outputs(kept.module, truth, scratch), truth) / _error(truth.float32, truth))
    return float(np.mean(ratios)), float(np.std(ratios)), max(ratios)


def _tables(seeds: int, scratch: Path) -> Iterator[Table]:
    shift = Table(
        "data", "seed", "amp", "ratio, folded whole", "ratio, Sub kept", "… ÷ PyTorch", "float32, eps"
    )
    for dataset in EMBEDDED:
        for seed in range(seeds):
            figures = measure(dataset, seed, scratch)
            shift.add_row(dataset, str(seed), *(f"{figure:.2f}" for figure in figures))
    yield shift
    small = Table("data", "encoding", "networks", "mean ratio", "deviation", "largest")
    for dataset, encoding in product(("wine", "diabetes"), ("standard", "bins-relu")):
        figures = chance(dataset, encoding, 4 * seeds, scratch)
        small.add_row(dataset, encoding, str(4 * seeds), *(f"{figure:.2f}" for figure in figures))
    yield small


def main() -> None:
    """Print the tables: what folding the shift costs, and how much of a ratio is chance."""
    seeds = int(sys.argv[sys.argv.index("--seeds") + 1]) if "--seeds" in sys.argv else 3
    with tempfile.TemporaryDirectory() as folder:
        for table in _tables(seeds, Path(folder) / "model.onnx"):
            Console(width=110).print(table)


if __name__ == "__main__":
    main()
