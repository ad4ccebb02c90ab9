"""GET /models and GET /models/{name}: what is served, what is not, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from service.errors import ModelUnavailable, UnknownModel, UnsupportedSignature
from service.image import image_of
from service.metadata import Image, Layer, ModelMetadata, Task
from service.model import ServedModel
from service.outline import outline_of, unfolded
from service.repository import Refused, Repository, Version
from service.repository.index import Index, State
from service.signature import Signature

router = APIRouter(prefix="/models", tags=["models"])


class VersionState(BaseModel):
    """One version of a model on disk."""

    version: int
    state: State
    reason: str | None = None
    """Why it is not served, why its file on disk is not the one that answers, or why /predict does not take
    it."""
    device: str | None = None
    provider: str | None = None
    """What onnxruntime calls that device."""
    threads: int | None = None
    """How many threads one run may use."""
    loaded: datetime | None = None
    bytes: int | None = None
    """The size of its files."""
    task: Task | None = None
    """None for a model that says nothing about itself."""
    target: str | None = None
    classes: int | None = None
    """How many classes it tells apart."""
    features: int | None = None
    """How many values a row of /predict holds; None when /predict does not take it or leaves that open."""


class ModelState(BaseModel):
    """One model and all its versions."""

    name: str
    default_version: int | None
    """The version that answers when none is named."""
    versions: list[VersionState]
    odd: dict[str, str] = {}
    """What lies in its folder but is no version, and why; "" is the folder itself."""


class ModelIndex(BaseModel):
    """All models of the folder."""

    default_model: str | None
    """The model that answers POST /predict."""
    device_asked: str
    device: str
    """Where models run."""
    device_reason: str
    """Why there, in words."""
    models: list[ModelState]


class InputState(BaseModel):
    """A graph input, and what of a row it takes."""

    name: str
    dtype: str
    features: list[str]
    """In order; made up from positions when the graph names none, empty when it leaves their number open."""


class ModelDetail(ModelState):
    """One model, with what its default version says about itself."""

    features: list[str] | None = None
    """What a row of /predict holds, in order; None when /predict does not take the model."""
    inputs: list[InputState] | None = None
    image: Image | None = None
    """The picture that a row is, as the file declares it or as the names of its features say."""
    metadata: ModelMetadata | None = None


@router.get("")
async def all_models(request: Request) -> ModelIndex:
    """All models, served or not."""
    repository: Repository = request.app.state.repository
    index = repository.index
    return ModelIndex(
        default_model=index.default,
        device_asked=request.app.state.settings.device,
        device=repository.host.device,
        device_reason=request.app.state.device_reason,
        models=[_state(index, name) for name in index.names],
    )


@router.get("/{name}")
async def detail(request: Request, name: str) -> ModelDetail:
    """One model: features, classes, metrics, folding report and certificate of its default version."""
    index = request.app.state.repository.index
    if name not in index.models:
        raise UnknownModel(name, index.names)
    state = _state(index, name).model_dump()
    model = index.latest[name]
    if model is None:
        return ModelDetail(**state)
    signature = _signature(model)
    if signature is None:
        return ModelDetail(**state, metadata=model.metadata)
    return ModelDetail(
        **state,
        features=list(signature.features),
        inputs=_inputs(signature),
        image=image_of(model.metadata),
        metadata=model.metadata,
    )


class Graphs(BaseModel):
    """The operations of a model before it was folded and now."""

    before: list[Layer] | None = None
    """None where the file does not say that it was folded."""
    after: list[Layer]


@router.get("/{name}/graph")
def graphs(request: Request, name: str) -> Graphs:
    """The graph of a model's default version, as boxes: what was folded, and what runs now."""
    model: ServedModel = request.app.state.repository.find(name)
    try:
        after = outline_of(model.session.path)
    except (OSError, ValueError) as error:
        raise ModelUnavailable(name, model.version, "its file has changed or is gone") from error
    folding = model.metadata.folding if model.metadata else None
    before = None
    if folding is not None:
        before = folding.before or (unfolded(after, folding.entries) if folding.entries else None)
    return Graphs(before=None if before is None else list(before), after=list(after))


def _state(index: Index, name: str) -> ModelState:
    versions = [
        _version(number, found, index.notes.get((name, number)))
        for number, found in sorted(index.models[name].items())
    ]
    latest = index.latest[name]
    default_version = latest.version if latest else None
    odd = dict(index.odd.get(name, {}))
    return ModelState(name=name, default_version=default_version, versions=versions, odd=odd)


def _version(number: int, found: Version, note: str | None) -> VersionState:
    if isinstance(found, Refused):
        return VersionState(version=number, state=found.state, reason=found.reason)
    return VersionState(
        version=number,
        state="READY",
        reason=note or _door_reason(found),
        device=found.session.device,
        provider=found.session.provider,
        threads=found.session.tuning.threads,
        loaded=found.loaded,
        bytes=found.size,
        features=_width(found),
        **_claims(found.metadata),
    )


def _claims(metadata: ModelMetadata | None) -> dict[str, Any]:
    """What a model says that it predicts."""
    if metadata is None:
        return {}
    classes = len(metadata.classes) if metadata.classes is not None else None
    return {"task": metadata.task, "target": metadata.target, "classes": classes}


def _width(model: ServedModel) -> int | None:
    signature = _signature(model)
    return signature.width if signature else None


def _door_reason(model: ServedModel) -> str | None:
    try:
        _ = model.door
    except UnsupportedSignature as refusal:
        return str(refusal)
    return None


def _signature(model: ServedModel) -> Signature | None:
    try:
        return model.door.signature
    except UnsupportedSignature:
        return None


def _inputs(signature: Signature) -> list[InputState]:
    return [
        InputState(
            name=entry.name, dtype=entry.dtype, features=[signature.features[i] for i in entry.columns]
        )
        for entry in signature.inputs
    ]
