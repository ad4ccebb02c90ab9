"""Tests of the bar over predicted rows: on a terminal, and only there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from rich.console import Console

from service.offline import predict_file
from service.progress import rows_progress
from tests.processes import run

MODEL = Path(__file__).parents[2] / "models" / "diabetes" / "1" / "model.onnx"


def rows(folder: Path, count: int) -> Path:
    np.savez(folder / "rows.npz", X=np.zeros((count, 10), np.float32))
    return folder / "rows.npz"


def test_every_chunk_of_rows_is_told(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    predict_file(MODEL, rows(tmp_path, 20_000), lambda done, of: told.append((done, of)))
    assert told == [(8192, 20_000), (16_384, 20_000), (20_000, 20_000)]


def test_a_terminal_shows_rows_their_pace_and_the_time_left() -> None:
    screen = io.StringIO()
    with rows_progress(Console(file=screen, force_terminal=True, width=120)) as observe:
        for done in (8192, 16_384, 20_000):
            observe(done, 20_000)
    shown = screen.getvalue()
    assert "predicting" in shown
    assert "20000/20000" in shown
    assert "rows/s" in shown


def test_elsewhere_nothing_is_shown() -> None:
    screen = io.StringIO()
    with rows_progress(Console(file=screen)) as observe:
        observe(1, 2)
    assert screen.getvalue() == ""


def test_the_command_says_nothing_beside_its_predictions(tmp_path: Path) -> None:
    ended = run("predict", MODEL, rows(tmp_path, 9000))
    assert ended.returncode == 0
    assert ended.stderr == ""
    assert len(ended.stdout.splitlines()) == 9001
