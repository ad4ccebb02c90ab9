"""The server under test: ours, started here on models made here, or any whose address is given.

    OIP_URL=http://127.0.0.1:8000 OIP_MODEL=digits pytest tests/conformance

The model named must take one float32 tensor [-1, n]; tests that need more are skipped on a foreign server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from tests import graphs
from tests.processes import serve


@dataclass(frozen=True)
class Target:
    """A server and the model to ask; `ours` when it was started here with every model of the tests."""

    address: str
    model: str
    ours: bool


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if address := os.environ.get("OIP_URL"):
        yield Target(address.rstrip("/"), os.environ.get("OIP_MODEL", "digits"), ours=False)
        return
    folder = tmp_path_factory.mktemp("models")
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    graphs.put(graphs.linear(weight, weight[0, :3], softmax=True), folder, "digits")
    graphs.put(graphs.of_all_datatypes(), folder, "all")
    graphs.put(graphs.identity(graphs.STRING, ["N"]), folder, "text")
    graphs.put(graphs.identity(graphs.FLOAT, ["N", 2], inputs=2), folder, "pair")
    with serve(folder) as server:
        yield Target(server.address, "digits", ours=True)


@pytest.fixture
def client(target: Target) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=target.address, timeout=30) as client:
        yield client


@pytest.fixture
def ours(target: Target) -> Target:
    if not target.ours:
        pytest.skip("needs a model of the tests")
    return target
