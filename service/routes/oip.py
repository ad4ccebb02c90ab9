"""The Open Inference Protocol v2 over REST: what the server and its models are, and whether they are ready.

Every error below /v2 is exactly {"error": text}, as the protocol has it. The hot route is `oip_infer`.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import State

from service.counters import Histogram, Totals
from service.errors import NothingServed, RepositoryClosed, UnknownModel
from service.ledger import Ledger
from service.model import ServedModel
from service.payloads.oip.datatypes import DATATYPES, dimensions
from service.payloads.oip.index import read_index_request
from service.repository import Refused, Repository
from service.routes.bodies import read_body
from service.routes.oip_forms import (
    Count,
    Error,
    IndexEntry,
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

RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Error} for status in (400, 403, 404, 405, 413, 415, 422, 500, 503)
}

router = APIRouter(prefix="/v2", tags=["open inference protocol"], responses=RESPONSES)


@router.get("/health/live")
async def live() -> Live:
    """200 as long as the process answers."""
    return Live()


@router.get("/health/ready")
async def ready(request: Request) -> Ready:
    """200 when some model answers, else 503."""
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


_INDEX_REQUEST = {"type": "object", "properties": {"ready": {"type": "boolean", "default": False}}}


@router.post(
    "/repository/index",
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": _INDEX_REQUEST}}}},
)
async def repository_index(request: Request) -> list[IndexEntry]:
    """Every version on disk, served or not and why; with {"ready": true} only those served."""
    limit: int = request.app.state.settings.max_body_bytes
    body = await read_body(request.scope, request.receive, limit)
    return index(request.app.state, only_ready=read_index_request(body))


@router.post("/repository/models/{name}/load")
@router.post("/repository/models/{name}/unload")
async def change_repository(request: Request, name: str) -> None:
    """Refused: models are loaded from the models folder when the server starts."""
    refuse_change(request.app.state, name)


def metadata(state: State, name: str, version: str | None = None) -> ModelMetadata:
    """The inputs and outputs of the version that answers."""
    model: ServedModel = state.repository.find(name, version)
    return ModelMetadata(
        name=model.name,
        versions=[str(served.version) for served in _served(state, model.name)],
        inputs=[_tensor(spec) for spec in model.session.inputs],
        outputs=[_tensor(spec) for spec in model.session.outputs if spec.is_tensor],
        properties={"device": model.session.device, "runtime": f"onnxruntime {runtime_version()}"},
    )


def statistics(state: State, name: str | None = None, version: str | None = None) -> Statistics:
    """What one version has done, every served version of a model, or of all models."""
    repository: Repository = state.repository
    if version is not None:
        models = [repository.find(name, version)]
    elif name is not None:
        repository.find(name)
        models = _served(state, name)
    else:
        models = [model for each in repository.names for model in _served(state, each)]
    return Statistics(model_stats=[_statistics(state, model) for model in models])


def index(state: State, *, only_ready: bool) -> list[IndexEntry]:
    """Every version on disk, or those that are served."""
    repository: Repository = state.repository
    entries = [
        _index_entry(name, number, found)
        for name in repository.names
        for number, found in sorted(repository.models[name].items())
    ]
    return [entry for entry in entries if entry.state == "READY" or not only_ready]


def refuse_change(state: State, name: str) -> None:
    """Refuse to load or unload.

    Raises:
        UnknownModel, RepositoryClosed: as they say.
    """
    repository: Repository = state.repository
    if name not in repository.models:
        raise UnknownModel(name, repository.names)
    raise RepositoryClosed


def is_below(path: str) -> bool:
    """Whether a path belongs to this protocol."""
    return path == "/v2" or path.startswith("/v2/")


def _repository(request: Request) -> Repository:
    repository: Repository = request.app.state.repository
    return repository


def _served(state: State, name: str) -> list[ServedModel]:
    versions = sorted(state.repository.models[name].items())
    return [model for _, model in versions if isinstance(model, ServedModel)]


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


def _index_entry(name: str, number: int, found: ServedModel | Refused) -> IndexEntry:
    refused = isinstance(found, Refused)
    reason = found.reason if isinstance(found, Refused) else ""
    state = "UNAVAILABLE" if refused else "READY"
    return IndexEntry(name=name, version=str(number), state=state, reason=reason)
