"""What stands around all routes of an application, from the outside in: gate, CORS, guard."""

from __future__ import annotations

from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.middleware.cors import CORSMiddleware

from service.routes.gate import Gate
from service.routes.guard import OPEN_PATHS, Answer, Guard
from service.routes.metrics import PATH as METRICS
from service.routes.page import open_paths
from service.settings import Settings

UNOBSERVED = (*OPEN_PATHS, METRICS)
"""What probes and scrapers ask all the time: no span is made of it."""

_CORS: dict[str, Any] = {
    "allow_methods": ("GET", "POST"),
    "allow_headers": (
        "Authorization",
        "Content-Type",
        "Inference-Header-Content-Length",
        "X-API-Key",
        "X-Request-Id",
        "X-Request-Timeout-Ms",
    ),
    "expose_headers": ("Inference-Header-Content-Length", "Retry-After", "Server-Timing", "X-Request-Id"),
}
"""What pages of other origins may send and see, when they may call at all."""


def surround(app: Starlette, state: State, answer: Answer) -> None:
    """Add them; `answer` tells an error to the caller."""
    settings: Settings = state.settings
    unlocked = OPEN_PATHS | open_paths(settings) | ({METRICS} if settings.metrics_open else set())
    # The last that is added is the outermost.
    app.add_middleware(Guard, keys=state.keys, open_paths=unlocked, answer=answer)
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        # Around the guard: a browser asks beforehand without a key.
        app.add_middleware(CORSMiddleware, allow_origins=origins, **_CORS)
    app.add_middleware(Gate, tally=state.tally)
