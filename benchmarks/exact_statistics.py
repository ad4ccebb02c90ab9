"""What exact statistics change, beside running averages: figures of docs/training.md.

    python benchmarks/exact_statistics.py [--seeds 3] [--data ../shared/data]

Plain standardisation, no average of the weights, 20 epochs; each run keeps its own best epoch by validation.
Of California there are two tables: the columns as they are in the file, and ratios per household in the place
of totals, which have longer tails.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.table_files import config_of
from training.config import DataConfig, RunConfig
from training.data import load
from training.pipeline import train

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs" / "training.md"
BEGIN, END = "<!-- bench-statistics: begin -->", "<!-- bench-statistics: end -->"

WAYS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "exact": ({}, {}),
    "momentum 0.1": ({"momentum": 0.1}, {"exact_statistics": False}),
    "momentum 0.01": ({"momentum": 0.01}, {"exact_statistics": False}),
}
"""TensorFlow's momentum of 0.99 is PyTorch's 0.01, which is ours."""


def score(config: DataConfig, way: str, seed: int) -> float:
    """The test RMSE of one run."""
    model, loop = WAYS[way]
    run = RunConfig(
        config,
        "statistics",
        {"encoding": "standard", **model},
        {"epochs": 20, "ema": 0.0, "mixup": 0.0, "threads": 1, "seed": seed, **loop},
    )
    return train(load(config, seed), run).metrics["test_rmse"]


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


def rows(seeds: int, data: Path, work: Path) -> Iterator[str]:
    """The table, line by line."""
    yield "| table | exact | momentum 0.1 | momentum 0.01 | exact cuts |"
    yield "|---|---|---|---|---|"
    tables = {
        "California, as it is": config_of("california", data, work, validation=0.2),
        "California, ratios per household": ratios(data, work),
    }
    for name, config in tables.items():
        found = {way: np.array([score(config, way, seed) for seed in range(seeds)]) / 1e5 for way in WAYS}
        cells = [f"{values.mean():.4f} ± {values.std(ddof=1):.4f}" for values in found.values()]
        exact, *others = (values.mean() for values in found.values())
        cuts = ", ".join(f"{1 - exact / other:.1%}" for other in others)
        yield f"| {name} | {' | '.join(cells)} | {cuts} |"


def main() -> None:
    """Print the table, and put it into the documentation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    given = parser.parse_args()
    work = HERE / ".tables"
    work.mkdir(exist_ok=True)
    text = []
    for line in rows(given.seeds, given.data, work):
        print(line, flush=True)
        text.append(line)
    note = f"Test RMSE in 100,000 $, mean ± deviation of {given.seeds} seeds."
    before, _, rest = DOCS.read_text().partition(BEGIN)
    section = "\n".join([BEGIN, "", *text, "", note, "", END])
    DOCS.write_text(f"{before}{section}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
