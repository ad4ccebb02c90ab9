"""The calls of GRPCInferenceService that ask what there is: the REST routes' answers as messages."""

from __future__ import annotations

from typing import Any

from service.errors import ModelUnavailable, UnknownModel, UnknownRegion, UnknownVersion
from service.grpc.calls import Call, Handler
from service.grpc.loading import read_load
from service.grpc.messages import Reply
from service.routes import oip, oip_config, oip_repository, oip_settings
from service.routes.health import is_ready
from service.routes.oip_forms import ServerMetadata


async def server_live(_: Any, __: Call) -> Reply:
    """The process answers."""
    return {"live": True}


async def server_ready(_: Any, call: Call) -> Reply:
    """Whether some model answers, and will go on doing so."""
    return {"ready": is_ready(call.state)}


async def model_ready(message: Any, call: Call) -> Reply:
    """Whether the model answers. One that is not there does not, as for Triton: clients ask until it does."""
    try:
        call.state.repository.find(message.name, message.version or None)
    except (UnknownModel, UnknownVersion, ModelUnavailable):
        return {"ready": False}
    return {"ready": not call.state.draining}


async def server_metadata(_: Any, __: Call) -> Reply:
    """The server's name, version and extensions."""
    return ServerMetadata()


async def model_metadata(message: Any, call: Call) -> Reply:
    """The inputs and outputs of a model."""
    return oip.metadata(call.state, message.name, message.version or None)


async def model_config(message: Any, call: Call) -> Reply:
    """The configuration of a model."""
    config = oip_config.configuration(call.state, message.name, message.version or None)
    return {"config": config.model_dump(exclude_none=True)}


async def model_statistics(message: Any, call: Call) -> Reply:
    """What a version, all of a model, or all have done."""
    return oip.statistics(call.state, message.name or None, message.version or None)


async def repository_index(message: Any, call: Call) -> Reply:
    """Every version on disk."""
    entries = oip_repository.index(call.state, only_ready=message.ready)
    return {"models": [entry.model_dump() for entry in entries]}


async def repository_model_load(message: Any, call: Call) -> Reply:
    """Load a model, where that is allowed, and answer when it is live."""
    oip_repository.refuse_change(call.state, message.model_name)
    given = read_load(message.parameters)
    await call.state.repository.load(message.model_name, given.files, given.config)
    return {}


async def repository_model_unload(message: Any, call: Call) -> Reply:
    """Unload a model, where that is allowed."""
    oip_repository.refuse_change(call.state, message.model_name)
    await call.state.repository.unload(message.model_name)
    return {}


async def trace_setting(message: Any, call: Call) -> Reply:
    """What is traced: nothing."""
    if message.settings:
        oip_settings.refuse_trace_settings()
    found = oip_settings.trace_settings(call.state, message.model_name or None)
    listed = {key: value if isinstance(value, list) else [value] for key, value in found.items()}
    return {"settings": {key: {"value": value} for key, value in listed.items()}}


async def log_settings(message: Any, call: Call) -> Reply:
    """What is logged."""
    if message.settings:
        oip_settings.refuse_log_settings()
    found = oip_settings.log_settings(call.state)
    return {"settings": {key: {_LOG_FIELDS[type(value)]: value} for key, value in found.items()}}


async def shared_memory_status(message: Any, _: Call) -> Reply:
    """No region is ever registered."""
    if message.name:
        raise UnknownRegion(message.name)
    return {}


async def shared_memory_register(message: Any, _: Call) -> Reply:
    """Refused: shared memory is not offered."""
    oip_settings.refuse_region(message.name)


async def shared_memory_unregister(_: Any, __: Call) -> Reply:
    """Nothing is registered afterwards, as before."""
    return {}


_LOG_FIELDS = {bool: "bool_param", int: "uint32_param", str: "string_param"}

OPEN = frozenset({"ServerLive", "ServerReady"})
"""The methods that are answered to everybody."""

METHODS: dict[str, Handler] = {
    "ServerLive": server_live,
    "ServerReady": server_ready,
    "ModelReady": model_ready,
    "ServerMetadata": server_metadata,
    "ModelMetadata": model_metadata,
    "ModelConfig": model_config,
    "ModelStatistics": model_statistics,
    "RepositoryIndex": repository_index,
    "RepositoryModelLoad": repository_model_load,
    "RepositoryModelUnload": repository_model_unload,
    "TraceSetting": trace_setting,
    "LogSettings": log_settings,
    "SystemSharedMemoryStatus": shared_memory_status,
    "SystemSharedMemoryRegister": shared_memory_register,
    "SystemSharedMemoryUnregister": shared_memory_unregister,
    "CudaSharedMemoryStatus": shared_memory_status,
    "CudaSharedMemoryRegister": shared_memory_register,
    "CudaSharedMemoryUnregister": shared_memory_unregister,
}
