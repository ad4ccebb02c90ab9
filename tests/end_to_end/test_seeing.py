"""A real process seen from outside: its log, its metrics, its keys."""

from __future__ import annotations

import json
import signal
import socket
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from tests.processes import Server, run, serve

MODELS = Path(__file__).parents[2] / "models"
KEY = "a-key-that-is-long-enough"
ROWS = {"inputs": [[0.0] * 64] * 3}


def log_of(server: Server) -> list[dict[str, Any]]:
    """End a server; every line that it wrote to its log is JSON."""
    server.process.send_signal(signal.SIGTERM)
    output, _ = server.process.communicate(timeout=15)
    assert server.process.returncode == 0
    return [json.loads(line) for line in output.splitlines() if not line.startswith("try:")]


def samples(text: str) -> dict[str, float]:
    return {sample.name: sample.value for family in parse(text) for sample in family.samples}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_log_of_a_process_is_json_with_a_line_for_each_request() -> None:
    with serve(MODELS, "--default-model", "digits", "--log-level", "debug") as server:
        for path, status in (("/predict", 200), ("/predict?secret=yes", 200), ("/nowhere", 404)):
            answer = httpx.post(f"{server.address}{path}", json=ROWS, headers={"x-request-id": f"id{status}"})
            assert answer.status_code == status
        lines = [line for line in log_of(server) if line["logger"] == "foldserve.requests"]
    assert [(line["path"], line["status"], line["request_id"]) for line in lines] == [
        ("/predict", 200, "id200"),
        ("/predict", 200, "id200"),
        ("/nowhere", 404, "id404"),
    ]
    assert (
        lines[0].items()
        >= {"model": "digits", "version": 1, "rows": 3, "level": "debug", "method": "POST"}.items()
    )
    assert {"time", "client", "total_ms", "decode_ms", "run_ms", "encode_ms", "process"} <= set(lines[0])


def test_without_debug_a_process_that_answers_says_nothing() -> None:
    with serve(MODELS, "--default-model", "digits") as server:
        for path in ("/predict", "/nowhere"):
            httpx.post(f"{server.address}{path}", json=ROWS)
        assert not log_of(server)


def test_what_the_protocol_cannot_read_is_logged_in_the_same_form() -> None:
    with serve(MODELS, "--default-model", "digits") as server:
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=5) as client:
            client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 400")
        httpx.get(f"{server.address}/health/ready").raise_for_status()
        assert all(line["level"] == "warning" for line in log_of(server))


@pytest.mark.parametrize("workers", [1, 2])
def test_metrics_add_up_over_the_workers_on_a_port_of_their_own(workers: int) -> None:
    port = free_port()
    options = ("--metrics-port", str(port), "--workers", str(workers), "--default-model", "digits")
    with serve(MODELS, *options) as server:
        for _ in range(10):
            httpx.post(f"{server.address}/predict", json=ROWS, timeout=30).raise_for_status()
        assert httpx.get(f"{server.address}/metrics").status_code == 404
        for _ in range(3):
            found = samples(httpx.get(f"http://127.0.0.1:{port}/metrics").text)
            assert found["nv_inference_request_success_total"] == 10
            assert found["foldserve_run_rows_sum"] == 30
            assert found["foldserve_model_loaded"] == found["foldserve_workers"] == workers


def test_a_key_is_needed_and_may_be_changed_while_the_process_runs(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(KEY + "\n")
    options = ("--api-key-file", str(tmp_path / "keys"), "--default-model", "digits")
    with serve(MODELS, *options) as server, httpx.Client(base_url=server.address) as client:
        assert client.get("/health/ready").status_code == 200
        assert client.post("/predict", json=ROWS).status_code == 401
        bearer = {"authorization": f"Bearer {KEY}"}
        assert client.post("/predict", json=ROWS, headers=bearer).status_code == 200
        (tmp_path / "new").write_text("another-key-of-sixteen-letters\n")
        (tmp_path / "new").replace(tmp_path / "keys")
        other = {"x-api-key": "another-key-of-sixteen-letters"}
        answers = (client.post("/predict", json=ROWS, headers=other).status_code for _ in range(10_000))
        assert 200 in answers
        assert client.post("/predict", json=ROWS, headers=bearer).status_code == 401


@pytest.mark.parametrize("text", ["", "# nobody\n", "short\n"])
def test_a_file_of_keys_that_is_not_in_order_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "keys").write_text(text)
    ended = run("serve", "--models-dir", MODELS, "--port", "0", "--api-key-file", tmp_path / "keys")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"foldserve: cannot read the API keys {tmp_path / 'keys'}: ")
    assert ended.stderr.count("\n") == 1
