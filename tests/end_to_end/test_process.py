"""One real server process over TCP: answers, errors, and the way it ends."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest

from service.metadata import read_metadata, row_errors
from service.session import Session
from tests.processes import run, serve

MODELS = Path(__file__).parents[2] / "models"
JSON = {"content-type": "application/json"}


def golden(name: str) -> tuple[np.ndarray, np.ndarray]:
    metadata = read_metadata(Session(MODELS / name / "1" / "model.onnx").properties)
    assert metadata is not None
    assert metadata.golden is not None
    return np.array(metadata.golden.inputs), np.array(metadata.golden.outputs)


def test_a_real_process_answers_like_the_file_and_survives_bad_requests() -> None:
    rows, expected = golden("digits")
    with (
        serve(MODELS, "--default-model", "digits") as server,
        httpx.Client(base_url=server.address) as client,
    ):
        for _ in range(3):
            assert client.post("/predict", json={"inputs": [[1]]}).status_code == 422
            assert client.post("/predict", content=b"{").status_code == 415
            too_large = client.post("/predict", content=b" " * (17 * 2**20), headers=JSON)
            assert too_large.status_code == 413
            answer = client.post("/predict", json={"inputs": rows.tolist()}).json()
            assert row_errors(np.array(answer["probabilities"]), expected).max() < 64 * 2.0**-23


def test_the_words_at_the_start_name_device_models_and_a_call_that_works() -> None:
    with serve(MODELS, "--default-model", "digits") as server:
        line = server.process.stdout.readline()  # type: ignore[union-attr]
        assert line.startswith("try:  curl -s http://127.0.0.1:")
        assert "device cpu (auto: " in server.words
        assert "model digits: version 1, default" in server.words
        import shlex
        import subprocess

        pasted = shlex.split(line.removeprefix("try:"))
        output = subprocess.run(pasted, capture_output=True, check=True, timeout=10).stdout
        assert output.startswith(b'{"model":"digits","version":1,"predictions":[')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_process_cleanly(number: signal.Signals) -> None:
    with serve(MODELS) as server:
        httpx.get(f"{server.address}/health/ready").raise_for_status()
        server.process.send_signal(number)
        output, _ = server.process.communicate(timeout=10)
        assert server.process.returncode == 0
        assert "Traceback" not in output


def test_several_workers_answer_on_one_port_and_end_together() -> None:
    rows, _ = golden("digits")
    with serve(MODELS, "--workers", "2", "--default-model", "digits") as server:
        with httpx.Client(base_url=server.address, timeout=30) as client:
            answers = {client.post("/predict", json={"inputs": rows.tolist()}).content for _ in range(5)}
        assert len(answers) == 1
        server.process.send_signal(signal.SIGTERM)
        output, _ = server.process.communicate(timeout=15)
        assert server.process.returncode == 0
        assert "Traceback" not in output


def test_a_taken_port_is_one_clear_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("serve", "--models-dir", MODELS, "--port", port)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(f"foldserve: cannot listen on 127.0.0.1:{port}: Address already in use")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--device", "cuda"], 1, "the device 'cuda' cannot be used: this onnxruntime has no CUDA provider"),
        (["--device", "tpu"], 2, "setting device is 'tpu'"),
        (["--port", "99999"], 2, "setting port is '99999'"),
        (
            ["--default-model", "nobody"],
            2,
            "no model named 'nobody': there is breast-cancer, diabetes, digits",
        ),
        (["--host", "203.0.113.1"], 1, "cannot listen on 203.0.113.1"),
    ],
)
def test_a_start_that_cannot_be_is_one_clear_line(options: list[str], code: int, words: str) -> None:
    ended = run("serve", "--models-dir", MODELS, "--port", "0", *options)
    assert ended.returncode == code
    assert words in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_check_says_what_would_be_served_and_ends() -> None:
    ended = run("serve", "--models-dir", MODELS, "--port", "0", "--check")
    assert ended.returncode == 0
    assert "model diabetes: version 1" in ended.stdout
    quiet = run("serve", "--models-dir", MODELS, "--port", "0", "--check", "--quiet")
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")


def test_offline_predictions_are_the_servers_bit_for_bit(tmp_path: Path) -> None:
    rows, _ = golden("diabetes")
    metadata = read_metadata(Session(MODELS / "diabetes" / "1" / "model.onnx").properties)
    assert metadata is not None
    names = [feature.name for feature in metadata.features]
    pl.DataFrame(rows, schema=names).write_csv(tmp_path / "rows.csv")
    model = MODELS / "diabetes" / "1" / "model.onnx"
    ended = run("predict", model, tmp_path / "rows.csv", "-o", tmp_path / "out.parquet")
    assert ended.returncode == 0
    offline = pl.read_parquet(tmp_path / "out.parquet")["prediction"].to_numpy()
    with serve(MODELS, "--default-model", "diabetes") as server:
        answer = httpx.post(f"{server.address}/predict", json={"inputs": rows.tolist()}).json()
    assert offline.dtype == np.float32
    assert np.array(answer["predictions"], np.float32).tobytes() == offline.tobytes()
