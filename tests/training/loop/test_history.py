"""Which epoch's state is kept."""

from __future__ import annotations

import pytest
from torch import nn

from training.loop import Epoch
from training.loop.history import Best


def kept(*epochs: tuple[float, float]) -> int:
    """The number of the epoch that is kept, of some with these scores and validation losses."""
    best = Best()
    for number, (score, loss) in enumerate(epochs, 1):
        best.consider(Epoch(number, len(epochs), 0.0, loss, score, 0.0), nn.Identity())
    return best.number


@pytest.mark.parametrize(
    ("epochs", "number"),
    [
        ([(0.8, 0.1), (0.9, 0.5), (0.85, 0.1)], 2),
        ([(0.9, 0.5), (0.9, 0.4), (0.9, 0.6)], 2),
        ([(0.5, 0.5), (0.5, 0.5)], 1),
        ([(1 - 1e-8, 0.7), (1 - 3e-8, 0.1)], 2),
        ([(0.999999, 0.1), (1.0, 0.2)], 2),
    ],
    ids=[
        "score",
        "loss",
        "first-of-equals",
        "scores-all-but-equal",
        "one-row-in-a-million",
    ],
)
def test_the_best_score_is_kept_and_the_least_loss_among_equal_ones(
    epochs: list[tuple[float, float]], number: int
) -> None:
    assert kept(*epochs) == number
