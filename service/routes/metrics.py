"""GET /metrics, for Prometheus."""

from __future__ import annotations

import asyncio

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.metrics import FORMS, Exposition
from service.routes.negotiation import choose

PATH = "/metrics"


def metrics_route(exposition: Exposition) -> Route:
    """The route."""
    # A thousand versions take a second to write: beside the event loop, and never twice at once.
    turn = asyncio.Lock()

    async def metrics(request: Request) -> Response:
        accept = ",".join(request.headers.getlist("accept")).encode("latin-1")
        form = choose(accept, FORMS)
        async with turn:
            media, text = await to_thread.run_sync(exposition.render, form)
        return Response(text, media_type=media)

    return Route(PATH, metrics, methods=["GET"], include_in_schema=False)
