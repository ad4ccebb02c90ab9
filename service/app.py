"""create_app(settings): where the service is put together, and the table from error to status."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from service import __version__, errors, tally, telemetry
from service.budget import Budget
from service.cost import Limits
from service.counters import SLOTS
from service.folder import Folder
from service.keys import Keys
from service.ledger import Ledger
from service.model import Host
from service.openapi.answers import ErrorBody, failures
from service.openapi.document import OpenApi
from service.repository import Policy, Repository, watching
from service.routes import (
    documentation,
    fold,
    health,
    mlflow,
    models,
    oip,
    oip_config,
    oip_repository,
    oip_settings,
    page,
)
from service.routes.gate import WATCH
from service.routes.metrics import metrics_route
from service.routes.negotiation import JSON
from service.routes.oip_infer import add_infer_routes
from service.routes.predict import add_predict_routes
from service.routes.surroundings import UNOBSERVED, surround
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
    errors.FoldingClosed: 403,
    errors.FolderMissing: 503,
    errors.FolderBusy: 503,
    errors.Unfoldable: 422,
    errors.LoadFailed: 400,
    errors.Unconfirmed: 503,
    errors.SettingFixed: 405,
    errors.UnknownRegion: 404,
    errors.UnknownService: 404,
    errors.UnsupportedSignature: 422,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
    errors.ClientGone: 499,
    errors.ShuttingDown: 503,
    errors.MalformedRequest: 400,
    errors.HeadTooLarge: 431,
    errors.TooSlow: 408,
    errors.TooManyConnections: 503,
}
"""The status of each error that a request can meet."""


_RESPONSES = failures(ErrorBody, sorted(set(STATUS.values())))


def create_app(settings: Settings, worker: Worker | None = None) -> FastAPI:
    """The application, with every model of the folder loaded.

    Args:
        settings: what the operator said.
        worker: which process of the server this is; by default the only one.

    Raises:
        RuntimeMissing: onnxruntime is not installed.
        DeviceUnavailable: the device demanded cannot be used.
        GrpcUnavailable: gRPC was asked for and cannot be served.
        UnknownModel: the default model named is not in the folder.
        UnreadableKeys: the file of API keys is not in order.
    """
    device, why = choose_device(settings.device)
    app = FastAPI(
        title="foldserve",
        version=__version__,
        description="Predictions from folded ONNX models.",
        lifespan=_lifespan,
        responses=_RESPONSES,
        telemetry=telemetry.configuration(UNOBSERVED),
        # The document is that of the models loaded, and its page comes without a foreign host: see below.
        openapi_url=None,
    )
    worker = worker or Worker()
    budget = Budget.of_machine(worker.count)
    app.state.settings = settings
    app.state.worker = worker
    app.state.draining = False
    app.state.budget = budget
    app.state.folder = Folder()
    app.state.keys = Keys(settings.api_key_file) if settings.api_key_file else None
    # Two more than can run at once, so that a body is decoded beside runs that take every core.
    app.state.executor = ThreadPoolExecutor(budget.threads + 2, thread_name_prefix="run")
    app.state.ledger = Ledger(SLOTS, worker.folder, worker.number)
    app.state.tally = tally.Tally(app.state.ledger.block(tally.KEY))
    labels = {"asked": settings.device, "device": device, "provider": provider_of(device)}
    app.state.labels = labels
    app.state.device_reason = why
    host = Host(
        device=device,
        executor=app.state.executor,
        limits=Limits(settings.max_batch_rows, settings.max_wait),
        ledger=app.state.ledger,
        threads=budget.threads,
        tf32=settings.allow_tf32,
    )
    # Before anything is loaded: what cannot be served is told at once.
    app.state.grpc_port = None
    app.state.grpc_door = _grpc_door(app)
    app.state.repository = Repository(
        settings.models_dir,
        host,
        settings.default_model,
        policy=Policy.parse(settings.versions),
        worker=worker,
    )
    surround(app, app.state, answer)
    # Routes are tried in order: the two that are asked most often come first.
    add_predict_routes(app)
    add_infer_routes(app)
    app.include_router(models.router)
    app.include_router(health.router)
    app.include_router(oip.router)
    app.include_router(oip_repository.router)
    app.include_router(oip_config.router)
    app.include_router(oip_settings.router)
    mlflow.add_invocations_route(app)
    app.include_router(mlflow.router)
    app.include_router(documentation.router)
    app.include_router(fold.router)
    if settings.page:
        app.include_router(page.router)
    app.openapi = OpenApi(app.openapi, app.state.repository)  # type: ignore[method-assign]
    if settings.metrics_port is None:
        app.router.routes.append(metrics_route(app.state.ledger, app.state.labels))
    app.add_exception_handler(errors.RequestError, answer)
    app.add_exception_handler(HTTPException, answer)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with AsyncExitStack() as stack:
        stack.enter_context(app.state.executor)
        await stack.enter_async_context(watching(app.state.repository, settings.watch_interval))
        if app.state.grpc_door is not None:
            app.state.grpc_port = await stack.enter_async_context(app.state.grpc_door.opened())
        yield


async def answer(request: Request, error: Exception) -> Response:
    """An error, told to the caller."""
    if isinstance(error, errors.RequestError):
        return await _refuse(request, error)
    if isinstance(error, HTTPException):
        return await _refuse_http(request, error)
    return await _fail(request, error)


def _grpc_door(app: FastAPI) -> Any:
    """What serves gRPC, when a port for it is given: imported only then, for grpcio is an extra."""
    if app.state.settings.grpc_port is None:
        return None
    try:
        from service.grpc.server import GrpcDoor
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("grpc", "google"):
            raise
        raise errors.GrpcUnavailable("grpcio is not installed: pip install 'foldserve[grpc]'") from error
    keys: Keys | None = app.state.keys
    return GrpcDoor(app.state, keys.check) if keys else GrpcDoor(app.state)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestError)  # noqa: S101 - registered for this class alone
    status = STATUS[type(error)]
    # The line may quote the body, which has no place in the log.
    request.scope[WATCH].error = str(error) if status >= 500 else type(error).__name__
    return _error(request, status, str(error), error.got, error.wanted, error.where, _headers(error, status))


def _headers(error: errors.RequestError, status: int) -> dict[str, str]:
    """What HTTP wants beside the status."""
    if status == 503:
        seconds = error.seconds if isinstance(error, errors.Overloaded) else 1
        return {"Retry-After": str(max(1, math.ceil(seconds)))}
    if isinstance(error, errors.Unauthorized):
        return {"WWW-Authenticate": 'Bearer error="invalid_token"' if error.given else "Bearer"}
    return {"Allow": "GET"} if status == 405 else {}


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
    status, body = refusal(request.scope["path"], status, error, got, wanted, where)
    return Response(body, status, headers, media_type=JSON)


def refusal(path: str, status: int, error: str, got: str, wanted: str, where: str) -> tuple[int, bytes]:
    """The status and the body of a refusal, in the form of the door that the path belongs to."""
    body = {"error": error}
    if not oip.is_below(path):
        body |= {"got": got, "wanted": wanted, "where": where}
    if path == mlflow.INVOCATIONS:
        status, body = mlflow.refusal(status, body)
    # A path or a key may hold half a surrogate pair, which JSON in UTF-8 cannot.
    safe = {key: text.encode("utf-8", "backslashreplace").decode() for key, text in body.items()}
    return status, orjson.dumps(safe)
