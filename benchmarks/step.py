"""Where the time of one training step goes, in microseconds, part by part.

    python benchmarks/step.py [--threads T] [--seconds S]

The networks of benchmarks/training.py, on drawn rows. The parts are timed in place, within whole steps, and
the clock itself adds about 1 µs to each call. The bare matrix products of the same steps alternate with them.
Of all steps the quickest quarter counts, as what disturbs the machine only adds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks import section  # noqa: E402
from training.config import LoopConfig, ModelConfig, Task  # noqa: E402
from training.loop import Rows, products, stack, steps  # noqa: E402
from training.loop.losses import Loss  # noqa: E402
from training.loop.optimisers import Optimiser  # noqa: E402
from training.loop.schedules import SCHEDULES  # noqa: E402
from training.loop.snapshots import Snapshots  # noqa: E402
from training.loop.spikes import SpikeGuard  # noqa: E402
from training.model import build_core  # noqa: E402

BATCH, AT_ONCE = 256, 16
WHOLE, BARE = "**the whole step**", "**the bare matrix products**"
PARTS: tuple[tuple[str, Any, tuple[str, ...]], ...] = (
    ("gathering rows", Rows, ("take", "slice")),
    ("linear layers, forward and backward", products.Linear, ("forward", "backward")),
    ("Batch Normalization", stack._BatchNorm, ("forward", "backward")),
    ("activations", stack._Relu, ("forward", "backward")),
    ("the loss and its gradient", Loss, ("with_gradient",)),
    ("the gradient's length", steps, ("length",)),
    ("the guard", SpikeGuard, ("judge",)),
    ("AdamW", Optimiser, ("step",)),
    ("snapshots", Snapshots, ("after_step",)),
)
Times = dict[str, float]


def main() -> None:
    """Measure both networks, print, write into the docs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    taken: Times = defaultdict(float)
    for name, owner, methods in PARTS:
        for method in methods:
            setattr(owner, method, _timed(getattr(owner, method), name, taken))
    fashion = measure(60_000, (784, 256, 128, 10), "classification", taken, given.seconds)
    table = measure(13_209, (8, 208, 208, 1), "regression", taken, given.seconds)
    text = as_markdown(fashion, table)
    section.write("performance.md", "bench-step", text)
    print(text)


def _timed(call: Callable[..., Any], name: str, taken: Times) -> Callable[..., Any]:
    def timed(*given: Any, **named: Any) -> Any:
        start = time.perf_counter()
        result = call(*given, **named)
        taken[name] += time.perf_counter() - start
        return result

    return timed


def measure(rows: int, widths: tuple[int, ...], task: Task, taken: Times, seconds: float) -> Times:
    """Microseconds per step of each part, of the whole and of the bare products."""
    draws = np.random.default_rng(0)
    X = torch.from_numpy(draws.standard_normal((rows, widths[0]), dtype=np.float32))
    y = torch.randint(widths[-1], (rows,)) if widths[-1] > 1 else torch.randn(rows, 1)
    config = LoopConfig(learning_rate=1e-3, batch_size=BATCH)
    model = ModelConfig(hidden=widths[1:-1], dropout=0.0)
    network = build_core(model, widths[0], widths[-1], torch.Generator().manual_seed(0))
    schedule = SCHEDULES["constant"](10**6, 0.0)
    stepper = steps.Stepper(network, Loss.of(task, config), schedule, config, BATCH)
    products = _products(X, widths)
    found: list[Times] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        some = torch.randint(rows, (BATCH * AT_ONCE,))
        part = Rows((X,), y)
        taken.clear()
        start = time.perf_counter()
        # An epoch over as many rows as the permutation names.
        stepper.epoch(_Few(part, len(some)), some)
        middle = time.perf_counter()
        products()
        whole = {WHOLE: middle - start, BARE: time.perf_counter() - middle}
        found.append(dict(taken) | whole)
    quick = sorted(found[2:], key=lambda times: times[WHOLE])[: len(found) // 4]
    own = {name: 1e6 / AT_ONCE * float(np.mean([t.get(name, 0.0) for t in quick])) for name in found[-1]}
    return own | {BARE: 1e6 / AT_ONCE * float(np.quantile([t[BARE] for t in found], 0.125))}


class _Few(Rows):
    """All rows to take from, of which a pass takes a few."""

    def __init__(self, rows: Rows, count: int) -> None:
        vars(self).update(vars(rows), count=count)

    def __len__(self) -> int:
        return int(vars(self)["count"])


def _products(X: torch.Tensor, widths: tuple[int, ...]) -> Callable[[], None]:
    pairs = list(pairwise(widths))
    weights = [torch.randn(out, into) for into, out in pairs]
    inner = [torch.randn(BATCH, into) for into, _ in pairs[1:]]
    back = [torch.randn(BATCH, out) for _, out in pairs]

    def run() -> None:
        for batch in X[: BATCH * AT_ONCE].split(BATCH):
            for values, weight, gradient in zip([batch, *inner], weights, back, strict=True):
                torch.mm(values, weight.t())
                torch.mm(gradient.t(), values)
                if values is not batch:
                    torch.mm(gradient, weight)

    return run


def as_markdown(fashion: Times, table: Times) -> str:
    """One row per part."""
    names = [name for name, *_ in PARTS]
    others = [found[WHOLE] - sum(found.get(name, 0.0) for name in names) for found in (fashion, table)]
    lines = ["| part, µs | 784-256-128-10, classes | 8-208-208-1, a number |", "|---|---|---|"]
    lines += [f"| {name} | {fashion.get(name, 0):.0f} | {table.get(name, 0):.0f} |" for name in names]
    lines += [f"| everything else | {others[0]:.0f} | {others[1]:.0f} |"]
    lines += [f"| {name} | {fashion[name]:.0f} | {table[name]:.0f} |" for name in (WHOLE, BARE)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
