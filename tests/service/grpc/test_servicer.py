"""What there is, through gRPC: the REST door's answers, and its refusals as statuses."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from grpc import StatusCode

from tests import graphs
from tests.service.grpc.conftest import Door, Opening, refused

pytestmark = pytest.mark.anyio


@pytest.fixture
async def door(tmp_path: Path, opening: Opening) -> AsyncIterator[Door]:
    model = graphs.linear(np.eye(3, 2, dtype="f4"), np.zeros(2, "f4"))
    graphs.put(model, tmp_path, "m", 1)
    graphs.put(model, tmp_path, "m", 3)
    (tmp_path / "broken" / "2").mkdir(parents=True)
    async with opening(tmp_path) as door:
        yield door


def fields(message: Any) -> Any:
    """A message as the REST door would write it: large integers are numbers there."""
    document = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return numbers(document)


def numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item if key in ("version", "name") else numbers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers(item) for item in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


async def test_health_and_metadata(door: Door) -> None:
    assert (await door.call("ServerLive")).live
    assert (await door.call("ServerReady")).ready
    assert (await door.call("ModelReady", name="m")).ready
    assert (await door.call("ModelReady", name="m", version="1")).ready
    for name, version in (("broken", ""), ("broken", "2"), ("m", "2"), ("z", "")):
        assert not (await door.call("ModelReady", name=name, version=version)).ready
    server = await door.call("ServerMetadata")
    assert server.name == "foldserve"
    assert "classification" in server.extensions


@pytest.mark.parametrize("version", ["", "1"])
async def test_what_is_told_is_what_rest_tells(door: Door, version: str) -> None:
    path = f"/v2/models/m/versions/{version}" if version else "/v2/models/m"
    metadata = await door.call("ModelMetadata", name="m", version=version)
    assert numbers((await door.http.get(path)).json()) == fields(metadata)
    config = fields((await door.call("ModelConfig", name="m", version=version)).config)
    assert (await door.http.get(f"{path}/config")).json() == config
    statistics = fields(await door.call("ModelStatistics", name="m", version=version))["model_stats"]
    told = (await door.http.get(f"{path}/stats")).json()["model_stats"]
    assert [entry["version"] for entry in statistics] == ([version] if version else ["1", "3"])
    assert [entry | {"batch_stats": []} for entry in statistics] == told


async def test_the_index_tells_what_is_served_and_why_not(door: Door) -> None:
    index = fields(await door.call("RepositoryIndex"))["models"]
    assert index == (await door.http.post("/v2/repository/index")).json()
    assert [entry["name"] for entry in index] == ["broken", "m", "m"]
    ready = await door.call("RepositoryIndex", ready=True)
    assert [(entry.name, entry.version) for entry in ready.models] == [("m", "1"), ("m", "3")]


@pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig", "ModelStatistics"])
async def test_what_is_not_there_is_not_found(door: Door, method: str) -> None:
    error = await refused(door.call(method, name="z"))
    assert (error.code(), error.details()) == (
        StatusCode.NOT_FOUND,
        "no model named 'z': there is broken, m",
    )
    error = await refused(door.call(method, name="m", version="2"))
    assert error.code() == StatusCode.NOT_FOUND
    error = await refused(door.call(method, name="broken"))
    assert error.code() == StatusCode.UNAVAILABLE
    assert "there is no such file" in str(error.details())


async def test_models_are_loaded_and_unloaded_only_where_that_is_allowed(door: Door) -> None:
    for method in ("RepositoryModelLoad", "RepositoryModelUnload"):
        assert (await refused(door.call(method, model_name="m"))).code() == StatusCode.PERMISSION_DENIED
        assert (await refused(door.call(method, model_name="z"))).code() == StatusCode.NOT_FOUND


async def test_settings_are_read_and_not_changed(door: Door) -> None:
    logging = (await door.call("LogSettings")).settings
    assert (logging["log_info"].bool_param, logging["log_verbose_level"].uint32_param) == (True, 0)
    assert (await door.http.get("/v2/logging")).json()["log_info"] is True
    for name in ("", "m"):
        assert list((await door.call("TraceSetting", model_name=name)).settings["trace_level"].value) == [
            "OFF"
        ]
    assert (await refused(door.call("TraceSetting", model_name="z"))).code() == StatusCode.NOT_FOUND
    change = await refused(door.call("LogSettings", settings={"log_info": {"bool_param": False}}))
    assert change.code() == StatusCode.PERMISSION_DENIED
    assert "start it with --log-level" in str(change.details())
    change = await refused(door.call("TraceSetting", settings={"trace_level": {"value": ["MAX"]}}))
    assert change.code() == StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("kind", ["System", "Cuda"])
async def test_shared_memory_is_not_offered(door: Door, kind: str) -> None:
    await door.call(f"{kind}SharedMemoryStatus")
    await door.call(f"{kind}SharedMemoryUnregister", name="r")
    assert (await refused(door.call(f"{kind}SharedMemoryStatus", name="r"))).code() == StatusCode.NOT_FOUND
    error = await refused(door.call(f"{kind}SharedMemoryRegister", name="r"))
    assert error.code() == StatusCode.INVALID_ARGUMENT
    assert "not offered" in str(error.details())


async def test_a_server_that_drains_is_alive_and_not_ready(door: Door) -> None:
    door.app.state.draining = True
    assert (await door.call("ServerLive")).live
    assert not (await door.call("ServerReady")).ready
    assert not (await door.call("ModelReady", name="m")).ready


async def test_an_empty_server_is_alive_and_not_ready(tmp_path: Path, opening: Opening) -> None:
    async with opening(tmp_path) as door:
        assert (await door.call("ServerLive")).live
        assert not (await door.call("ServerReady")).ready
