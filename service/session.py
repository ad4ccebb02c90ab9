"""The only module that imports onnxruntime: load a file, tell the truth about the device, run.

A session never falls back: asked for CUDA it runs on CUDA or raises. onnxruntime itself warns and takes
the CPU, so availability is checked first, fall-back is disabled, and the providers are compared after.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from service.errors import DeviceUnavailable, RuntimeMissing, UnreadableModel

ActualDevice = Literal["cpu", "cuda"]

_PROVIDERS: dict[ActualDevice, str] = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


_FATAL_ONLY = 4
"""What onnxruntime writes to stderr by itself: its errors are raised too, and told in our own log."""

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(bfloat16)": "bfloat16",
    "tensor(int8)": "int8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(uint8)": "uint8",
    "tensor(uint16)": "uint16",
    "tensor(uint32)": "uint32",
    "tensor(uint64)": "uint64",
    "tensor(bool)": "bool",
    "tensor(string)": "string",
}


@dataclass(frozen=True)
class TensorSpec:
    """A graph input or output: name, NumPy dtype ("string" for text, or onnxruntime's own word for what is
    not a tensor) and shape, None where a dimension is free."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor; a sequence or a map is not."""
        return self.dtype in _DTYPES.values()


@dataclass(frozen=True)
class Tuning:
    """How a session runs, whatever the model.

    Attributes:
        threads: of one run. 1 means no pool at all: a pool costs more than the microseconds of a small model.
        optimise: False runs the nodes as they are written.
        tf32: let a GPU multiply in TF32, which makes it differ from the CPU by about 1e-3.
    """

    threads: int = 1
    optimise: bool = True
    tf32: bool = False


class Session:
    """One ONNX file, ready to run on one device.

    Raises:
        RuntimeMissing: onnxruntime is not installed.
        DeviceUnavailable: the device cannot be used.
        UnreadableModel: the file is absent, damaged, or uses what this runtime does not know.
    """

    def __init__(self, path: Path, device: ActualDevice = "cpu", tuning: Tuning | None = None) -> None:
        self.path = path
        self.device = device
        self.tuning = tuning or Tuning()
        self._session = _open(path, device, self.tuning)
        # What the public `run` calls once it has looked for what cannot be here: a replayed graph, an input
        # too few, a value of another session. That takes longer than a small model.
        self._compute = getattr(self._session, "_sess", self._session).run
        self.provider: str = self._session.get_providers()[0]
        self.inputs = tuple(_spec(arg) for arg in self._session.get_inputs())
        self.outputs = tuple(_spec(arg) for arg in self._session.get_outputs())
        self.properties: Mapping[str, str] = self._session.get_modelmeta().custom_metadata_map

    def run(self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None) -> list[Any]:
        """The outputs named, or all, for one batch. Safe to call from several threads at once."""
        result: list[Any] = self._compute(outputs or [spec.name for spec in self.outputs], feeds, None)
        return result


def choose_device(asked: Literal["auto", "cpu", "cuda"]) -> tuple[ActualDevice, str]:
    """The device that will be used and, in words, why.

    Raises:
        RuntimeMissing: onnxruntime is not installed.
        DeviceUnavailable: CUDA was demanded and does not work here.
    """
    runtime = _runtime()
    if asked == "cpu":
        return "cpu", "as asked"
    reason = _cuda_failure(runtime)
    if reason is None:
        return "cuda", "as asked" if asked == "cuda" else "auto: CUDA works here"
    if asked == "cuda":
        raise DeviceUnavailable("cuda", f"{reason}; it needs an NVIDIA driver and 'foldserve[gpu]'")
    return "cpu", f"auto: {reason}"


def input_fault(error: Exception) -> str | None:
    """Why a run could not compute its inputs, without positions in sources; None when it was not them."""
    if not type(error).__module__.startswith("onnxruntime"):
        return None
    text = " ".join(str(error).split())
    if re.search("alloc", text, re.IGNORECASE):
        return None
    node = re.search(r"while running (\w+) node", text)
    reason = text.rpartition("Status Message: ")[2].rpartition(" was false. ")[2]
    reason = "the sizes do not go together" if "/" in reason else reason.split(" : ")[-1]
    return (f"{node[1]}: {reason}" if node else reason)[:200]


def provider_of(device: ActualDevice) -> str:
    """What onnxruntime calls a device."""
    return _PROVIDERS[device]


def runtime_version() -> str:
    """The version of onnxruntime.

    Raises:
        RuntimeMissing: it is not installed.
    """
    return str(_runtime().__version__)


def _runtime() -> ModuleType:
    # Its wheels report to their maker over the network unless told not to; a person may decide otherwise.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise RuntimeMissing from error
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    runtime: ModuleType = onnxruntime
    return runtime


def _open(path: Path, device: ActualDevice, tuning: Tuning) -> Any:
    runtime = _runtime()
    if not path.is_file():
        raise UnreadableModel(path, "there is no such file")
    if device != "cpu" and (reason := _cuda_failure(runtime)) is not None:
        raise DeviceUnavailable(device, reason)
    try:
        session = _new_session(runtime, str(path), device, tuning)
    except Exception as error:
        raise _refusal(path, error) from error
    if session.get_providers()[0] != _PROVIDERS[device]:
        raise DeviceUnavailable(device, f"onnxruntime took {session.get_providers()[0]} instead")
    return session


def _new_session(runtime: ModuleType, model: str | bytes, device: ActualDevice, tuning: Tuning) -> Any:
    options = runtime.SessionOptions()
    if not tuning.optimise:
        options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = tuning.threads
    options.inter_op_num_threads = 1
    # A thread that spins while it waits takes the core from one that has work.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Batch sizes vary: a memory pattern per shape would only grow.
    options.enable_mem_pattern = False
    if device != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return runtime.InferenceSession(
        model,
        options,
        providers=[_PROVIDERS[device]],
        provider_options=[_provider_options(device, tuning)],
        enable_fallback=0,
    )


def _provider_options(device: ActualDevice, tuning: Tuning) -> dict[str, str]:
    if device == "cpu":
        return {}
    # The arena must not double with each new batch size.
    return {"use_tf32": str(int(tuning.tf32)), "arena_extend_strategy": "kSameAsRequested"}


@cache
def _cuda_failure(runtime: ModuleType) -> str | None:
    """Why CUDA cannot be used, or None when a small model ran on it."""
    if _PROVIDERS["cuda"] not in runtime.get_available_providers():
        return "this onnxruntime has no CUDA provider"
    try:
        session = _new_session(runtime, _identity_model(), "cuda", Tuning())
        session.run(None, {"x": np.zeros((1, 3), np.float32)})
    except Exception as error:
        return _first_line(error)
    if session.get_providers()[0] != _PROVIDERS["cuda"]:
        return f"onnxruntime took {session.get_providers()[0]} for a trial model"
    return None


def _identity_model() -> bytes:
    """y = Identity(x), x float32 [N, 3]: serialised by hand, for the service does not depend on onnx."""
    return (
        b'\x08\n:A\n\x10\n\x01x\x12\x01y"\x08Identity\x12\x01gZ\x14\n\x01x\x12\x0f\n\r\x08\x01\x12\t\n\x03\x12\x01N'
        b"\n\x02\x08\x03b\x14\n\x01y\x12\x0f\n\r\x08\x01\x12\t\n\x03\x12\x01N\n\x02\x08\x03B\x04\n\x00\x10\x14"
    )


def _spec(arg: Any) -> TensorSpec:
    shape = tuple(size if isinstance(size, int) else None for size in arg.shape)
    return TensorSpec(arg.name, _DTYPES.get(arg.type, arg.type), shape)


def _refusal(path: Path, error: Exception) -> UnreadableModel:
    """onnxruntime reads no external data outside the folder of the file: an absolute path, one with "..", or
    a link that leads out ends here, before anything is read."""
    line = _first_line(error)
    if "External data path" in line:
        if "does not exist" in line:
            return UnreadableModel(path, "a file with its external data is missing")
        return UnreadableModel(path, "its external data lie outside its own folder", stage="unsafe")
    return UnreadableModel(path, line.replace(f"{path.parent}/", ""))


def _first_line(error: Exception) -> str:
    """onnxruntime's message without its prefix and without the lines of source positions below it."""
    text = str(error).strip() or type(error).__name__
    line = text.splitlines()[0]
    return line.split(":", 3)[-1].strip() if line.startswith("[ONNXRuntimeError]") else line
