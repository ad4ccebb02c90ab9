"""How good the defaults are: real tables, default settings, several seeds; the figures of docs/training.md.

    python benchmarks/tables.py [--tables adult,california] [--seeds 5] [--jobs 2] [--data ../shared/data]

Every model is trained as `foldserve train` would with the flags shown, and scored once on test rows that
neither training nor early stopping saw. Results gather in benchmarks/results/tables.json, one per table and
seed, so that a run that was stopped goes on; delete the file to begin again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from benchmarks import section  # noqa: E402

RESULTS = HERE / "results" / "tables.json"
REPORT = HERE / "results" / "tables.md"


@dataclass(frozen=True)
class Line:
    """One line of the report.

    Attributes:
        flags: what is asked for beside the defaults, as a person would type it.
        goal: of the metric; accuracy is to reach it, an error to stay below.
    """

    name: str
    table: str
    metric: str
    goal: float
    flags: str = "none"
    data: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    loop: Mapping[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    ensemble: int = 1

    @property
    def is_error(self) -> bool:
        """Whether less is better."""
        return "rmse" in self.metric

    def is_met(self, value: float) -> bool:
        """Whether the goal is reached."""
        return value <= self.goal if self.is_error else value >= self.goal


LINES = (
    Line("adult", "adult", "accuracy", 0.868),
    Line("california", "california", "rmse", 0.45, "--validation 0.2", {"validation": 0.2}, scale=1e-5),
    Line("diamonds", "diamonds", "log_rmse", 0.132, "--log-target", model={"log_target": True}),
    Line(
        "covertype",
        "covertype",
        "accuracy",
        0.925,
        "--categorical Soil_Type",
        {"categorical": ("Soil_Type",)},
    ),
    Line("fashion-20", "fashion", "accuracy", 0.903),
    Line("fashion-20-bf16", "fashion", "accuracy", 0.903, "--precision bf16", loop={"precision": "bf16"}),
    Line("fashion-50", "fashion", "accuracy", 0.908, "--epochs 50", loop={"epochs": 50}),
    Line("adult-5", "adult", "accuracy", 0.8715, "--ensemble 5", ensemble=5),
    Line(
        "california-5",
        "california",
        "rmse",
        0.433,
        "--validation 0.2 --ensemble 5",
        {"validation": 0.2},
        scale=1e-5,
        ensemble=5,
    ),
    Line(
        "covertype-5",
        "covertype",
        "accuracy",
        0.935,
        "--categorical Soil_Type --ensemble 5",
        {"categorical": ("Soil_Type",)},
        ensemble=5,
    ),
)
BY_NAME = {line.name: line for line in LINES}


def train_once(name: str, seed: int, data: Path, work: Path) -> dict[str, Any]:
    """One model of a line; its scores, its seconds and its epochs."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from benchmarks.table_files import config_of
    from training.config import RunConfig
    from training.data import load
    from training.pipeline import train

    line = BY_NAME[name]
    config = RunConfig(
        config_of(line.table, data, work, **line.data),
        name,
        line.model,
        {**line.loop, "seed": seed},
        ensemble=line.ensemble,
    )
    splits = load(config.data, seed)
    start = time.perf_counter()
    trained = train(splits, config)
    return {
        "metrics": trained.metrics,
        "seconds": time.perf_counter() - start,
        "epochs": max(len(fit.epochs) for fit in trained.fits),
        "best": [fit.best for fit in trained.fits],
        "rows": len(splits.train),
        "revision": _revision(),
    }


def _revision() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=HERE).stdout.strip()


def report(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The table, line by line."""
    heads = ("data", "flags beside `--target`", "goal", "test, mean ± deviation", "seeds")
    yield f"| {' | '.join((*heads, 'validation', 'calibration error'))} |"
    yield "|---|---|---|---|---|---|---|"
    for line in LINES:
        runs = [value for key, value in sorted(results.items()) if key.split("|")[0] == line.name]
        if runs:
            yield _row(line, runs)


def _row(line: Line, runs: list[Mapping[str, Any]]) -> str:
    import numpy as np

    test, held = (
        line.scale * np.array([run["metrics"][f"{rows}_{line.metric}"] for run in runs])
        for rows in ("test", "validation")
    )
    gaps = [run["metrics"].get("test_calibration_error") for run in runs]
    gap = "" if None in gaps else f"{np.mean(gaps):.4f}"
    met = "met" if line.is_met(float(test.mean())) else "not met"
    sign = "≤" if line.is_error else "≥"
    spread = f" ± {test.std(ddof=1):.4f}" if len(test) > 1 else ""
    cells = (
        f"{line.table}, {runs[0]['epochs']} epochs",
        "none" if line.flags == "none" else f"`{line.flags}`",
        f"{sign} {line.goal:g}: {met}",
        f"{test.mean():.4f}{spread}",
        str(len(runs)),
        f"{held.mean():.4f}",
        gap,
    )
    return f"| {' | '.join(cells)} |"


def _times(results: Mapping[str, Mapping[str, Any]]) -> str:
    import numpy as np

    spans = []
    for line in LINES:
        runs = [value for key, value in results.items() if key.split("|")[0] == line.name]
        if runs:
            spans.append(f"{line.name} {np.median([run['seconds'] for run in runs]):.0f} s")
    return "Median seconds per model, with one thread: " + ", ".join(spans) + "."


def _write(results: dict[str, Any]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
    text = "\n".join([*report(results), "", _times(results)]) + "\n"
    REPORT.write_text(text)
    section.write("training.md", "bench-training", text)


def _tell(name: str, seed: int, run: Mapping[str, Any]) -> None:
    line = BY_NAME[name]
    value = line.scale * run["metrics"][f"test_{line.metric}"]
    print(f"{name}, seed {seed}: {value:.4f}, {run['seconds']:.0f} s", flush=True)


def main() -> None:
    """Train what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", default=",".join(BY_NAME))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    given = parser.parse_args()
    results: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    wanted = [(name, seed) for seed in range(given.seeds) for name in given.tables.split(",")]
    missing = [(name, seed) for name, seed in wanted if f"{name}|{seed}" not in results]
    work = HERE / ".tables"
    work.mkdir(exist_ok=True)
    with ProcessPoolExecutor(given.jobs, get_context("spawn")) as pool:
        jobs = {pool.submit(train_once, *key, given.data, work): key for key in missing}
        for job in as_completed(jobs):
            name, seed = jobs[job]
            results[f"{name}|{seed}"] = job.result()
            _write(results)
            _tell(name, seed, job.result())
    _write(results)
    print("\n".join([*report(results), "", _times(results)]))


if __name__ == "__main__":
    main()
