"""Small ensembles on a table of records; also a run in a process of its own, to be killed.

python -m tests.training.ensembles TABLE MODELS
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.training.test_records import config
from training import pipeline
from training.config import RunConfig
from training.loop import Epoch

MEMBERS, EPOCHS = 3, 3


def ensemble(
    path: Path, models: Path, *, members: int = MEMBERS, target: str = "y", **model: Any
) -> RunConfig:
    """Three epochs of small networks."""
    single = config(path, models, **model)
    return replace(single, data=replace(single.data, target=target), ensemble=members)


def checkpoint_every_epoch() -> None:
    """However short it is."""
    import training.loop.fit  # noqa: F401

    sys.modules["training.loop.fit"].CHECKPOINT_SECONDS = 0.0  # type: ignore[attr-defined]


def _tell(epoch: Epoch) -> None:
    print(epoch.member, epoch.number, flush=True)  # noqa: T201 - the parent reads it
    time.sleep(0.02)  # no synchronisation: only so that epochs do not pass faster than a signal


if __name__ == "__main__":
    checkpoint_every_epoch()
    pipeline.run(ensemble(Path(sys.argv[1]), Path(sys.argv[2])), _tell)
