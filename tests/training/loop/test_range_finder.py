from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from tests.training.loop.tables import blobs, core
from training.config import LoopConfig
from training.errors import ConfigError, DataError
from training.loop import RateCurve, find_range, plot
from training.loop.range_finder import HIGHEST, LOWEST


def test_the_suggestion_lies_where_the_loss_falls_and_trains_nothing() -> None:
    network = core(hidden=(16,))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    curve = find_range(network, blobs(400), "classification", LoopConfig(batch_size=32))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert len(curve.rates) == len(curve.losses)
    assert curve.rates[0] == pytest.approx(LOWEST)
    assert curve.rates[-1] <= HIGHEST * 1.001
    assert 1e-3 < curve.suggestion < 1.0
    assert min(curve.losses) < curve.losses[0]


def test_the_same_seed_finds_the_same_curve_and_the_global_draws_stay() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    config = LoopConfig(batch_size=32)
    one, two = (find_range(core(dropout=0.3), blobs(100), "classification", config) for _ in range(2))
    assert one == two
    assert torch.equal(torch.rand(2), expected)


def test_a_rate_that_blows_the_loss_up_ends_the_trial() -> None:
    network = core(1, batch_norm=False, dropout=0.0)
    rows = blobs(100)
    rows = type(rows)(rows.inputs, rows.y.float())
    curve = find_range(network, rows, "regression", LoopConfig(batch_size=32))
    assert max(curve.losses) <= 4 * min(curve.losses) or len(curve.losses) == 300


def test_one_row_is_refused() -> None:
    with pytest.raises(DataError, match="1 training rows"):
        find_range(core(), blobs(1), "classification", LoopConfig())


def test_the_plot_is_an_svg(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot(RateCurve((1e-3, 1e-2, 1e-1), (1.0, 0.5, 0.8), 3e-3), tmp_path / "rates.svg")
    assert ElementTree.parse(tmp_path / "rates.svg").getroot().tag.endswith("svg")  # noqa: S314 - our own file


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError, match=r"matplotlib is not installed: pip install .foldserve\["):
        plot(RateCurve((1e-3,), (1.0,), 1e-3), tmp_path / "rates.svg")
