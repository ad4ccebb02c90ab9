"""A killed run goes on, to the same bits."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.training.loop.resumed import CONFIGS
from tests.training.loop.tables import blobs, core
from training.config import LoopConfig
from training.errors import ConfigError, TrainingError
from training.loop import Epoch, fit


def start(checkpoint: Path, result: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.training.loop.resumed", str(checkpoint), str(result), name]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize("name", CONFIGS)
def test_a_killed_run_resumes_to_the_bits_of_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    plain = start(tmp_path / "plain", tmp_path / "plain.pt", name)
    plain.communicate()
    expected = torch.load(tmp_path / "plain.pt")
    kills = 0
    for seen_before_the_kill in (1, 4, 8):
        process = start(tmp_path / "killed", tmp_path / "killed.pt", name)
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= seen_before_the_kill:
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
    last = start(tmp_path / "killed", tmp_path / "killed.pt", name)
    last.communicate()
    found = torch.load(tmp_path / "killed.pt")
    assert kills >= 2
    assert found["history"] == expected["history"]
    assert found["best"] == expected["best"]
    for key, value in expected["state"].items():
        assert torch.equal(found["state"][key], value), key


class _KilledError(Exception):
    pass


def interrupted(checkpoint: Path, after: int, config: LoopConfig, **model: object) -> None:
    def stop(epoch: Epoch) -> None:
        if epoch.number == after:
            raise _KilledError

    with pytest.raises(_KilledError):
        fit(core(**model), blobs(300), blobs(100, 1), "classification", config, stop, checkpoint)  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["training.loop.fit"], "CHECKPOINT_SECONDS", 0.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"ema": 0.9},
        {"schedule": "one-cycle"},
        {"schedule": "plateau", "exact_statistics": False},
        {"optimizer": "muon", "clip": 0.5},
        {"spike_guard": False},
        {"batch_size": "full", "class_weight": "balanced"},
        {"batch_size": 1, "epochs": 3},
    ],
    ids=lambda options: ",".join(options) or "defaults",
)
def test_resuming_after_any_epoch_ends_with_the_same_bits(options: dict[str, object], tmp_path: Path) -> None:
    config = LoopConfig(**({"epochs": 6, "batch_size": 32} | options))  # type: ignore[arg-type]
    train, held = blobs(300), blobs(100, 1)
    whole = core(dropout=0.3)
    expected = fit(whole, train, held, "classification", config)
    for after in (2, config.epochs or 0):
        path = tmp_path / f"after{after}"
        interrupted(path, after, config, dropout=0.3)
        network, seen = core(dropout=0.3), list[Epoch]()
        found = fit(network, train, held, "classification", config, seen.append, path, resume=True)
        assert [e.train_loss for e in found.epochs] == [e.train_loss for e in expected.epochs]
        assert [e.number for e in seen] == [e.number for e in expected.epochs]
        assert (found.best, found.incidents) == (expected.best, expected.incidents)
        assert all(torch.equal(network.state_dict()[k], v) for k, v in whole.state_dict().items())


def test_a_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    config = LoopConfig(epochs=3, batch_size=32)
    states = []
    for resume in (False, True):
        network = core()
        fit(
            network,
            blobs(100),
            blobs(50, 1),
            "classification",
            config,
            checkpoint=tmp_path / "c",
            resume=resume,
        )
        states.append(network.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("change", "named"),
    [({"learning_rate": 0.01}, "learning_rate is 0.003, here 0.01"), ({"seed": 5}, "seed is 0, here 5")],
    ids=["rate", "seed"],
)
def test_the_state_of_another_run_is_refused(change: dict[str, object], named: str, tmp_path: Path) -> None:
    interrupted(tmp_path / "c", 1, LoopConfig(epochs=3, batch_size=32))
    config = LoopConfig(**({"epochs": 3, "batch_size": 32} | change))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=f"belongs to another run: its {named}"):
        fit(
            *(core(), blobs(300), blobs(100, 1), "classification", config),
            checkpoint=tmp_path / "c",
            resume=True,
        )


def test_other_rows_are_refused(tmp_path: Path) -> None:
    config = LoopConfig(epochs=3, batch_size=32)
    interrupted(tmp_path / "c", 1, config)
    with pytest.raises(ConfigError, match="its training data is"):
        fit(
            *(core(), blobs(300, seed=9), blobs(100, 1), "classification", config),
            checkpoint=tmp_path / "c",
            resume=True,
        )


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("nothing")
    with pytest.raises(ConfigError, match="is not a checkpoint"):
        fit(
            *(core(), blobs(30), blobs(30, 1), "classification", LoopConfig(epochs=1)),
            checkpoint=tmp_path / "c",
            resume=True,
        )


def test_without_resume_an_old_state_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "c").write_text("nothing")
    result = fit(
        *(core(), blobs(30), blobs(30, 1), "classification", LoopConfig(epochs=1)), checkpoint=tmp_path / "c"
    )
    assert len(result.epochs) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]


def test_a_full_disk_is_one_line_and_keeps_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(tmp_path / "c", 2, LoopConfig(epochs=3, batch_size=32))
    before = (tmp_path / "c").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"c cannot be written: .*No space left"):
        interrupted(tmp_path / "c", 2, LoopConfig(epochs=3, batch_size=32))
    assert (tmp_path / "c").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
