"""Models that answer with a number of their own, published the way that they should be."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from service.counters import Totals
from service.model import ServedModel
from service.repository import Repository
from tests import graphs
from tests.records import golden, metadata


def constant(number: float, width: int = 2) -> onnx.ModelProto:
    """A model whose answer to anything is the number."""
    return graphs.linear(np.zeros((width, 1), np.float32), np.full(1, number, np.float32))


def drifted() -> onnx.ModelProto:
    """A model that no longer answers what it was certified with."""
    document = metadata(
        2, classes=None, task="regression", golden=golden([[0, 0]], [[1.0]])
    ).model_dump_json()
    weight = np.zeros((2, 1), np.float32)
    return graphs.linear(weight, np.zeros(1, np.float32), properties=graphs.metadata_property(document))


def publish(model: onnx.ModelProto | bytes, folder: Path, name: str = "m", version: int = 1) -> Path:
    """Put a version in its place at once."""
    path = folder / name / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    written = path.with_name(".written")
    written.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return written.replace(path)


def answer(found: Repository | ServedModel, name: str = "m", version: int | None = None) -> float:
    """What a model says."""
    if isinstance(found, Repository):
        found = found.find(name, None if version is None else str(version))
    return float(found.run({"x": np.zeros((1, 2), np.float32)}, ["y"])[0][0, 0])


def words(repository: Repository) -> dict[tuple[str, str], tuple[str, str]]:
    """State and reason by name and version."""
    return {(line.name, line.version): (line.state, line.reason) for line in repository.listing()}


def counted(repository: Repository, stages: list[str] | None = None) -> dict[str, int]:
    """How often version 1 of model m went live, and failed to."""
    totals = Totals.of(repository.host.ledger.read()["m/1"])
    failures = {stage: totals.load_failures[stage] for stage in stages or ["unreadable", "golden", "device"]}
    return {"loads": totals.loads, "live": totals.live, **failures}
