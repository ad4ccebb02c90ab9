"""gRPC's own health protocol, as a Kubernetes probe speaks it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

from service.grpc.messages import HEALTH, INFERENCE, class_of, methods
from tests import graphs
from tests.service.grpc.conftest import Door, Opening, refused

pytestmark = pytest.mark.anyio

SERVING, NOT_SERVING = 1, 2


def check(door: Door, service: str = "") -> Any:
    described = methods(HEALTH)["Check"]
    send = door.channel.unary_unary(
        f"/{HEALTH}/Check", response_deserializer=class_of(described.output_type).FromString
    )
    request: Any = class_of(described.input_type)(service=service)
    return send(request.SerializeToString())


async def test_the_server_and_its_services_are_serving(
    tmp_path: Path, opening: Opening, caplog: pytest.LogCaptureFixture
) -> None:
    async with opening(tmp_path) as door:
        assert (await check(door)).status == NOT_SERVING
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    async with opening(tmp_path) as door:
        for service in ("", INFERENCE, HEALTH):
            assert (await check(door, service)).status == SERVING
        caplog.clear()
        assert (await refused(check(door, "nobody"))).code() == StatusCode.NOT_FOUND
        assert not caplog.records
        door.app.state.draining = True
        assert (await check(door)).status == NOT_SERVING


async def test_watching_is_not_offered_so_that_clients_ask_again(tmp_path: Path, opening: Opening) -> None:
    async with opening(tmp_path) as door:
        watch = door.channel.unary_stream(f"/{HEALTH}/Watch")(b"")
        assert (await refused(watch.read())).code() == StatusCode.UNIMPLEMENTED
