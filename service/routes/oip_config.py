"""GET /v2/models/{name}/config: a model's configuration in Triton's form, made from its graph.

Where every input and output leaves its first dimension free, that dimension is the batch and `dims` are the
others; elsewhere `max_batch_size` is 0 and `dims` are the whole shape.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.datastructures import State

from service.model import ServedModel
from service.payloads.oip.datatypes import DATATYPES, dimensions
from service.routes.oip import RESPONSES
from service.routes.oip_forms import PLATFORM
from service.session import TensorSpec
from service.settings import Settings

_LARGEST = 2**31 - 1

router = APIRouter(prefix="/v2", tags=["open inference protocol"], responses=RESPONSES)


class Tensor(BaseModel):
    """An input or output without its batch dimension; −1 is a dimension that is free."""

    name: str
    data_type: str
    dims: list[int]


class DynamicBatching(BaseModel):
    """Rows of requests that wait are run together; nothing waits for more."""

    preferred_batch_size: list[int]
    """The most rows of one run."""
    max_queue_delay_microseconds: int = 0


class InstanceGroup(BaseModel):
    """One session in each worker."""

    name: str
    kind: str
    count: int
    gpus: list[int]


class ModelConfig(BaseModel):
    """What the server decides about a model."""

    name: str
    platform: str = PLATFORM
    backend: str = "onnxruntime"
    version_policy: dict[str, dict[str, Any]]
    max_batch_size: int
    """The most rows of one request; 0 for a model that takes no batches."""
    input: list[Tensor]
    output: list[Tensor]
    dynamic_batching: DynamicBatching | None = None
    instance_group: list[InstanceGroup]
    default_model_filename: str = "model.onnx"


@router.get("/models/{name}/config", response_model_exclude_none=True)
async def model_config(request: Request, name: str) -> ModelConfig:
    """The configuration of a model's default version."""
    return configuration(request.app.state, name)


@router.get("/models/{name}/versions/{version}/config", response_model_exclude_none=True)
async def version_config(request: Request, name: str, version: str) -> ModelConfig:
    """The configuration of one version."""
    return configuration(request.app.state, name, version)


def configuration(state: State, name: str, version: str | None = None) -> ModelConfig:
    """The configuration of the version that answers."""
    model: ServedModel = state.repository.find(name, version)
    settings: Settings = state.settings
    outputs = [spec for spec in model.session.outputs if spec.is_tensor]
    batches = all(spec.shape[:1] == (None,) for spec in (*model.session.inputs, *outputs))
    most = min(settings.max_rows, _LARGEST) if batches else 0
    return ModelConfig(
        name=model.name,
        version_policy=_policy(settings.versions),
        max_batch_size=most,
        input=_tensors(model.session.inputs, batches),
        output=_tensors(outputs, batches),
        dynamic_batching=_batching(model) if batches else None,
        instance_group=[_instances(model, settings.workers)],
    )


def _policy(versions: str) -> dict[str, dict[str, Any]]:
    if versions == "latest":
        return {"latest": {"num_versions": 1}}
    if versions == "all":
        return {"all": {}}
    return {"specific": {"versions": [int(number) for number in versions.split(",")]}}


def _tensors(specs: Sequence[TensorSpec], batches: bool) -> list[Tensor]:
    return [
        Tensor(
            name=spec.name,
            data_type=_data_type(spec.dtype),
            dims=dimensions(spec)[1:] if batches else dimensions(spec),
        )
        for spec in specs
    ]


def _data_type(dtype: str) -> str:
    """Triton's name for the configuration, which is not the protocol's."""
    if dtype not in DATATYPES:
        return "TYPE_INVALID"
    return "TYPE_STRING" if dtype == "string" else f"TYPE_{DATATYPES[dtype]}"


def _batching(model: ServedModel) -> DynamicBatching | None:
    rows = model.rows_together
    return DynamicBatching(preferred_batch_size=[rows]) if rows else None


def _instances(model: ServedModel, workers: int) -> InstanceGroup:
    on_gpu = model.session.device == "cuda"
    kind = "KIND_GPU" if on_gpu else "KIND_CPU"
    return InstanceGroup(name=model.name, kind=kind, count=workers, gpus=[0] if on_gpu else [])
