"""What exact statistics change, beside running averages: figures of docs/training.md.

    python benchmarks/exact_statistics.py [--seeds 3] [--data ../shared/data]

Plain standardisation, no average of the weights, 20 epochs. The first table is of whole runs: each keeps
its best epoch, by its own validation scores. The second is of the weights of the last epoch, the same for all
three (which is checked), so that nothing differs but the statistics.

Of California there are two tables: the columns as they are in the file, and ratios per household in the place
of totals, which have longer tails.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import section
from benchmarks.table_files import config_of
from training.config import DataConfig, RunConfig
from training.data import load
from training.defaults import recipe_for
from training.loop import Rows, Watch, fit
from training.loop.evaluation import predict
from training.pipeline import train
from training.preparation import Preparation
from training.statistics import reestimate_exactly

HERE = Path(__file__).resolve().parent

AVERAGES = {"momentum 0.1": 0.1, "momentum 0.01": 0.01}
"""TensorFlow's momentum of 0.99 is PyTorch's 0.01, which is ours."""

Values = dict[str, float]


@dataclass(frozen=True)
class Case:
    """A table, its metric, and what is not as usual in the loop."""

    name: str
    config: DataConfig
    metric: str = "rmse"
    scale: float = 1e-5
    loop: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)

    def run(self, seed: int, momentum: float | None) -> RunConfig:
        """With running averages of this momentum, or exact statistics."""
        model = {"encoding": "standard", **self.model, **({} if momentum is None else {"momentum": momentum})}
        usual = {"epochs": 20, "ema": 0.0, "mixup": 0.0, "threads": 1, "patience": None, "seed": seed}
        return RunConfig(
            self.config, "statistics", model, {**usual, "exact_statistics": momentum is None, **self.loop}
        )


def kept(case: Case, seed: int) -> Values:
    """Test scores of three runs, each with the epoch that it thinks best."""
    splits = load(case.config, seed)
    return {
        way: case.scale * train(splits, case.run(seed, momentum)).metrics[f"test_{case.metric}"]
        for way, momentum in {"exact": None, **AVERAGES}.items()
    }


def last(case: Case, seed: int) -> Values:
    """Test errors of the weights of the last epoch, with three kinds of statistics."""
    splits, found, weights = load(case.config, seed), Values(), list[torch.Tensor]()
    for way, momentum in AVERAGES.items():
        recipe = recipe_for(case.run(seed, momentum), splits)
        preparation = Preparation.of(splits, recipe)
        rows = [preparation.rows(split, splits) for split in (splits.train, splits.validation, splits.test)]
        seen: list[nn.Module] = []
        watch = Watch(1 << 40, lambda _, network, seen=seen: seen.append(network))
        fit(preparation.network(recipe.model, splits, seed), *rows[:2], splits.task, recipe.loop, watch=watch)
        assert preparation.target is not None
        error = partial(_error, rows[2], case.scale * float(preparation.target.deviation))
        found[way] = error(seen[-1])
        reestimate_exactly(seen[-1], rows[0].inputs)
        found["exact"] = error(seen[-1])
        mine = [parameter.detach() for parameter in seen[-1].parameters()]
        assert all(map(torch.equal, weights or mine, mine)), "the weights differ"
        weights = mine
    return found


@torch.no_grad()
def _error(rows: Rows, unit: float, network: nn.Module) -> float:
    answers = predict(network.eval(), rows.inputs)[:, 0].double()
    return unit * math.sqrt(float((answers - rows.y.double()).square().mean()))


def ratios(data: Path, work: Path) -> DataConfig:
    """California with the ratios per household in place of the totals."""
    made = []
    config = config_of("california", data, work, validation=0.2)
    for source in (config.source, config.test):
        assert isinstance(source, Path)
        frame, households = pl.read_csv(source), pl.col("households")
        frame = frame.with_columns(
            (pl.col("total_rooms") / households).alias("rooms"),
            (pl.col("total_bedrooms") / households).alias("bedrooms"),
            (pl.col("population") / households).alias("persons"),
        ).drop("total_rooms", "total_bedrooms", "households")
        made.append(source.with_name(f"ratios-{source.name}"))
        frame.write_csv(made[-1])
    return DataConfig(made[0], config.target, made[1], validation=0.2)


def rows(heading: str, cases: list[Case], score: Callable[[Case, int], Values], seeds: int) -> Iterator[str]:
    """A table, line by line."""
    yield f"| {heading} | exact | momentum 0.1 | momentum 0.01 | exact gains |"
    yield "|---|---|---|---|---|"
    for case in cases:
        runs = [score(case, seed) for seed in range(seeds)]
        found = {way: np.array([run[way] for run in runs]) for way in ("exact", *AVERAGES)}
        cells = [f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" for values in found.values()]
        exact, *others = (values.mean() for values in found.values())
        sign = -1 if case.metric == "accuracy" else 1
        gains = ", ".join(f"{sign * (1 - exact / other):.1%}" for other in others)
        yield f"| {case.name} | {' | '.join(cells)} | {gains} |"


def tables(seeds: int, data: Path, work: Path) -> Iterator[str]:
    """Both tables."""
    plain, tails = config_of("california", data, work, validation=0.2), ratios(data, work)
    adult, diamonds = (config_of(name, data, work) for name in ("adult", "diamonds"))
    whole = [
        Case("California, as it is", plain),
        Case("California, ratios per household", tails),
        Case("Adult, accuracy", adult, "accuracy", 1.0),
        Case("Diamonds, log price", diamonds, "log_rmse", 1.0, model={"log_target": True}),
    ]
    yield from rows("run, best epoch", whole, kept, seeds)
    yield ""
    constant: dict[str, Any] = {"schedule": "constant"}
    weights = [
        Case("as it is, rate falls to 0", plain),
        Case("as it is, constant rate", plain, loop=constant),
        Case("ratios, rate falls to 0", tails),
        Case("ratios, constant rate", tails, loop=constant),
        Case("ratios, constant rate, batches of 64", tails, loop={**constant, "batch_size": 64}),
    ]
    yield from rows("California, weights of the last epoch", weights, last, seeds)


def main() -> None:
    """Print the tables, and put them into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    given = parser.parse_args()
    work = HERE / ".tables"
    work.mkdir(exist_ok=True)
    text = []
    for line in tables(given.seeds, given.data, work):
        print(line, flush=True)
        text.append(line)
    note = f"Test RMSE, of California in 100,000 $, mean ± deviation of {given.seeds} seeds."
    section.write("training.md", "bench-statistics", "\n".join([*text, "", note]))


if __name__ == "__main__":
    main()
