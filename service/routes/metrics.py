"""GET /metrics, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.ledger import Ledger
from service.routes.negotiation import choose

if TYPE_CHECKING:
    from service.metrics import Exposition

PATH = "/metrics"


def metrics_route(ledger: Ledger, device: Mapping[str, str]) -> Route:
    """The route, for what `metrics.Exposition` takes."""
    # A thousand versions take a second to write: beside the event loop, and never twice at once.
    turn = asyncio.Lock()
    made: list[Exposition] = []

    def render(accept: bytes) -> tuple[str, bytes]:
        # Prometheus's client takes 25 ms and 1 MB, which is for servers whose metrics somebody reads.
        from service.metrics import FORMS, Exposition

        if not made:
            made.append(Exposition(ledger, device))
        return made[0].render(choose(accept, FORMS))

    async def metrics(request: Request) -> Response:
        accept = ",".join(request.headers.getlist("accept")).encode("latin-1")
        async with turn:
            media, text = await to_thread.run_sync(render, accept)
        return Response(text, media_type=media)

    return Route(PATH, metrics, methods=["GET"], include_in_schema=False)
