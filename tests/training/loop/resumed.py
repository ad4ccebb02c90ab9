"""A run in a process of its own, to be killed: python -m tests.training.loop.resumed CHECKPOINT RESULT"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from tests.training.loop.tables import blobs, core
from training.config import LoopConfig
from training.loop import Epoch, fit

CONFIGS = {
    "adamw": LoopConfig(epochs=12, batch_size=32, ema=0.95, clip=1.0, seed=3),
    "muon": LoopConfig(epochs=12, batch_size=32, optimizer="muon", schedule="plateau", patience=4),
}


def main(checkpoint: Path, result: Path, name: str) -> None:
    """Train, slowly enough to be killed, and write the bits that came out."""
    network = core(hidden=(8, 8), dropout=0.3)

    def tell(epoch: Epoch) -> None:
        print(epoch.number, flush=True)  # noqa: T201 - the parent reads it
        time.sleep(0.005)  # no synchronisation: only so that epochs do not pass faster than a signal

    done = fit(
        *(network, blobs(300, apart=1.5), blobs(100, 1, apart=1.5), "classification", CONFIGS[name]),
        *(tell, checkpoint),
        resume=True,
    )
    history = [(epoch.train_loss, epoch.validation_loss, epoch.score) for epoch in done.epochs]
    torch.save({"state": network.state_dict(), "history": history, "best": done.best}, result)


if __name__ == "__main__":
    import training.loop.fit  # noqa: F401

    sys.modules["training.loop.fit"].CHECKPOINT_SECONDS = 0.0  # type: ignore[attr-defined]
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
