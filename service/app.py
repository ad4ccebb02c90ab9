"""create_app(settings): where the service is put together, and the table from error to status."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from service import __version__, errors, metrics_port, tally, telemetry
from service.batching import Limits
from service.counters import SLOTS
from service.keys import Keys
from service.ledger import Ledger
from service.metrics import Exposition
from service.model import Host
from service.repository import Repository
from service.routes import health, mlflow, models, oip
from service.routes.gate import WATCH, Gate
from service.routes.guard import OPEN_PATHS, Guard
from service.routes.metrics import PATH as METRICS
from service.routes.metrics import metrics_route
from service.routes.negotiation import JSON
from service.routes.oip_infer import add_infer_routes
from service.routes.predict import add_predict_routes
from service.session import choose_device, provider_of
from service.settings import Settings
from service.worker import Worker

STATUS: dict[type[errors.FoldserveError], int] = {
    errors.MalformedBody: 400,
    errors.InvalidRows: 422,
    errors.InvalidTensors: 400,
    errors.RunFailed: 400,
    errors.BodyTooLarge: 413,
    errors.TooManyNumbers: 413,
    errors.TooManyRows: 413,
    errors.InvalidHeader: 400,
    errors.UnsupportedMediaType: 415,
    errors.NotAcceptable: 406,
    errors.Unauthorized: 401,
    errors.UnknownModel: 404,
    errors.UnknownVersion: 404,
    errors.NoDefaultModel: 404,
    errors.ModelUnavailable: 503,
    errors.NothingServed: 503,
    errors.RepositoryClosed: 403,
    errors.UnsupportedSignature: 422,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
    errors.ClientGone: 499,
}
"""The status of each error that a request can meet."""

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


class ErrorBody(BaseModel):
    """What every failed request gets."""

    error: str
    """One line: what came, what was wanted, what to do."""
    got: str
    wanted: str
    where: str


_RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorBody} for status in sorted(set(STATUS.values()))
}


def create_app(settings: Settings, worker: Worker | None = None) -> FastAPI:
    """The application, with every model of the folder loaded.

    Args:
        settings: what the operator said.
        worker: which process of the server this is; by default the only one.

    Raises:
        RuntimeMissing: onnxruntime is not installed.
        DeviceUnavailable: the device demanded cannot be used.
        UnknownModel: the default model named is not in the folder.
        UnreadableKeys: the file of API keys is not in order.
    """
    device, _ = choose_device(settings.device)
    app = FastAPI(
        title="foldserve",
        version=__version__,
        description="Predictions from folded ONNX models.",
        lifespan=_lifespan,
        responses=_RESPONSES,
        telemetry=telemetry.configuration((*OPEN_PATHS, METRICS)),
    )
    worker = worker or Worker()
    app.state.settings = settings
    app.state.worker = worker
    app.state.draining = False
    app.state.keys = Keys(settings.api_key_file) if settings.api_key_file else None
    app.state.executor = ThreadPoolExecutor(thread_name_prefix="run")
    app.state.ledger = Ledger(SLOTS, worker.folder, worker.number)
    app.state.tally = tally.Tally(app.state.ledger.block(tally.KEY))
    host = Host(
        device=device,
        executor=app.state.executor,
        limits=Limits(settings.max_batch_rows, settings.max_wait),
        ledger=app.state.ledger,
        tf32=settings.allow_tf32,
    )
    labels = {"asked": settings.device, "device": device, "provider": provider_of(device)}
    app.state.exposition = Exposition(app.state.ledger, labels)
    app.state.repository = Repository(settings.models_dir, host, settings.default_model)
    _add_gates(app, app.state)
    # Routes are tried in order: the two that are asked most often come first.
    add_predict_routes(app)
    add_infer_routes(app)
    app.include_router(models.router)
    app.include_router(health.router)
    app.include_router(oip.router)
    mlflow.add_invocations_route(app)
    app.include_router(mlflow.router)
    if settings.metrics_port is None:
        app.router.routes.append(metrics_route(app.state.exposition))
    app.add_exception_handler(errors.RequestError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    with app.state.executor:
        async with _metrics_port(app.state):
            yield


@asynccontextmanager
async def _metrics_port(state: State) -> AsyncIterator[None]:
    """Answer /metrics on its own port meanwhile, if it has one."""
    if state.settings.metrics_port is None:
        yield
        return
    app = Starlette(routes=[metrics_route(state.exposition)])
    app.add_exception_handler(errors.RequestError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    _add_gates(app, state)
    async with metrics_port.listening(app, state.settings, shared=state.worker.count > 1) as port:
        state.metrics_port = port
        yield


def _add_gates(app: Starlette, state: State) -> None:
    """What is around all routes; the last that is added is the outermost."""
    settings: Settings = state.settings
    open_paths = OPEN_PATHS | {METRICS} if settings.metrics_open else OPEN_PATHS
    app.add_middleware(Guard, keys=state.keys, open_paths=open_paths, answer=_answer)
    if origins := [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]:
        # Around the guard: a browser asks beforehand without a key.
        app.add_middleware(CORSMiddleware, allow_origins=origins, **_CORS)
    app.add_middleware(Gate, tally=state.tally)


async def _answer(request: Request, error: Exception) -> Response:
    return await (_refuse if isinstance(error, errors.RequestError) else _fail)(request, error)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestError)  # noqa: S101 - registered for this class alone
    status = STATUS[type(error)]
    # The line may quote the body, which has no place in the log.
    request.scope[WATCH].error = str(error) if status >= 500 else type(error).__name__
    seconds = error.seconds if isinstance(error, errors.Overloaded) else 1
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))} if status == 503 else None
    if isinstance(error, errors.Unauthorized):
        headers = {"WWW-Authenticate": 'Bearer error="invalid_token"' if error.given else "Bearer"}
    return _error(request, status, str(error), error.got, error.wanted, error.where, headers)


async def _refuse_http(request: Request, error: Exception) -> Response:
    """Unknown paths and wrong methods, which Starlette raises itself."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    came = f"{request.method} {request.url.path}"
    if status == 405:
        wanted = f"{headers.get('Allow')} {request.url.path}"
        return _error(
            request, status, f"{came} is not allowed: use {wanted}", came, wanted, "method", headers
        )
    if status == 404:
        text = f"there is nothing at {came}: see /docs"
        return _error(request, status, text, came, "a path of /docs", "path")
    return _error(
        request, status, str(getattr(error, "detail", error)), came, "see /docs", "request", headers
    )


async def _fail(request: Request, _: Exception) -> Response:
    """A fault of ours: the log has the traceback, the caller does not."""
    came = f"{request.method} {request.url.path}"
    return _error(request, 500, "internal error: the server's log says more", came, "an answer", "server")


def _error(
    request: Request,
    status: int,
    error: str,
    got: str,
    wanted: str,
    where: str,
    headers: dict[str, str] | None = None,
) -> Response:
    body = {"error": error}
    if not oip.is_below(request.url.path):
        body |= {"got": got, "wanted": wanted, "where": where}
    if request.scope["path"] == mlflow.INVOCATIONS:
        status, body = mlflow.refusal(status, body)
    # A path or a key may hold half a surrogate pair, which JSON in UTF-8 cannot.
    safe = {key: text.encode("utf-8", "backslashreplace").decode() for key, text in body.items()}
    return Response(orjson.dumps(safe), status, headers, media_type=JSON)
