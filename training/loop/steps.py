"""Stepper: one step after another, each judged before it is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from training.config import LoopConfig
from training.errors import TrainingError
from training.loop.averaging import Average
from training.loop.batches import batches, single_rows
from training.loop.diagnosis import first_not_finite
from training.loop.gradients import Gradients
from training.loop.losses import Loss
from training.loop.optimisers import Optimiser, length
from training.loop.place import Place
from training.loop.rows import Rows
from training.loop.schedules import Schedule
from training.loop.snapshots import Snapshots
from training.loop.spikes import SpikeGuard, Verdict
from training.statistics import norms, reestimate

REFRESH = 128
"""Steps of one row after which running statistics are estimated again."""

REFRESH_ROWS = 1024

GATHERED = 1 << 17
"""Bytes of rows that are gathered at once: they stay near the core until they are used."""


@dataclass
class Pass:
    """What one pass over the rows gave so far."""

    loss: float = 0.0
    norm: float = 0.0
    rows: int = 0
    steps: int = 0

    def add(self, loss: float, norm: float, rows: int) -> None:
        """Take in a step that was made."""
        self.loss, self.norm = self.loss + loss * rows, self.norm + norm
        self.rows, self.steps = self.rows + rows, self.steps + 1


class Stepper:
    """The network and all that moves it.

    Attributes:
        step: how many batches there were.
        place: how far the schedule has come.
    """

    def __init__(
        self, network: nn.Module, loss: Loss, schedule: Schedule, config: LoopConfig, batch_size: int
    ) -> None:
        self.network, self.schedule = network, schedule
        self.step, self.place = 0, Place(schedule.steps)
        self.after_step: Callable[[int], None] | None = None
        self.guard = SpikeGuard() if config.spike_guard else None
        self._loss, self._config, self._batch_size = loss, config, batch_size
        self._optimiser = Optimiser(network, config)
        self.average = Average(network, config.ema) if config.ema else None
        self._gradients = Gradients(network, loss, config, self._optimiser)
        buffers = _kept_buffers(network)
        self._buffers = range(len(buffers))
        self._tensors = [*buffers, *self._optimiser.tensors()]
        if self.average:
            self._tensors += self.average.tensors()
        self._snapshots = Snapshots(self._tensors) if self.guard else None
        self._mark = [values.clone() for values in self._optimiser.values] if self.guard else []

    @property
    def rate(self) -> float:
        """The learning rate of the step before."""
        return self._config.learning_rate * self._factor(max(self.place.at - 1, 0))

    def epoch(self, data: Rows, permutation: Tensor) -> Pass:
        """One pass over all rows in the order of the permutation."""
        self.network.train()
        self._gradients.look(whole_batches=self._batch_size > 1)
        done = Pass()
        # Not only no graph: what autograd notes at each call takes a tenth of a small network's step.
        with torch.no_grad() if self._gradients.needs_autograd else torch.inference_mode():
            for rows in self._batches(data, permutation):
                loss, norm = self._backward(rows)
                if self._taken(rows, loss, norm):
                    done.add(loss, norm, len(rows))
                self.step += 1
                self.place.advance(self.guard.passing if self.guard else 1.0)
                if self.after_step:
                    with torch.inference_mode(mode=False), torch.enable_grad():
                        self.after_step(self.step)
        return done

    def _batches(self, data: Rows, permutation: Tensor) -> Iterator[Rows]:
        """Several are gathered at once, as long as they are small. Each is to be used before the next."""
        gathered, memory, start, stop = data, None, 0, 0
        some = max(self._batch_size, GATHERED // data.bytes_per_row)
        for batch in self._slices(data):
            if batch.stop > stop:
                start, stop = batch.start, max(batch.stop, min(batch.start + some, len(data)))
                index = permutation[start:stop]
                has_room = memory is not None and len(memory) >= len(index)
                gathered = data.take(index, memory if has_room else None)
                memory = memory if has_room else gathered
            yield gathered.slice(batch.start - start, batch.stop - start)

    def _slices(self, data: Rows) -> Iterator[slice]:
        if self._batch_size > 1:
            yield from batches(len(data), self._batch_size)
            return
        layers = norms(self.network)
        for layer in layers.values():
            layer.eval()
        some = tuple(tensor[:REFRESH_ROWS] for tensor in data.inputs)
        for number, row in enumerate(single_rows(len(data))):
            if number % REFRESH == 0 and layers:
                reestimate(self.network, some)
            yield row

    def _backward(self, rows: Rows) -> tuple[float, float]:
        """Loss and length of the gradient, which is shortened where it is to be clipped."""
        loss = self._gradients.of(rows, self.step)
        clip = self._config.clip
        if self.guard is None and clip is None:
            return loss, 0.0
        gradients = self._optimiser.gradients()
        norm = length(gradients)
        if clip is not None and clip < norm < float("inf"):
            torch._foreach_mul_(gradients, clip / norm)
        return loss, norm

    def _factor(self, step: float) -> float:
        lowered = self.guard.incidents.rate_factor if self.guard else 1.0
        return self.schedule.factor(step) * lowered

    def _taken(self, rows: Rows, loss: float, norm: float) -> bool:
        """Take the step, unless the guard says otherwise."""
        verdict = Verdict.TAKE
        if self.guard:
            avoidable = loss - self._gradients.least(rows, self.step)
            verdict = self.guard.judge(avoidable, norm, self._moved)
        if verdict is Verdict.TAKE:
            self.schedule.steps = self.place.total
            at = min(self.place.at, self.place.total - 1)
            self._optimiser.step(self._factor(at), self.schedule.momentum(at))
            if self.average:
                self.average.update()
            if self._snapshots and self.guard:
                self._snapshots.after_step(self.guard.calm, self.guard.middle, self.place.at + 1)
            return True
        if verdict is Verdict.STOP:
            self._stop(rows)
        if verdict is Verdict.ROLL_BACK:
            self._go_back()
        elif self._snapshots and not self._config.exact_statistics:
            # A step that is not taken has left its mark on the running averages.
            self._snapshots.restore_only(self._buffers)
        return False

    @torch.no_grad()
    def _moved(self) -> float:
        """How far the weights are from where this was last asked."""
        torch._foreach_sub_(self._mark, self._optimiser.values)
        way = length(self._mark)
        torch._foreach_copy_(self._mark, self._optimiser.values)
        return way

    @torch.no_grad()
    def _go_back(self) -> None:
        """To an earlier state, and where a fault passes to its place in the schedule."""
        if self._snapshots is None or self.guard is None:
            return
        place = self._snapshots.restore(best=self.guard.far)
        torch._foreach_copy_(self._mark, self._optimiser.values)
        if not self.guard.lasting:
            self.place.go_back(place - 1)

    def _stop(self, rows: Rows) -> None:
        with torch.inference_mode(mode=False), torch.enable_grad():
            again = rows.take(torch.arange(len(rows), device=rows.y.device))
            where = first_not_finite(self.network, lambda: self._gradients.loss(again, self.step))
        first = self.step + 2 - (self.guard.in_a_row if self.guard else 1)
        raise TrainingError(
            f"step {first} and every one up to {self.step + 1}: the loss or its gradient is not finite; "
            f"{where}: try a lower --lr or --clip 1"
        )

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs."""
        named = {"guard": self.guard, "snapshots": self._snapshots, "schedule": self.schedule}
        return {
            "step": self.step,
            "place": self.place.state_dict(),
            "mark": list(self._mark),
            "averaged": self.average.steps if self.average else 0,
            "tensors": list(self._tensors),
            **{name: part.state_dict() for name, part in named.items() if part},
        }

    @torch.no_grad()
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.step = state["step"]
        self.place.load_state_dict(state["place"])
        if self._mark:
            torch._foreach_copy_(self._mark, state["mark"])
        if self.average:
            self.average.steps = state["averaged"]
        torch._foreach_copy_(self._tensors, state["tensors"])
        named = {"guard": self.guard, "snapshots": self._snapshots, "schedule": self.schedule}
        for name, part in named.items():
            if part:
                part.load_state_dict(state[name])


def _kept_buffers(network: nn.Module) -> list[Tensor]:
    """Those that belong to the network's state."""
    parameters = {name for name, _ in network.named_parameters(remove_duplicate=False)}
    return [tensor for name, tensor in network.state_dict().items() if name not in parameters]
