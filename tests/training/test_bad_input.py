"""What no model can be made of, and runs that end before their time, as a person meets them."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.offline import predict_file
from tests.processes import FOLDSERVE
from tests.training.calls import call
from training import pipeline
from training.cli import train

SMALL = ["--target", "y", "--hidden", "4", "--encoding", "standard", "--epochs", "2"]
HEAD = "a,b,c,y\n"


def lines(count: int = 40, a: str | None = None, b: str | None = None, y: str | None = None) -> str:
    """Rows of two numbers and a category; what is given stands in every row."""
    rows = (
        (a or f"{i % 7}.5", b or f"{i % 5}.25", "rgb"[i % 3], ["no", "yes"][i % 2] if y is None else y)
        for i in range(count)
    )
    return "".join(",".join(row) + "\n" for row in rows)


def write(folder: Path, text: str, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "rows.csv: cannot be read as a table: it is empty"),
        (HEAD, "rows.csv: the table has no rows"),
        (HEAD + lines(1), "rows.csv: one row with a target; at least 2 are needed"),
        (HEAD + lines(y="no"), "rows.csv: target 'y' is 'no' in every row; 2 classes needed"),
        ("a,b,c,z\n" + lines(), "rows.csv: no column named 'y'; there is 'a', 'b', 'c', 'z'"),
        (
            HEAD + lines() + "1,2,r,\n",
            "rows.csv: column 'y', row 41: empty is a missing target (1 such row); expected a target in "
            "every row; --drop-missing-target leaves such rows out",
        ),
        (HEAD + lines(y=""), "rows.csv: every target is missing in column 'y'"),
        ("a,y\n,no\n,yes\n", "rows.csv: no features are left beside the target 'y'; dropped were a (empty)"),
        (
            HEAD + lines() + "inf,2,r,no\n",
            "rows.csv: column 'a', row 41: inf is not a finite number (1 such row); expected every feature a "
            "finite number",
        ),
        ("a,a,c,y\n" + lines(), "rows.csv: duplicate column names 'a'; every name may stand once"),
        (HEAD + lines() + "1,2,r,no,5\n", "rows.csv: line 42 has 5 fields, expected 4"),
    ],
    ids=lambda given: str(given).partition("rows.csv: ")[2][:40] or "",
)
def test_a_table_that_cannot_be_learnt_is_one_line_and_publishes_nothing(
    tmp_path: Path, text: str, line: str
) -> None:
    models = tmp_path / "models"
    code, said = call(train, write(tmp_path, text), *SMALL, "--models-dir", models)
    assert code == 2
    assert line in said
    assert "\n" not in said.strip()
    assert not models.exists()


def test_a_test_file_of_other_columns_is_one_line_that_names_them(tmp_path: Path) -> None:
    data, test = write(tmp_path, HEAD + lines()), write(tmp_path, "a,bb,c,y\n" + lines(3), "test.csv")
    code, said = call(train, data, "--test", test, *SMALL, "--models-dir", tmp_path / "models")
    assert (code, said.strip()) == (2, f"{test}: columns differ from rows.csv: missing 'b', unknown 'bb'")


def test_an_empty_column_and_a_category_never_seen_are_told_and_no_reason_to_stop(tmp_path: Path) -> None:
    data = write(tmp_path, "e," + HEAD + "".join(f",{line}\n" for line in lines().splitlines()))
    test = write(tmp_path, "e,a,b,c,y\n,1,2,violet,no\n,1,2,r,yes\n", "test.csv")
    models = tmp_path / "models"
    code, said = call(train, data, "--test", test, *SMALL, "--models-dir", models)
    assert code == 0, said
    assert "! e every value is missing" in said
    assert "test.csv: 1 row with categories of 'c' that training lacks, taken for unknown: 'violet'" in said
    model = models / "rows" / "1" / "model.onnx"
    asked = write(tmp_path, "a,b,c\n1,2,violet\n1,2,never\n1,2,r\n", "asked.csv")
    violet, never, red = predict_file(model, asked).outputs.tolist()
    assert violet == never != red


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with rows.csv and a first version of its model."""
    folder = tmp_path_factory.mktemp("published")
    data = write(folder, HEAD + lines(200))
    assert call(train, data, *SMALL, "--models-dir", folder / "models")[0] == 0
    return folder


def started(folder: Path, *words: str, before: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    """`foldserve train`, which would publish a second version."""
    command = [FOLDSERVE, "train", str(folder / "rows.csv"), *SMALL, "--models-dir", str(folder / "models")]
    return subprocess.Popen(
        [*command, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
        preexec_fn=before,
    )


def still_serves(folder: Path) -> None:
    """The first version alone is there, and answers."""
    home = folder / "models" / "rows"
    assert [path.name for path in home.iterdir() if not path.name.startswith(".")] == ["1"]
    assert len(predict_file(home / "1" / "model.onnx", folder / "rows.csv").outputs) == 200


def test_a_disk_that_takes_no_checkpoint_is_one_line_and_the_version_before_still_serves(
    published: Path,
) -> None:
    process = started(published, before=lambda: limited(4_000))
    _, said = process.communicate(timeout=120)
    line = r"the checkpoint \S+rows.checkpoint cannot be written: File too large; nothing was published"
    assert process.returncode == 1
    assert re.fullmatch(f"foldserve: {line}\n", said), said
    still_serves(published)


def limited(size: int) -> None:
    """From now on no file may grow larger, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def test_a_disk_that_takes_no_report_is_one_line_and_the_version_before_still_serves(
    published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = pipeline.publish

    def publish_on_a_small_disk(*given: Any) -> pipeline.Outcome:
        limited(20_000)
        try:
            return publish(*given)
        finally:
            limited(resource.RLIM_INFINITY)

    monkeypatch.setattr(pipeline, "publish", publish_on_a_small_disk)
    code, said = call(train, published / "rows.csv", *SMALL, "--models-dir", published / "models")
    home = published / "models" / "rows"
    assert code == 1
    assert said.endswith(f"cannot write to {home}: File too large; nothing was published")
    assert [path.name for path in home.iterdir()] == ["1"]
    still_serves(published)


def test_a_killed_run_publishes_nothing_and_the_version_before_still_serves(published: Path) -> None:
    process = started(published, "--epochs", "100000", "--patience", "100000")
    assert process.stdout
    for line in process.stdout:
        if line.startswith("rows: "):
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    still_serves(published)
