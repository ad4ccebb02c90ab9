"""Checkpoint: the state of a run in one file, whole at any moment.

A new state is written beside the old one and takes its name when it is on the disk, so that a killed process
leaves the one or the other. A state knows the run that it belongs to.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.config import LoopConfig
from training.errors import ConfigError, TrainingError
from training.loop.rows import Rows

VERSION = 2


class Checkpoint:
    """A file for the state of one run."""

    def __init__(self, path: Path, identity: Mapping[str, str]) -> None:
        self._path, self._identity = path, dict(identity)

    def write(self, state: Mapping[str, Any]) -> None:
        """Replace what is there, in one step.

        Raises:
            TrainingError: the disk does not take it; the state before is kept.
        """
        new = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("wb") as file:
                file.write(self._packed(state))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            new.unlink(missing_ok=True)
            reason = error.strerror or error
            raise TrainingError(
                f"the checkpoint {self._path} cannot be written: {reason}; nothing was published"
            ) from error

    def _packed(self, state: Mapping[str, Any]) -> memoryview:
        """In memory first: of a full disk torch says "unexpected pos" and a line of its source."""
        buffer = io.BytesIO()
        torch.save({"version": VERSION, "identity": self._identity, "state": dict(state)}, buffer)
        return buffer.getbuffer()

    def read(self) -> dict[str, Any] | None:
        """The state, or None where there is none yet.

        Raises:
            ConfigError: it belongs to another run, or the file is not a checkpoint.
        """
        if not self._path.exists():
            return None
        try:
            # Only tensors and plain values: a file never brings code.
            found = torch.load(self._path, weights_only=True, map_location="cpu")
            version, identity, state = found["version"], found["identity"], found["state"]
        except Exception as error:
            raise ConfigError(f"{self._path} is not a checkpoint; delete it to start again") from error
        if version != VERSION:
            raise ConfigError(f"{self._path} has version {version}, this program writes {VERSION}; delete it")
        self._check(identity)
        return dict(state)

    def _check(self, found: Mapping[str, str]) -> None:
        for name in self._identity.keys() | found.keys():
            here, there = self._identity.get(name), found.get(name)
            if here != there:
                raise ConfigError(
                    f"{self._path} belongs to another run: its {name} is {there}, here {here}; "
                    "resume with the same options, or delete it"
                )


def identity(network: nn.Module, train: Rows, validation: Rows, config: LoopConfig) -> dict[str, str]:
    """What has to be the same for a run to be the same: the options, the rows and the first weights."""
    options = {name: str(value) for name, value in asdict(config).items()}
    return {
        **options,
        "threads": str(torch.get_num_threads()),
        "network": _digest(list(network.state_dict().values())),
        "training data": _digest(_all(train)),
        "validation data": _digest(_all(validation)),
    }


def _all(rows: Rows) -> list[Tensor]:
    return [*rows.inputs, rows.y, *(() if rows.weight is None else (rows.weight,))]


def _digest(tensors: list[Tensor]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for tensor in tensors:
        digest.update(str((tensor.dtype, tuple(tensor.shape))).encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
