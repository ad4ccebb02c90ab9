"""GET /models and GET /models/{name}: what is served, what is not, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from service.errors import UnknownModel, UnsupportedSignature
from service.metadata import ModelMetadata
from service.model import ServedModel
from service.repository import Refused, Repository, Version
from service.signature import Signature

router = APIRouter(prefix="/models", tags=["models"])


class VersionState(BaseModel):
    """One version of a model on disk."""

    version: int
    state: Literal["READY", "UNAVAILABLE"]
    reason: str | None = None
    """Why it is not served, or why /predict does not take it."""
    device: str | None = None
    loaded: datetime | None = None


class ModelState(BaseModel):
    """One model and all its versions."""

    name: str
    default_version: int | None
    """The version that answers when none is named."""
    versions: list[VersionState]


class ModelIndex(BaseModel):
    """All models of the folder."""

    default_model: str | None
    """The model that answers POST /predict."""
    device: str
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
    metadata: ModelMetadata | None = None


@router.get("")
async def index(request: Request) -> ModelIndex:
    """All models, served or not."""
    repository: Repository = request.app.state.repository
    models = [_state(repository, name) for name in repository.names]
    return ModelIndex(default_model=repository.default, device=repository.host.device, models=models)


@router.get("/{name}")
async def detail(request: Request, name: str) -> ModelDetail:
    """One model: features, classes, metrics, folding report and certificate of its default version."""
    repository: Repository = request.app.state.repository
    if name not in repository.models:
        raise UnknownModel(name, repository.names)
    state = _state(repository, name).model_dump()
    if state["default_version"] is None:
        return ModelDetail(**state)
    model = repository.find(name)
    signature = _signature(model)
    if signature is None:
        return ModelDetail(**state, metadata=model.metadata)
    features = list(signature.features)
    return ModelDetail(**state, features=features, inputs=_inputs(signature), metadata=model.metadata)


def _state(repository: Repository, name: str) -> ModelState:
    versions = [_version(number, found) for number, found in sorted(repository.models[name].items())]
    return ModelState(name=name, default_version=repository.latest(name), versions=versions)


def _version(number: int, found: Version) -> VersionState:
    if isinstance(found, Refused):
        return VersionState(version=number, state="UNAVAILABLE", reason=found.reason)
    device, loaded = found.session.device, found.loaded
    return VersionState(
        version=number, state="READY", reason=_door_reason(found), device=device, loaded=loaded
    )


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
