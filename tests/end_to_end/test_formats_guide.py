"""The commands of docs/formats.md, run as written against the committed diabetes model."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.processes import serve

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "formats.md").read_text()
[ROWS] = re.findall(r"```csv\n(.*?)```", GUIDE, re.DOTALL)
CURLS = [shlex.split(line) for line in re.findall(r"^(curl .*)$", GUIDE, re.MULTILINE)]


def test_every_command_of_the_guide_answers_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text(ROWS)
    monkeypatch.setenv("FOLDSERVE_DEFAULT_MODEL", "diabetes")
    answers = []
    with serve(ROOT / "models") as server:
        for command in CURLS:
            pasted = [word.replace("http://127.0.0.1:8000", server.address) for word in command]
            done = subprocess.run(
                pasted, cwd=tmp_path, capture_output=True, check=True, timeout=20, text=True
            )
            answers.append(done.stdout)
    predictions = json.loads(answers[0])["predictions"]
    assert [float(line) for line in answers[1].split()[1:]] == predictions
    assert pl.read_parquet(tmp_path / "predictions.parquet")["prediction"].to_list() == pytest.approx(
        predictions
    )
    assert np.load(tmp_path / "predictions.npy").shape == (2, 1)
    assert json.loads(answers[4]) == {"predictions": predictions}
    assert json.loads(answers[5]) == json.loads(answers[6])
    assert answers[7] == "\n"
    assert answers[8].count(".") == 2
