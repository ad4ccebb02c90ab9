"""The command line, in a process of its own: words in, one line and an exit code out."""

from pathlib import Path

import numpy as np
import pytest

from service import __version__
from tests import graphs
from tests.processes import run


@pytest.mark.parametrize("command", ["serve", "predict", "inspect", "train"])
def test_every_command_explains_itself(command: str) -> None:
    assert command in run("--help").stdout
    help_ = run(command, "--help")
    assert help_.returncode == 0
    assert len(help_.stdout) > 200


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout.strip() == __version__


def test_inspect_shows_a_file_and_refuses_what_is_none(tmp_path: Path) -> None:
    path = graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    assert "[N, 2]" in run("inspect", path).stdout
    path.write_bytes(b"no model")
    for wrong in (path, tmp_path / "absent.onnx"):
        ended = run("inspect", wrong)
        assert ended.returncode == 2
        assert ended.stderr.startswith("foldserve: cannot read the model")
        assert ended.stderr.count("\n") == 1


def test_predict_writes_csv_to_stdout(tmp_path: Path) -> None:
    path = graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n")
    assert run("predict", path, rows).stdout == "prediction,prediction_1\n1.0,2.0\n"
    refused = run("predict", path, tmp_path / "absent.csv")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
