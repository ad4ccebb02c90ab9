"""The metrics' own port, on a real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.worker import Worker
from tests import graphs
from tests.servers import Running, running

KEY = "a-key-that-is-long-enough"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path / "models", "m")
    return tmp_path / "models"


@contextmanager
def two_ports(
    folder: Path, worker: Worker | None = None, port: int = 0, **settings: Any
) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of the main port, and of the metrics' own."""
    with (
        running(folder, worker, metrics_port=port, **settings) as server,
        httpx.Client(base_url=server.address) as main,
        httpx.Client(base_url=own(server)) as metrics,
    ):
        yield main, metrics


def own(server: Running) -> str:
    return f"http://127.0.0.1:{server.app.state.settings.metrics_port}"


def test_a_port_of_its_own_has_the_metrics_and_nothing_else(folder: Path) -> None:
    with two_ports(folder) as (main, own):
        assert main.post("/predict", json={"inputs": [[1, 2]]}).status_code == 200
        answer = own.get("/metrics")
        assert 'nv_inference_request_success{model="m",version="1"} 1.0' in answer.text
        assert answer.headers["x-request-id"]
        assert main.get("/metrics").status_code == 404
        for path in ("/", "/predict", "/docs", "/models"):
            assert own.get(path).status_code == 404
        assert own.post("/metrics").status_code == 405
        assert own.get("/metrics", headers={"accept": "image/png"}).status_code == 406


def test_it_needs_a_key_there_too_unless_it_is_open(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "keys").write_text(KEY)
    with two_ports(folder, api_key_file=tmp_path / "keys") as (_, own):
        assert own.get("/metrics").status_code == 401
        assert own.get("/metrics", headers={"x-api-key": KEY}).status_code == 200
    with two_ports(folder, api_key_file=tmp_path / "keys", metrics_open=True) as (_, own):
        assert own.get("/metrics").status_code == 200


def test_workers_share_the_port_and_each_answers_for_all(tmp_path: Path, folder: Path) -> None:
    workers = [Worker(number, 2, tmp_path) for number in (0, 1)]
    with running(folder, workers[0], metrics_port=0) as one:
        port = one.app.state.settings.metrics_port
        with running(folder, workers[1], metrics_port=port, reserve=False) as other:
            for server in (one, one, other):
                httpx.post(f"{server.address}/predict", json={"inputs": [[1, 2]]}).raise_for_status()
            for _ in range(4):
                text = httpx.get(f"{own(one)}/metrics").text
                assert 'nv_inference_request_success{model="m",version="1"} 3.0' in text
                assert "foldserve_workers 2.0" in text


def test_slow_clients_and_long_heads_are_turned_away_there_too(folder: Path) -> None:
    with running(folder, metrics_port=0, read_timeout=0.3, max_header_bytes=2048) as server:
        address = ("127.0.0.1", server.app.state.settings.metrics_port)
        with socket.create_connection(address, timeout=10) as slow:
            slow.sendall(b"GET /metrics HT")
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        with socket.create_connection(address, timeout=10) as long:
            long.sendall(b"GET /metrics HTTP/1.1\r\nx: " + b"a" * 4096)
            assert long.recv(1000).startswith(b"HTTP/1.1 431 ")
