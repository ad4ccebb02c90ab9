"""compare(config, grid) → Comparison: every trial of the grid, under one budget."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from training.comparison.trials import Bench, Run, Start, Trial, total_steps
from training.config import LoopConfig, RunConfig, Task
from training.data import Splits, load
from training.defaults import Recipe, recipe_for
from training.errors import ConfigError

RATES = (5e-4, 2e-3, 5e-3, 2e-2)
STARTS: tuple[Start, ...] = ("usual", "small")

STEPS = 1000
"""Of each run, where no number of epochs is asked for."""

LOOKS = 100
"""Looks at each run, at most."""


@dataclass(frozen=True)
class Grid:
    """What is tried with and without Batch Normalization.

    Attributes:
        seeds: how many; each begins and shuffles otherwise, all take the same split of the table.
    """

    rates: tuple[float, ...] = RATES
    seeds: int = 5
    starts: tuple[Start, ...] = STARTS

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise ConfigError(f"--seeds is {self.seeds}, expected at least 1")
        if not self.rates or min(self.rates) <= 0 or len(set(self.rates)) < len(self.rates):
            raise ConfigError(f"--rates are {list(self.rates)}, expected different positive numbers")
        object.__setattr__(self, "rates", tuple(sorted(self.rates)))

    def trials(self, first_seed: int) -> Iterator[Trial]:
        """All of them; the two sides of a pair one after the other."""
        for seed in range(first_seed, first_seed + self.seeds):
            for start in self.starts:
                for rate in self.rates:
                    for batch_norm in (True, False):
                        yield Trial(batch_norm, start, rate, seed)

    def __len__(self) -> int:
        return 2 * self.seeds * len(self.starts) * len(self.rates)


@dataclass(frozen=True, eq=False)
class Comparison:
    """All runs and what they had in common.

    Attributes:
        rows: to train, to validate, to test; of the latter two those that were looked at.
        steps: of each run.
        every: steps between two looks.
        recipe: the choices of both sides, but for the normalisation, the start and the rate.
    """

    source: str
    target: str
    task: Task
    rows: tuple[int, int, int]
    grid: Grid
    recipe: Recipe
    steps: int
    every: int
    runs: tuple[Run, ...]
    seconds: float

    @property
    def score(self) -> str:
        """What is compared; higher is better."""
        return "accuracy" if self.task == "classification" else "R²"

    @property
    def diverged(self) -> tuple[Run, ...]:
        """Runs that did not come to their end."""
        return tuple(run for run in self.runs if run.diverged is not None)

    def cell(self, batch_norm: bool, start: Start, rate: float) -> tuple[Run, ...]:
        """The runs of one setting, in the order of their seeds."""
        wanted = (batch_norm, start, rate)
        return tuple(
            run for run in self.runs if (run.trial.batch_norm, run.trial.start, run.trial.rate) == wanted
        )


def compare(
    config: RunConfig,
    grid: Grid,
    observe: Callable[[Run], None] = lambda _: None,
    announce: Callable[[Splits], None] = lambda _: None,
) -> Comparison:
    """Run every trial of the grid.

    Raises:
        DataError, ConfigError: the table or the options cannot be used. A run that diverges is a result.
    """
    begun = time.monotonic()
    splits = load(config.data, config.seed)
    announce(splits)
    recipe = common(recipe_for(config, splits), config, len(splits.train))
    steps = total_steps(recipe.loop, len(splits.train))
    bench = Bench.of(splits, recipe, -(-steps // LOOKS))
    runs = []
    for trial in grid.trials(config.seed):
        runs.append(bench.run(trial))
        observe(runs[-1])
    rows = len(bench.train), len(bench.validation), len(bench.test)
    return Comparison(
        *(splits.source, splits.target, splits.task, rows, grid, recipe, steps, bench.every, tuple(runs)),
        time.monotonic() - begun,
    )


def common(recipe: Recipe, config: RunConfig, rows: int) -> Recipe:
    """The same for both sides: no early stop, and `STEPS` steps where no budget is asked for."""
    loop = replace(recipe.loop, patience=None)
    if config.loop.get("epochs") is None:
        loop = replace(loop, epochs=_epochs(loop, rows))
    return Recipe(recipe.model, loop)


def _epochs(loop: LoopConfig, rows: int) -> int:
    return max(1, round(STEPS / total_steps(replace(loop, epochs=1), rows)))
