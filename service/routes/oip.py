"""The Open Inference Protocol v2 over REST: what the server and its models are, and whether they are ready.

Every error below /v2 is exactly {"error": text}, as the protocol has it. The hot route is `oip_infer`.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.datastructures import State

from service.counters import Histogram, Totals
from service.errors import NothingServed, ShuttingDown
from service.ledger import Ledger
from service.model import ServedModel
from service.openapi.answers import Error, failures
from service.payloads.oip.datatypes import DATATYPES, dimensions
from service.repository import Repository
from service.routes.oip_forms import (
    Count,
    InferenceStatistics,
    Live,
    ModelMetadata,
    ModelReady,
    Ready,
    ServerMetadata,
    Statistics,
    TensorMetadata,
    VersionStatistics,
)
from service.session import TensorSpec, runtime_version

RESPONSES = failures(Error, (400, 401, 403, 404, 405, 413, 415, 422, 500, 503))

router = APIRouter(prefix="/v2", tags=["open inference protocol"], responses=RESPONSES)


@router.get("/health/live")
async def live() -> Live:
    """200 as long as the process answers."""
    return Live()


@router.get("/health/ready")
async def ready(request: Request) -> Ready:
    """200 when some model answers, else 503; and 503 from the moment that the server is told to end."""
    if request.app.state.draining:
        raise ShuttingDown
    if not _repository(request).ready:
        raise NothingServed
    return Ready()


@router.get("/", include_in_schema=False)
@router.get("")
async def server_metadata() -> ServerMetadata:
    """The server's name, version and extensions."""
    return ServerMetadata()


@router.get("/models/stats")
async def all_statistics(request: Request) -> Statistics:
    """What every served version has done."""
    return statistics(request.app.state)


@router.get("/models/{name}/stats")
async def model_statistics(request: Request, name: str) -> Statistics:
    """What every served version of a model has done."""
    return statistics(request.app.state, name)


@router.get("/models/{name}/versions/{version}/stats")
async def version_statistics(request: Request, name: str, version: str) -> Statistics:
    """What one version has done."""
    return statistics(request.app.state, name, version)


@router.get("/models/{name}")
async def model_metadata(request: Request, name: str) -> ModelMetadata:
    """The inputs and outputs of a model's default version."""
    return metadata(request.app.state, name)


@router.get("/models/{name}/versions/{version}")
async def version_metadata(request: Request, name: str, version: str) -> ModelMetadata:
    """The inputs and outputs of one version."""
    return metadata(request.app.state, name, version)


@router.get("/models/{name}/ready")
async def model_ready(request: Request, name: str) -> ModelReady:
    """200 when the model answers, 503 when it is there but does not."""
    return ModelReady(name=_repository(request).find(name).name)


@router.get("/models/{name}/versions/{version}/ready")
async def version_ready(request: Request, name: str, version: str) -> ModelReady:
    """200 when that version answers, 503 when it is there but does not."""
    return ModelReady(name=_repository(request).find(name, version).name)


def metadata(state: State, name: str, version: str | None = None) -> ModelMetadata:
    """The inputs and outputs of the version that answers."""
    model: ServedModel = state.repository.find(name, version)
    return ModelMetadata(
        name=model.name,
        versions=[str(served.version) for served in state.repository.served(model.name)],
        inputs=[_tensor(spec) for spec in model.session.inputs],
        outputs=[_tensor(spec) for spec in model.session.outputs if spec.is_tensor],
        properties=_properties(state, model),
    )


def statistics(state: State, name: str | None = None, version: str | None = None) -> Statistics:
    """What one version has done, every served version of a model, or of all models."""
    repository: Repository = state.repository
    if version is not None:
        models = [repository.find(name, version)]
    elif name is not None:
        repository.find(name)
        models = repository.served(name)
    else:
        models = [model for each in repository.names for model in repository.served(each)]
    return Statistics(model_stats=[_statistics(state, model) for model in models])


def is_below(path: str) -> bool:
    """Whether a path belongs to this protocol."""
    return path == "/v2" or path.startswith("/v2/")


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


def _properties(state: State, model: ServedModel) -> dict[str, str]:
    """What it runs on, as asked and in truth."""
    session = model.session
    return {
        "device_asked": state.settings.device,
        "device": session.device,
        "provider": session.provider,
        "threads": str(session.tuning.threads),
        "workers": str(state.worker.count),
        "runtime": f"onnxruntime {runtime_version()}",
    }


def _tensor(spec: TensorSpec) -> TensorMetadata:
    kind = DATATYPES.get(spec.dtype, spec.dtype)
    return TensorMetadata(name=spec.name, datatype=kind, shape=dimensions(spec))


def _statistics(state: State, model: ServedModel) -> VersionStatistics:
    """What a version has done in all workers together."""
    ledger: Ledger = state.ledger
    totals = Totals.of(ledger.read().get(f"{model.name}/{model.version}", []))
    phases = totals.phases
    return VersionStatistics(
        name=model.name,
        version=str(model.version),
        last_inference=totals.last_ms,
        inference_count=totals.rows,
        execution_count=totals.executions,
        inference_stats=InferenceStatistics(
            success=_count(phases["request"]),
            fail=Count(count=sum(totals.failures.values()), ns=totals.failed_ns),
            queue=_count(phases["queue"]),
            compute_input=_count(phases["decode"]),
            compute_infer=_count(phases["run"]),
            compute_output=_count(phases["encode"]),
            cache_hit=Count(count=0, ns=0),
            cache_miss=Count(count=0, ns=0),
        ),
    )


def _count(times: Histogram) -> Count:
    return Count(count=times.count, ns=round(times.total * 1e9))
