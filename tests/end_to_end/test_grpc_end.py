"""The end of a real server under gRPC load: a call is answered, or told that it may be tried elsewhere."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from service.grpc.messages import INFERENCE, ModelInferRequest, class_of, methods
from tests import graphs
from tests.processes import serve

CLIENTS = 6


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    graphs.put(graphs.mlp(64, 256, 10), folder, "m")
    return folder


class Client(threading.Thread):
    """Asks until it is refused, over a connection of its own."""

    def __init__(self, address: str, body: bytes) -> None:
        super().__init__(daemon=True)
        self.address = address
        self.body = body
        self.ends: Counter[str] = Counter()

    def run(self) -> None:
        reply = class_of(methods(INFERENCE)["ModelInfer"].output_type)
        with grpc.insecure_channel(self.address) as channel:
            infer = channel.unary_unary(f"/{INFERENCE}/ModelInfer", response_deserializer=reply.FromString)
            while True:
                try:
                    answer: Any = infer(self.body, timeout=20)
                except grpc.RpcError as error:
                    self.ends[error.code().name] += 1  # type: ignore[attr-defined]
                    return
                assert answer.outputs
                self.ends["OK"] += 1


@pytest.mark.parametrize("workers", [1, 2])
def test_calls_are_answered_or_told_to_try_elsewhere(models: Path, workers: int) -> None:
    rows = np.ones((4, 64), np.float32)
    tensor = {"name": "h0", "datatype": "FP32", "shape": rows.shape}
    request = ModelInferRequest(model_name="m", inputs=[tensor], raw_input_contents=[rows.tobytes()])
    with serve(models, "--grpc-port", "0", "--workers", str(workers)) as server:
        [address] = [line.split()[-1] for line in server.words.splitlines() if line.startswith("grpc on ")]
        clients = [Client(address, request.SerializeToString()) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        while not all(client.ends["OK"] > 20 for client in clients):
            assert all(client.is_alive() for client in clients)
        server.process.send_signal(signal.SIGTERM)
        output, _ = server.process.communicate(timeout=20)
        assert server.process.returncode == 0
        assert "Traceback" not in output
        for client in clients:
            client.join(20)
    ends = sum((client.ends for client in clients), Counter[str]())
    assert set(ends) == {"OK", "UNAVAILABLE"}
    assert ends["UNAVAILABLE"] == CLIENTS
