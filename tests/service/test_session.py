import builtins
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from service.errors import DeviceUnavailable, RuntimeMissing, UnreadableModel
from service.session import Session, TensorSpec, Tuning, choose_device, runtime_version
from tests import graphs


@pytest.fixture
def file(tmp_path: Path) -> Path:
    model = graphs.linear(np.eye(2, dtype=np.float32), np.ones(2, np.float32), properties={"by": "hand"})
    return graphs.put(model, tmp_path, "linear")


def test_a_session_knows_its_tensors_and_its_properties(file: Path) -> None:
    session = Session(file)
    assert session.inputs == (TensorSpec("x", "float32", (None, 2)),)
    assert session.outputs == (TensorSpec("y", "float32", (None, 2)),)
    assert session.properties == {"by": "hand"}


def test_run_gives_the_outputs_named(file: Path) -> None:
    [output] = Session(file).run({"x": np.array([[1, 2]], np.float32)}, ["y"])
    assert output.tolist() == [[2.0, 3.0]]


def test_nodes_run_as_written_when_not_optimised(file: Path) -> None:
    rows = np.array([[1, 2]], np.float32)
    assert Session(file, tuning=Tuning(optimise=False)).run({"x": rows})[0].tolist() == [[2.0, 3.0]]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableModel, match="there is no such file"):
        Session(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [b"", b"garbage" * 100])
def test_a_damaged_file_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UnreadableModel) as refusal:
        Session(path)
    assert "\n" not in str(refusal.value)
    assert "ONNXRuntimeError" not in str(refusal.value)


def test_half_a_file_is_refused(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(UnreadableModel):
        Session(file)


def test_an_operator_the_runtime_does_not_know_is_refused(tmp_path: Path) -> None:
    model = graphs.identity(graphs.FLOAT, ["N", 2])
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(UnreadableModel, match="NoSuchOperator"):
        Session(graphs.put(model, tmp_path, "odd"))


def test_the_runtimes_telemetry_is_off_unless_a_person_turned_it_on(file: Path) -> None:
    Session(file)
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_auto_takes_the_cpu_here_and_says_why() -> None:
    device, why = choose_device("auto")
    assert device == "cpu"
    assert "no CUDA provider" in why


def test_cuda_demanded_without_cuda_is_an_error_not_a_fall_back() -> None:
    with pytest.raises(DeviceUnavailable, match="foldserve\\[gpu\\]"):
        choose_device("cuda")


def test_a_session_never_falls_back_to_another_device(file: Path) -> None:
    with pytest.raises(DeviceUnavailable, match="no CUDA provider"):
        Session(file, "cuda")


def test_the_trial_model_is_a_sound_onnx_file(tmp_path: Path) -> None:
    from service.session import _identity_model

    path = tmp_path / "trial.onnx"
    path.write_bytes(_identity_model())
    onnx.checker.check_model(path, full_check=True)
    rows = np.ones((1, 3), np.float32)
    assert Session(path).run({"x": rows})[0].tolist() == rows.tolist()


def test_without_onnxruntime_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.delitem(sys.modules, "onnxruntime", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RuntimeMissing, match=r"foldserve\[cpu\].*foldserve\[gpu\]"):
        runtime_version()
