"""One random generator per purpose, all from one seed: no purpose changes another's draws."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import torch

Purpose = Literal["initialisation", "order", "dropout", "statistics", "mixing", "encoding", "member"]


def derived(seed: int, purpose: Purpose) -> int:
    """The purpose's own seed: SeedSequence mixes both, so that neighbouring seeds share nothing."""
    sequence = np.random.SeedSequence(seed, spawn_key=(get_args(Purpose).index(purpose),))
    # 63 bits: torch's seeds are signed.
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def member_seed(seed: int, member: int) -> int:
    """The seed of one member of an ensemble: the first has the ensemble's own, as a single model would.

    The others' are no neighbours of it: ensembles of the seeds 0 and 1 have no member in common.
    """
    if member == 0:
        return seed
    purpose = get_args(Purpose).index("member")
    return int(np.random.SeedSequence(seed, spawn_key=(purpose, member)).generate_state(1)[0])


def generator(seed: int, purpose: Purpose) -> torch.Generator:
    """A generator of its own for one purpose."""
    return torch.Generator().manual_seed(derived(seed, purpose))
