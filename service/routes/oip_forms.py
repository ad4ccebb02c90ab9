"""The answers of the Open Inference Protocol, apart from those of infer, as /docs shows them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from service import __version__

PLATFORM = "onnxruntime_onnx"
EXTENSIONS = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "model_repository(unload_dependents)",
    "statistics",
]


class Live(BaseModel):
    """The process answers."""

    live: bool = True


class Ready(BaseModel):
    """Some model answers."""

    ready: bool = True


class ModelReady(BaseModel):
    """The model answers."""

    name: str
    ready: bool = True


class ServerMetadata(BaseModel):
    """The server and the extensions of the protocol that it speaks."""

    name: str = "foldserve"
    version: str = __version__
    extensions: list[str] = EXTENSIONS


class TensorMetadata(BaseModel):
    """An input or output; −1 is a dimension that is free."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """A model, and the tensors of the version asked for."""

    name: str
    versions: list[str]
    platform: str = PLATFORM
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]
    properties: dict[str, str]


class Count(BaseModel):
    """How often, and for how many nanoseconds together."""

    count: int
    ns: int


class InferenceStatistics(BaseModel):
    """Where the time of the requests went. There is no cache."""

    success: Count
    fail: Count
    queue: Count
    compute_input: Count
    compute_infer: Count
    compute_output: Count
    cache_hit: Count
    cache_miss: Count


class VersionStatistics(BaseModel):
    """One version of a model, since it was loaded."""

    name: str
    version: str
    last_inference: int
    """When the last request was answered, in milliseconds since 1970; 0 before the first."""
    inference_count: int
    """Rows computed."""
    execution_count: int
    """Runs."""
    inference_stats: InferenceStatistics
    batch_stats: list[Any] = []


class Statistics(BaseModel):
    """In the form of Triton."""

    model_stats: list[VersionStatistics]


class IndexEntry(BaseModel):
    """One version on disk."""

    name: str
    version: str
    """Empty when the line is about the model's folder."""
    state: Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
    reason: str
