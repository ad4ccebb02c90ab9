"""Triton's own client loads and unloads models of a real server."""

from pathlib import Path

import numpy as np
import pytest

from tests.processes import serve
from tests.service.repository.files import constant, publish

triton = pytest.importorskip("tritonclient.http")


def test_the_client_of_triton_loads_unloads_and_sends_models(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    with serve(tmp_path, "--repository-api", "--watch-interval", "0.05") as server:
        client = triton.InferenceServerClient(server.address.removeprefix("http://"))

        def said() -> float:
            given = triton.InferInput("x", [1, 2], "FP32")
            given.set_data_from_numpy(np.zeros((1, 2), np.float32))
            return float(client.infer("m", [given]).as_numpy("y")[0, 0])

        client.unload_model("m", unload_dependents=True)
        assert not client.is_model_ready("m")
        assert client.get_model_repository_index() == [
            {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
        ]
        client.load_model("m")
        assert said() == 1
        client.load_model("m", config="{}", files={"file:1/model.onnx": constant(7).SerializeToString()})
        assert said() == 7
        with pytest.raises(triton.InferenceServerException, match=r"\[400\].*was not loaded"):
            client.load_model("m", config="{}", files={"file:1/model.onnx": b"half a file"})
        assert said() == 7
        client.load_model("m")
        assert said() == 1
        with pytest.raises(triton.InferenceServerException, match="no model named"):
            client.unload_model("nobody")
        assert "model_repository(unload_dependents)" in client.get_server_metadata()["extensions"]
        client.close()
