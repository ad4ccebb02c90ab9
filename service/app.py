"""create_app(settings): where the service is put together, and the table from error to status."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from service import __version__, errors
from service.batching import Limits
from service.counters import SLOTS
from service.ledger import Ledger
from service.model import Host
from service.repository import Repository
from service.routes import health, mlflow, models, oip, oip_config, oip_settings
from service.routes.gate import WATCH, Gate, marks
from service.routes.negotiation import JSON
from service.routes.oip_infer import add_infer_routes
from service.routes.predict import add_predict_routes
from service.session import choose_device
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
    errors.UnknownModel: 404,
    errors.UnknownVersion: 404,
    errors.NoDefaultModel: 404,
    errors.ModelUnavailable: 503,
    errors.NothingServed: 503,
    errors.RepositoryClosed: 403,
    errors.SettingFixed: 403,
    errors.UnknownRegion: 404,
    errors.UnsupportedSignature: 422,
    errors.Overloaded: 503,
    errors.DeadlineExceeded: 504,
    errors.ClientGone: 499,
}
"""The status of each error that a request can meet."""


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
        GrpcUnavailable: gRPC was asked for and cannot be served.
        UnknownModel: the default model named is not in the folder.
    """
    device, _ = choose_device(settings.device)
    app = FastAPI(
        title="foldserve",
        version=__version__,
        description="Predictions from folded ONNX models.",
        lifespan=_lifespan,
        responses=_RESPONSES,
    )
    worker = worker or Worker()
    app.state.settings = settings
    app.state.worker = worker
    app.state.draining = False
    app.state.executor = ThreadPoolExecutor(thread_name_prefix="run")
    app.state.ledger = Ledger(SLOTS, worker.folder, worker.number)
    host = Host(
        device=device,
        executor=app.state.executor,
        limits=Limits(settings.max_batch_rows, settings.max_wait),
        ledger=app.state.ledger,
        tf32=settings.allow_tf32,
    )
    app.state.repository = Repository(settings.models_dir, host, settings.default_model)
    app.state.grpc_port = None
    app.state.grpc_door = _grpc_door(app)
    app.add_middleware(Gate)
    # Routes are tried in order: the two that are asked most often come first.
    add_predict_routes(app)
    add_infer_routes(app)
    app.include_router(models.router)
    app.include_router(health.router)
    app.include_router(oip.router)
    app.include_router(oip_config.router)
    app.include_router(oip_settings.router)
    mlflow.add_invocations_route(app)
    app.include_router(mlflow.router)
    app.add_exception_handler(errors.RequestError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_http)
    app.add_exception_handler(Exception, _fail)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        stack.enter_context(app.state.executor)
        if app.state.grpc_door is not None:
            app.state.grpc_port = await stack.enter_async_context(app.state.grpc_door.opened())
        yield


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
    return GrpcDoor(app.state)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.RequestError)  # noqa: S101 - registered for this class alone
    status = STATUS[type(error)]
    seconds = error.seconds if isinstance(error, errors.Overloaded) else 1
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))} if status == 503 else None
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
    answer = _error(request, 500, "internal error: the server's log says more", came, "an answer", "server")
    # Starlette sends this one from outside the gate.
    answer.raw_headers += marks(request.scope[WATCH])
    return answer


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
    request.scope[WATCH].error = error
    if not oip.is_below(request.url.path):
        body |= {"got": got, "wanted": wanted, "where": where}
    if request.scope["path"] == mlflow.INVOCATIONS:
        status, body = mlflow.refusal(status, body)
    # A path or a key may hold half a surrogate pair, which JSON in UTF-8 cannot.
    safe = {key: text.encode("utf-8", "backslashreplace").decode() for key, text in body.items()}
    return Response(orjson.dumps(safe), status, headers, media_type=JSON)
