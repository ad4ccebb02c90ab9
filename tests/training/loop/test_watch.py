import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.training.loop.tables import blobs, core
from training.config import LoopConfig
from training.errors import ConfigError
from training.loop import Epoch, Watch, evaluate, fit
from training.statistics import norms, reestimate


def config(**options: object) -> LoopConfig:
    return LoopConfig(**({"epochs": 3, "batch_size": 16, "patience": None} | options))  # type: ignore[arg-type]


def seen(options: LoopConfig, every: int = 4) -> tuple[list[int], nn.Module]:
    """The steps that a watch saw, and the network in the end."""
    network, steps = core(dropout=0.3), list[int]()

    def look(step: int, twin: nn.Module) -> None:
        assert not twin.training
        steps.append(step)
        torch.rand(3)
        for parameter in twin.parameters():
            parameter.data.fill_(9.0)

    fit(network, blobs(96), blobs(40, 1), "classification", options, watch=Watch(every, look))
    return steps, network


def test_it_looks_before_the_first_step_every_so_many_and_after_the_last() -> None:
    assert seen(config())[0] == [0, 4, 8, 12, 16, 18]
    assert seen(config(), 6)[0] == [0, 6, 12, 18]
    assert seen(config(), 99)[0] == [0, 18]


@pytest.mark.parametrize(
    "options", [{}, {"ema": 0.9}, {"exact_statistics": False}, {"batch_size": 1}], ids=str
)
def test_a_look_changes_no_bit_of_the_run(options: dict[str, object]) -> None:
    plain = core(dropout=0.3)
    fit(plain, blobs(96), blobs(40, 1), "classification", config(**options))
    watched = seen(config(**options))[1].state_dict()
    assert all(torch.equal(value, watched[name]) for name, value in plain.state_dict().items())


def test_what_it_sees_at_an_epochs_end_is_what_the_epoch_was_scored_by() -> None:
    train, held, scores = blobs(96), blobs(40, 1), list[float]()

    def look(_: int, twin: nn.Module) -> None:
        assert norms(twin)
        scores.append(evaluate(twin, held, "classification")[0])
        exact = [norm.running_mean for norm in norms(twin).values()]
        reestimate(twin, train.inputs)
        again = [norm.running_mean for norm in norms(twin).values()]
        assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(exact, again, strict=True))  # type: ignore[arg-type]

    epochs: list[Epoch] = []
    fit(core(), train, held, "classification", config(ema=0.9), epochs.append, watch=Watch(6, look))
    assert scores[1:] == [epoch.validation_loss for epoch in epochs]


def test_after_a_resume_it_sees_the_steps_that_were_left(tmp_path: Path) -> None:
    file, steps = tmp_path / "state", list[int]()
    rows = blobs(96), blobs(40, 1)
    straight = core()
    fit(straight, *rows, "classification", config(seed=2))

    class Stopped(Exception):
        pass

    def stop(epoch: Epoch) -> None:
        if epoch.number == 2:
            raise Stopped

    options, network = config(seed=2), core()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["training.loop.fit"], "CHECKPOINT_SECONDS", 0.0)
        with pytest.raises(Stopped):
            fit(network, *rows, "classification", options, stop, file)
    resumed = core()
    watch = Watch(2, lambda step, _: steps.append(step))
    fit(resumed, *rows, "classification", options, checkpoint=file, resume=True, watch=watch)
    assert steps == [14, 16, 18]
    assert all(torch.equal(v, resumed.state_dict()[name]) for name, v in straight.state_dict().items())


def test_a_watch_that_never_looks_is_refused() -> None:
    with pytest.raises(ConfigError, match="every 0 steps"):
        Watch(0, lambda *_: None)
