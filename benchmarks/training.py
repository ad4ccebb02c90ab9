"""Seconds per epoch and per step, beside other ways to train the same network.

    python benchmarks/training.py [--rounds N] [--threads T] [--clock wall|cpu] [--data FOLDER]

Fashion-MNIST, 784 → 256 → 128 → 10 with Batch Normalization, batches of 256: this project's loop, the bare
matrix products of the same epoch, a DataLoader loop, PyTorch Lightning, skorch and scikit-learn's
MLPClassifier. Then 2 × 208 on a table of 13,209 rows, per step, beside a DataLoader loop that sees the same
rows in the same order. Each lives in a process of its own, and Lightning and skorch in environments made on
first use from benchmarks/peers. Every way has the same number of threads, whichever library they belong to.
Where these are as many as cores, this project's loop gives each one of its own (training/loop/placement.py),
and so do the bare products, which are to be the ceiling. Epochs alternate in
several rounds and medians are compared, so that whatever else the machine does hits all alike; a process
that waits for its turn costs nothing. On a machine that is never quiet, `--clock cpu` counts seconds of the
processor, with one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks import section  # noqa: E402
from benchmarks.serving_peers import CannotRun, Peer  # noqa: E402

WORKER = ROOT / "peers" / "training_worker.py"
OURS, BARE, OURS_BF16 = "foldserve", "bare matrix products", "foldserve, --precision bf16"
STEPS_OURS, STEPS_LOADER = "foldserve, per step", "DataLoader + default AdamW, per step"
STEPS_FUSED = "DataLoader + fused AdamW, per step"


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes:
        requirements: the file of its environment; None for this project's own.
        goal: how many times as long as ours it is to take, at least.
    """

    name: str
    worker: str
    requirements: str | None = None
    goal: float | None = None

    def python(self) -> Path:
        """Its interpreter, whose environment is made on first use."""
        return Peer(self.name, self.requirements, lambda *_: []).python()


EPOCHS = (
    Way(BARE, "bare"),
    Way(OURS, "foldserve"),
    Way(OURS_BF16, "foldserve_bf16"),
    Way("DataLoader loop", "loader"),
    Way("PyTorch Lightning", "lightning", "lightning.txt", 1.4),
    Way("skorch", "skorch", "skorch.txt", 2.0),
    Way("scikit-learn, no BN, float64 as in its example on MNIST", "sklearn", None, 3.0),
    Way("scikit-learn, no BN, float32", "sklearn_float32"),
)
STEPS = (
    Way(STEPS_OURS, "steps_foldserve"),
    Way(STEPS_LOADER, "steps_loader", None, 2.5),
    Way(STEPS_FUSED, "steps_loader_fused"),
)


class Running:
    """A started worker, which trains one epoch when it is told to."""

    def __init__(self, way: Way, table: Path, threads: int, clock: str) -> None:
        self.way = way
        command = [str(way.python()), str(WORKER), way.worker, str(table), str(threads), clock]
        environment = os.environ | {"PYTHONPATH": str(ROOT.parent), "PYTHONWARNINGS": "ignore"}
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answer()

    def epoch(self) -> dict[str, float]:
        """Train one; what it took."""
        assert self.process.stdin is not None
        self.process.stdin.write("epoch\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, float]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                answer: dict[str, float] = json.loads(line)
                return answer
        tail = self.process.stderr.read().strip().splitlines()[-1:]
        raise CannotRun(f"{self.way.name} ended: {' '.join(tail)[:200]}")

    def end(self) -> None:
        """Let it go."""
        self.process.kill()
        self.process.communicate()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--data", type=Path, default=ROOT.parent.parent / "shared" / "data")
    parser.add_argument("--output", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    if given.clock == "cpu" and given.threads > 1:
        parser.error("--clock cpu adds up the seconds of all threads: give --threads 1")
    with tempfile.TemporaryDirectory() as folder:
        fashion, table = Path(folder) / "fashion.npz", Path(folder) / "table.npz"
        _fashion(given.data, fashion)
        _table(table)
        epochs = measure(EPOCHS, fashion, given.rounds, given.threads, given.clock)
        steps = measure(STEPS, table, 3 * given.rounds, given.threads, given.clock)
    report = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} CPUs",
        "threads": given.threads,
        "clock": given.clock,
        "rounds": given.rounds,
        "epochs": epochs,
        "steps": steps,
    }
    given.output.mkdir(exist_ok=True)
    name = f"training-speed-{given.threads}"
    (given.output / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    text = as_markdown(report)
    (given.output / f"{name}.md").write_text(text)
    _into_docs(given.output)
    print(text)


def _into_docs(results: Path) -> None:
    """The tables of all numbers of threads."""
    tables = "\n".join(path.read_text() for path in sorted(results.glob("training-speed-*.md")))
    section.write("performance.md", "bench-training-speed", tables)


def _fashion(folder: Path, path: Path) -> None:
    """The training rows, standardised."""
    source = folder / "fashion-mnist" / "train.npz"
    if not source.exists():
        sys.exit(f"{source} is not there: name the folder of the data sets with --data")
    with np.load(source) as found:
        X = found["X"].reshape(len(found["X"]), -1).astype(np.float32)
        y = found["y"].astype(np.int64)
    np.savez(path, X=(X - X.mean()) / X.std(), y=y)


def _table(path: Path) -> None:
    """As many rows and columns as California housing has for training."""
    draws = np.random.default_rng(0)
    X = draws.normal(size=(13_209, 8)).astype(np.float32)
    y = (X[:, 0] * X[:, 1] + draws.normal(size=len(X))).astype(np.float32)
    np.savez(path, X=X, y=y)


def measure(
    ways: tuple[Way, ...], table: Path, rounds: int, threads: int, clock: str
) -> dict[str, dict[str, object]]:
    """Every way's epochs, alternating; the first of each is not counted."""
    found: dict[str, list[dict[str, float]]] = {}
    left_out: dict[str, str] = {}
    with ExitStack() as stack:
        running = []
        for way in ways:
            try:
                running.append(Running(way, table, threads, clock))
                stack.callback(running[-1].end)
            except CannotRun as reason:
                left_out[way.name] = str(reason)
        for number in range(rounds + 1):
            for worker in list(running):
                try:
                    answer = worker.epoch()
                except CannotRun as reason:
                    left_out[worker.way.name] = str(reason)
                    running.remove(worker)
                    continue
                print(f"{number}/{rounds} {worker.way.name}: {answer['seconds']:.3f} s", file=sys.stderr)
                found.setdefault(worker.way.name, []).append(answer)
    ours = found[OURS if OURS in found else STEPS_OURS]
    whole = {name: answers for name, answers in found.items() if name not in left_out}
    results = {name: _summary(answers, ours) for name, answers in whole.items()}
    for name, answers in whole.items():
        if OURS_BF16 in whole:
            results[name]["ratio_bf16"] = _ratio(answers, whole[OURS_BF16])
    missing: dict[str, dict[str, object]] = {name: {"left_out": why} for name, why in left_out.items()}
    return results | missing


def _ratio(answers: list[dict[str, float]], ours: list[dict[str, float]]) -> float:
    """Each epoch beside ours of the same round: what disturbs the machine for a while disturbs both."""
    return statistics.median(a["seconds"] / b["seconds"] for a, b in zip(answers[1:], ours[1:], strict=True))


def _summary(answers: list[dict[str, float]], ours: list[dict[str, float]]) -> dict[str, object]:
    seconds = [answer["seconds"] for answer in answers[1:]]
    summary: dict[str, object] = {
        "seconds": statistics.median(seconds),
        "least": min(seconds),
        "most": max(seconds),
        "ratio": _ratio(answers, ours),
    }
    if "validated" in answers[0]:
        summary["validated"] = statistics.median(answer["validated"] for answer in answers[1:])
    if "loss" in answers[0]:
        summary["same_losses"] = [a["loss"] for a in answers] == [b["loss"] for b in ours]
        summary["largest_difference"] = max(
            abs(a["loss"] / b["loss"] - 1) for a, b in zip(answers, ours, strict=True)
        )
    return summary


def as_markdown(report: dict[str, object]) -> str:
    """Both tables, with the goals."""
    epochs, steps = report["epochs"], report["steps"]
    assert isinstance(epochs, dict)
    assert isinstance(steps, dict)
    threads = "one thread" if report["threads"] == 1 else f"{report['threads']} threads"
    head = (
        f"{report['machine']}, {threads}, medians of {report['rounds']} alternating rounds, {report['when']}."
    )
    columns = "| Fashion-MNIST | seconds per epoch | × ours | goal | | × ours in bf16 | |"
    lines = [head, "", columns, "|---|---|---|---|---|---|---|"]
    lines += [f"{_line(way, epochs[way.name], 1.0, epochs)}{_bf16(way, epochs)}" for way in EPOCHS]
    ours = epochs[OURS]
    lines += [
        "",
        f"With validation on 10,000 rows and exact statistics: {ours['validated']:.3f} s per epoch.",
        "",
    ]
    lines += ["| 2 × 208 | ms per step | × ours | goal | | losses |", "|---|---|---|---|---|---|"]
    for way in STEPS:
        found = steps[way.name]
        same = "the same bits" if found.get("same_losses") else f"differ by {found['largest_difference']:.0e}"
        lines.append(f"{_line(way, found, 1000 / 52, epochs)} {same} |")
    return "\n".join(lines) + "\n"


def _bf16(way: Way, epochs: dict[str, dict[str, float]]) -> str:
    """Two more cells: beside this project's loop in bfloat16, and whether that meets the goal."""
    ratio = epochs[way.name].get("ratio_bf16")
    if ratio is None:
        return " | |"
    times = 1 / epochs[BARE]["ratio_bf16"]
    if way.name == OURS_BF16:
        return f" 1.00 | {times:.2f} × the products |"
    met = "" if way.goal is None else "met" if ratio >= way.goal else "not met"
    return f" {ratio:.2f} | {met} |"


def _line(way: Way, found: dict[str, float], scale: float, epochs: dict[str, dict[str, float]]) -> str:
    if "left_out" in found:
        return f"| {way.name} | left out: {found['left_out']} | | | |"
    goal, met = "", ""
    if way.name == OURS:
        times = 1 / epochs[BARE]["ratio"]
        goal, met = "≤ 1.25 × the products", f"{times:.2f} × ({'met' if times <= 1.25 else 'not met'})"
    elif way.goal is not None:
        goal, met = f"≥ {way.goal:g}", "met" if found["ratio"] >= way.goal else "not met"
    spread = f"{found['least'] * scale:.3f}–{found['most'] * scale:.3f}"
    return (
        f"| {way.name} | {found['seconds'] * scale:.3f} ({spread}) | {found['ratio']:.2f} | {goal} | {met} |"
    )


if __name__ == "__main__":
    main()
