"""fit(network, train, …) → FitResult: one permutation an epoch, slices of it, the best state kept."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.config import LoopConfig, Task
from training.errors import DataError, TrainingError
from training.loop.batches import batches
from training.loop.checkpoints import Checkpoint, identity
from training.loop.devices import choose
from training.loop.evaluation import evaluate
from training.loop.history import Best, Epoch, FitResult, Incidents, Observer
from training.loop.losses import Loss, class_weights, row_weights
from training.loop.memory import separate
from training.loop.placement import Placement, limited_threads, spread_threads
from training.loop.rows import Rows
from training.loop.schedules import SCHEDULES
from training.loop.seeds import derived, generator
from training.loop.steps import Stepper
from training.loop.watch import Watch
from training.statistics import flat_channels, norms, reestimate, reestimate_exactly

STATISTICS_ROWS = 4096
"""Rows over which the statistics are re-estimated before each validation; after training it is all rows."""

UNSTEADY = 16
"""Batches below this size have moments that say little."""

CROWDED = "other processes use the cores too, and threads waited for each other: --threads 1 may be faster"

CHECKPOINT_SECONDS = 5.0
"""A checkpoint is written after an epoch, if the one before is this old."""


def fit(
    network: nn.Module,
    train: Rows,
    validation: Rows,
    task: Task,
    config: LoopConfig,
    observe: Observer = lambda _: None,
    checkpoint: Path | None = None,
    *,
    resume: bool = False,
    watch: Watch | None = None,
) -> FitResult:
    """Train the network in place, keep its best state, and give it exact statistics over the training rows.

    Without validation rows the training rows decide which state is best.

    Args:
        checkpoint: a file for the state of the run.
        resume: go on from that file, where it exists; the end has the bits of an uninterrupted run.
        watch: looks at the network every so many steps.

    Raises:
        DataError: fewer than 2 training rows, or a number in them is not finite.
        ConfigError: the device is not there, or the checkpoint belongs to another run.
        TrainingError: the loss is no finite number any more, and no earlier state helps.
    """
    if len(train) < 2:
        raise DataError(f"{len(train)} training rows; Batch Normalization needs at least 2")
    train.check("training")
    validation.check("validation")
    device = choose(config)
    file = Checkpoint(checkpoint, identity(network, train, validation, config)) if checkpoint else None
    placed = spread_threads() if device.type == "cpu" else nullcontext(Placement({}))
    with (
        limited_threads(config.threads),
        placed as placement,
        _moved(network, device),
        _own_randomness(config.seed, device),
    ):
        run = _Run(network, train.to(device), validation.to(device), task, config, watch)
        state = file.read() if file and resume else None
        if state is not None:
            run.load_state_dict(state)
        run.finish(observe, file, placement)
        result = run.result()
    return replace(result, warnings=(*result.warnings, CROWDED)) if placement.gave_up else result


class _Run:
    """A fit under way; between two epochs its state can be written down."""

    def __init__(
        self,
        network: nn.Module,
        train: Rows,
        validation: Rows,
        task: Task,
        config: LoopConfig,
        watch: Watch | None = None,
    ) -> None:
        self._network, self._task, self._config = network, task, config
        self._train = prepared(train, task, config)
        self._validation = prepared(validation, task, config, train) if len(validation) else self._train
        self._size = config.batch_size_for(len(train))
        self._epochs = config.epochs
        self._steps = len(train) if self._size == 1 else _count(len(train), self._size)
        schedule = SCHEDULES[config.schedule](self._epochs * self._steps, config.warm_up)
        self._stepper = Stepper(network, Loss.of(task, config), schedule, config, self._size)
        self._watch = watch
        if watch:
            self._stepper.after_step = self._after_step
        self._order = generator(config.seed, "order")
        self._sample = self._sampled(generator(config.seed, "statistics"))
        self._best, self._history = Best(), list[Epoch]()

    def finish(self, observe: Observer, file: Checkpoint | None, placement: Placement) -> None:
        """All epochs that are left; then the best state, with exact statistics."""
        for epoch in self._history:
            observe(epoch)
        if not self._stepper.step:
            self._after_step(0)
        written = time.monotonic()
        while not self._done():
            epoch = self._epoch()
            placement.review()
            if file and (self._done() or time.monotonic() - written >= CHECKPOINT_SECONDS):
                file.write(self.state_dict())
                written = time.monotonic()
            observe(epoch)
        self._look_last()
        self._check_steps()
        self._network.load_state_dict(self._best.state)
        if self._config.exact_statistics or self._config.ema:
            reestimate_exactly(self._network, self._train.inputs)
        self._network.eval()

    def result(self) -> FitResult:
        """The history, once it is finished."""
        history, warnings = tuple(self._history), tuple(self._warnings())
        return FitResult(history, self._best.number, self._incidents(), warnings)

    def _done(self) -> bool:
        if not self._history:
            return False
        last, patience = self._history[-1].number, self._config.patience
        return last >= self._of or (patience is not None and last - self._best.number >= patience)

    @property
    def _of(self) -> int:
        """How many epochs there will be: what rollbacks undid is done again, but for a part of an epoch."""
        return self._epochs + round(self._stepper.place.lost / self._steps)

    def _check_steps(self) -> None:
        """A network that took few of its steps has learnt little, however finite its numbers are."""
        incidents = self._incidents()
        if 2 * incidents.skipped > self._stepper.step:
            raise TrainingError(
                f"{incidents.skipped} of {self._stepper.step} steps were skipped, as their loss or gradient "
                "leapt or was not finite: try a lower --lr"
            )

    def _incidents(self) -> Incidents:
        guard = self._stepper.guard
        return guard.incidents if guard else Incidents()

    def _epoch(self) -> Epoch:
        start = time.perf_counter()
        number = len(self._history) + 1
        permutation = torch.randperm(len(self._train), generator=self._order)
        done = self._stepper.epoch(self._train, permutation.to(self._train.y.device))
        trained = time.perf_counter() - start
        network = self._evaluated()
        held_loss, score = evaluate(network, self._validation, self._task)
        self._stepper.schedule.after_epoch(held_loss)
        epoch = Epoch(
            *(number, self._of, done.loss / max(done.rows, 1), held_loss, score),
            *(time.perf_counter() - start, self._stepper.rate, done.norm / max(done.steps, 1), trained),
        )
        _check_finite(epoch)
        self._history.append(epoch)
        self._best.consider(epoch, network)
        return epoch

    def _evaluated(self) -> nn.Module:
        """The network whose state counts: the average where there is one, with statistics of its own."""
        average = self._stepper.average
        network = average.network if average else self._network
        if self._config.exact_statistics or average:
            reestimate(network, self._sample)
        return network

    def _after_step(self, step: int) -> None:
        if self._watch and step % self._watch.every == 0:
            self._look(self._watch, step)

    def _look_last(self) -> None:
        step = self._stepper.step
        if self._watch and step % self._watch.every:
            self._look(self._watch, step)

    def _look(self, watch: Watch, step: int) -> None:
        """At a copy, so that neither its statistics nor its mode are the run's; nor are its draws."""
        average = self._stepper.average
        device = self._train.y.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            twin = copy.deepcopy(average.network if average else self._network)
            if self._config.exact_statistics or average:
                reestimate(twin, self._sample)
            watch.look(step, twin.eval())

    def _sampled(self, draws: torch.Generator) -> tuple[Tensor, ...]:
        """Some training rows by chance, as a table may be sorted."""
        rows = torch.randperm(len(self._train), generator=draws)[:STATISTICS_ROWS]
        return self._train.take(rows.to(self._train.y.device)).inputs

    def _warnings(self) -> Iterator[str]:
        layers = norms(self._network)
        if layers and self._size == 1:
            yield "batches of 1 row: Batch Normalization used running statistics; larger batches learn better"
        elif layers and min(self._size, len(self._train)) < UNSTEADY:
            size = min(self._size, len(self._train))
            yield f"batches of {size} rows: the moments of fewer than {UNSTEADY} are unsteady"
        for name, count in flat_channels(self._network).items():
            yield f"{name}: {count} channels hardly vary (variance below 10 ε); drift in them is magnified"
        if self._incidents().skipped:
            yield _told(self._incidents())

    def state_dict(self) -> dict[str, Any]:
        """All that the epochs to come depend on."""
        return {
            "stepper": self._stepper.state_dict(),
            "best": self._best.state_dict(),
            "history": [asdict(epoch) for epoch in self._history],
            "order": self._order.get_state(),
            "dropout": _random_states(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._stepper.load_state_dict(state["stepper"])
        self._best.load_state_dict(state["best"])
        self._history = [Epoch(**epoch) for epoch in state["history"]]
        self._order.set_state(state["order"])
        torch.set_rng_state(state["dropout"][0])
        if len(state["dropout"]) > 1:
            torch.cuda.set_rng_state(state["dropout"][1])


def prepared(rows: Rows, task: Task, config: LoopConfig, train: Rows | None = None) -> Rows:
    """With the weight of every row, and targets in the network's shape.

    Args:
        train: the rows whose classes are balanced, where they are others.
    """
    balanced = task == "classification" and config.class_weight == "balanced"
    by_class = class_weights((train or rows).y) if balanced else None
    y = rows.y if task == "classification" else rows.y.float().reshape(len(rows), -1)
    return Rows(rows.inputs, y, row_weights(rows.y, rows.weight, by_class))


def _count(rows: int, size: int) -> int:
    return sum(1 for _ in batches(rows, size))


def _told(incidents: Incidents) -> str:
    told = f"{incidents.skipped} steps were skipped, as their loss or gradient leapt"
    if incidents.rollbacks:
        told += (
            f"; {incidents.rollbacks} times an earlier state was taken up, "
            f"in the end with {incidents.rate_factor:.3g} of the learning rate"
        )
    return told


@contextmanager
def _moved(network: nn.Module, device: torch.device) -> Iterator[None]:
    """On the device; afterwards on the CPU again, where models are folded, and no memory shared."""
    network.to(device)
    try:
        yield
    finally:
        network.to("cpu")
        separate(network)


@contextmanager
def _own_randomness(seed: int, device: torch.device) -> Iterator[None]:
    """Dropout draws from torch's global generator: a fork of it, so that nobody else's draws change."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(derived(seed, "dropout"))
        yield


def _random_states() -> list[Tensor]:
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state()] if torch.cuda.is_available() else states


def _check_finite(epoch: Epoch) -> None:
    if not math.isfinite(epoch.train_loss) or not math.isfinite(epoch.validation_loss):
        worse = epoch.train_loss if not math.isfinite(epoch.train_loss) else epoch.validation_loss
        raise TrainingError(f"the loss is {worse} in epoch {epoch.number}: try a lower --lr")
