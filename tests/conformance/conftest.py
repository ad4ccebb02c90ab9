"""The server under test: ours, started here on models made here, or any whose address is given.

    OIP_URL=http://127.0.0.1:8000 OIP_GRPC=127.0.0.1:8001 OIP_MODEL=digits pytest tests/conformance

The model named must take one float32 tensor [-1, n]; tests that need more are skipped on a foreign server,
and those of gRPC where no OIP_GRPC is given.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import numpy as np
import pytest

from tests import graphs
from tests.processes import serve
from tests.records import CODES, coded, metadata


@dataclass(frozen=True)
class Target:
    """A server and the model to ask.

    Attributes:
        grpc: its host and port for gRPC, if it has one.
        ours: it was started here with every model of the tests.
    """

    address: str
    model: str
    ours: bool
    grpc: str | None = None


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if address := os.environ.get("OIP_URL"):
        model = os.environ.get("OIP_MODEL", "digits")
        yield Target(address.rstrip("/"), model, ours=False, grpc=os.environ.get("OIP_GRPC"))
        return
    folder = tmp_path_factory.mktemp("models")
    weight = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    graphs.put(graphs.linear(weight, weight[0, :3], softmax=True), folder, "digits")
    labels = graphs.metadata_property(metadata(4, classes=("a", "b", "c")).model_dump_json())
    graphs.put(graphs.linear(weight, weight[0, :3], softmax=True, properties=labels), folder, "labelled")
    codes = graphs.metadata_property(coded().model_dump_json())
    graphs.put(graphs.numeric_and_categorical(codes, CODES), folder, "coded")
    graphs.put(graphs.of_all_datatypes(), folder, "all")
    graphs.put(graphs.identity(graphs.STRING, ["N"]), folder, "text")
    graphs.put(graphs.identity(graphs.FLOAT, ["N", 2], inputs=2), folder, "pair")
    port = free_port()
    with serve(folder, "--grpc-port", str(port)) as server:
        # gRPC is there when HTTP answers; what was printed before it says only that connections wait.
        httpx.get(f"{server.address}/v2/health/ready", timeout=30).raise_for_status()
        yield Target(server.address, "digits", ours=True, grpc=f"127.0.0.1:{port}")


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture
def client(target: Target) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=target.address, timeout=30) as client:
        yield client


@pytest.fixture
def ours(target: Target) -> Target:
    if not target.ours:
        pytest.skip("needs a model of the tests")
    return target
