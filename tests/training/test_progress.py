"""Tests of the bars of fold, train, compare and tune: on a terminal, and only there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import onnx
import pytest
from rich.console import Console

from tests.training.folding.corpus.build import Graph
from training.cli_fold import folding_progress
from training.comparison.trials import Run, Trial
from training.folding.onnx_graph import fold_file
from training.loop import Epoch
from training.progress import TrainingProgress, TrialsProgress
from training.tuning.progress import TuningProgress
from training.tuning.search import Standing

EPOCH = Epoch(1, 2, 0.5, 0.4, 0.9, 0.001)


def consoles() -> tuple[tuple[Console, io.StringIO], tuple[Console, io.StringIO]]:
    """A terminal and a file, with what they were given."""
    screen, file = io.StringIO(), io.StringIO()
    return (Console(file=screen, force_terminal=True, width=120), screen), (Console(file=file), file)


def normalised(folder: Path) -> Path:
    graph = Graph()
    layer = graph.node("Gemm", graph.input("N", 40), graph.weights(40, 40), graph.weights(40))
    graph.output(graph.bn(layer, 40), "N", 40)
    onnx.save(graph.model(), folder / "model.onnx", save_as_external_data=True, size_threshold=0)
    return folder / "model.onnx"


def train_bar(console: Console) -> None:
    with TrainingProgress(console) as bar:
        bar.epoch(EPOCH)


def compare_bar(console: Console) -> None:
    with TrialsProgress(console, 2) as bar:
        bar.trial(Run(Trial(True, "usual", 0.01, 0), (), "it diverged"))


def tune_bar(console: Console) -> None:
    with TuningProgress(console) as bar:
        bar.standing(Standing(1, 3, None, 90.0))
        bar.epoch(EPOCH)


def fold_bar(console: Console) -> None:
    with folding_progress(console) as observe:
        observe("folding", 1, 2)


@pytest.mark.parametrize(
    ("bar", "word"),
    [(train_bar, "score"), (compare_bar, "diverged"), (tune_bar, "1:30 left"), (fold_bar, "folding")],
    ids=["train", "compare", "tune", "fold"],
)
def test_a_terminal_shows_a_bar_and_a_file_nothing(bar: object, word: str) -> None:
    (terminal, screen), (plain, file) = consoles()
    for console in (terminal, plain):
        bar(console)  # type: ignore[operator]
    assert word in screen.getvalue()
    assert file.getvalue() == ""


def test_folding_a_file_tells_of_nodes_and_then_of_tensors_written(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    fold_file(
        normalised(tmp_path),
        tmp_path / "folded" / "model.onnx",
        observe=lambda what, done, of: told.append((what, done, of)),
    )
    folding = [(done, of) for what, done, of in told if what == "folding"]
    writing = [(done, of) for what, done, of in told if what == "writing"]
    assert folding == [(1, 2), (2, 2)]
    assert writing
    assert writing[-1][0] == writing[-1][1]
    assert np.all(np.diff([done for done, _ in writing]) > 0)
