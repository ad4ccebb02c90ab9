"""Members: the networks of a run, trained one after another; they differ by their seed and their rows.

Each has a checkpoint of its own. That of a member that is done stays until the whole run is published: a
resumed run takes its network from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.config import RunConfig
from training.data import Splits
from training.defaults import Recipe
from training.loop import Epoch, FitResult, Observer, fit, member_seed
from training.model import Network
from training.preparation import Preparation


@dataclass(frozen=True, eq=False)
class Member:
    """A trained network, and how its training went.

    Attributes:
        splits: its rows.
        preparation: what it is given of them.
    """

    network: Network
    fit: FitResult
    splits: Splits
    preparation: Preparation


def train_members(
    each: Sequence[Splits],
    recipe: Recipe,
    config: RunConfig,
    observe: Observer,
    checkpoint: Path | None,
) -> Iterator[Member]:
    """One for each of the splits.

    Args:
        each: the rows of each; those of the first again are the same object.
        checkpoint: for the state of the first; the others' stand beside it.
    """
    last: Splits | None = None
    for number, splits in enumerate(each):
        seed = member_seed(config.seed, number)
        loop = replace(recipe.loop, seed=seed)
        if splits is not last:
            preparation, last = Preparation.of(splits, replace(recipe, loop=loop)), splits
            rows, held = (preparation.rows(split, splits) for split in (splits.train, splits.validation))
        network = preparation.network(recipe.model, splits, seed)
        told, file = _told_of(number, len(each), observe), checkpoint and _file(checkpoint, number)
        result = fit(*(network, rows, held, splits.task, loop, told, file), resume=config.resume)
        yield Member(network, result, splits, preparation)


def discard(checkpoint: Path, *, others_only: bool = False) -> None:
    """Remove the states of all members, or of all but the first."""
    shutil.rmtree(_folder(checkpoint), ignore_errors=True)
    if not others_only:
        checkpoint.unlink(missing_ok=True)


def _told_of(number: int, count: int, observe: Observer) -> Observer:
    def tell(epoch: Epoch) -> None:
        observe(replace(epoch, member=number + 1, members=count))

    return tell


def _file(checkpoint: Path, number: int) -> Path:
    """A single model's for the first; no other model's name can lead to the others'."""
    return checkpoint if number == 0 else _folder(checkpoint) / f"{number + 1}.checkpoint"


def _folder(checkpoint: Path) -> Path:
    return checkpoint.with_suffix(".members")
