"""A search in a process of its own, which says each epoch: `python -m tests.training.tuning.killed STUDY`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.training.tuning.searches import searched, space, splits
from training.loop import Epoch
from training.tuning.study import alone, open_study

TRIALS = 3


def main() -> None:
    """Go on with the study in the file."""
    path = Path(sys.argv[1])
    with alone(path):
        study = open_study(path, space(), splits())
        searched(TRIALS, study, observe=_say)


def _say(epoch: Epoch) -> None:
    sys.stdout.write(f"{epoch.number}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
