"""The example runs on small pictures made here; the real ones take minutes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest

FILE = Path(__file__).parents[2] / "examples" / "batch_norm_paper.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("batch_norm_paper", FILE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["batch_norm_paper"] = module
    spec.loader.exec_module(module)
    return module


def pictures(folder: Path) -> Path:
    """Ten classes that a few pixels tell apart."""
    draws = np.random.default_rng(0)
    for name, rows in (("train", 600), ("test", 200)):
        y = draws.integers(0, 10, rows)
        X = draws.integers(0, 40, (rows, 784))
        X[np.arange(rows), 70 * y] = 255
        np.savez(folder / f"{name}.npz", X=X.astype(np.uint8), y=y)
    return folder


def test_it_draws_the_figure_and_counts_steps(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "figure.svg"
    words = [str(pictures(tmp_path)), "--steps", "100", "--deviation", "0.1", "--rate", "0.5", "-o", str(out)]
    monkeypatch.setattr(sys, "argv", ["batch_norm_paper.py", *words])
    example.main()
    shown = capsys.readouterr().out
    assert "steps with BN" in shown
    assert f"figure: {out}" in shown.replace("\n", "")
    assert ElementTree.parse(out).getroot().tag.endswith("svg")  # noqa: S314 - our own file


def test_a_folder_without_the_data_is_one_clear_line(
    example: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(sys, "argv", ["batch_norm_paper.py", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        example.main()
    assert str(ended.value) == (
        f"batch_norm_paper: {tmp_path}/train.npz is not there: name a folder with train.npz and test.npz"
    )
