"""grpc.health.v1.Health: what Kubernetes' gRPC probes and many load balancers ask."""

from __future__ import annotations

from typing import Any

from service.errors import UnknownService
from service.grpc.calls import Call
from service.grpc.messages import HEALTH, INFERENCE, Reply
from service.routes.health import is_ready


async def check(message: Any, call: Call) -> Reply:
    """SERVING when some model answers; a service that is not here is NOT_FOUND, as the protocol has it."""
    if message.service not in ("", INFERENCE, HEALTH):
        raise UnknownService(message.service)
    return {"status": "SERVING" if is_ready(call.state) else "NOT_SERVING"}
