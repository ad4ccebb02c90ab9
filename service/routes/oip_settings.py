"""What Triton's clients ask about logging, tracing and shared memory: told honestly, changed never.

Logging follows the flags of the start, requests are not traced into files, and shared memory is not offered.
"""

from __future__ import annotations

from typing import Any, NoReturn

from fastapi import APIRouter, Request
from starlette.datastructures import State

from service.errors import SettingFixed, UnknownRegion
from service.payloads.oip.refusal import refuse
from service.routes.oip import RESPONSES
from service.settings import Settings

router = APIRouter(prefix="/v2", tags=["open inference protocol"], responses=RESPONSES)

LogSettings = dict[str, bool | int | str]
TraceSettings = dict[str, str | list[str]]


@router.get("/logging")
async def read_logging(request: Request) -> LogSettings:
    """What is logged."""
    return log_settings(request.app.state)


@router.post("/logging", include_in_schema=False)
async def change_logging() -> None:
    """Refused: what is logged is decided at the start."""
    refuse_log_settings()


@router.get("/trace/setting")
async def read_tracing(request: Request) -> TraceSettings:
    """What is traced: nothing."""
    return trace_settings(request.app.state)


@router.get("/models/{name}/trace/setting")
async def read_model_tracing(request: Request, name: str) -> TraceSettings:
    """What is traced of a model: nothing."""
    return trace_settings(request.app.state, name)


@router.post("/trace/setting", include_in_schema=False)
@router.post("/models/{name}/trace/setting", include_in_schema=False)
async def change_tracing() -> None:
    """Refused: traces are for OpenTelemetry."""
    refuse_trace_settings()


@router.get("/systemsharedmemory/status")
@router.get("/cudasharedmemory/status")
async def regions() -> list[dict[str, Any]]:
    """No region is ever registered."""
    return []


@router.get("/systemsharedmemory/region/{name}/status", include_in_schema=False)
@router.get("/cudasharedmemory/region/{name}/status", include_in_schema=False)
async def region(name: str) -> list[dict[str, Any]]:
    """404: no region is ever registered."""
    raise UnknownRegion(name)


@router.post("/systemsharedmemory/region/{name}/register", include_in_schema=False)
@router.post("/cudasharedmemory/region/{name}/register", include_in_schema=False)
async def register_region(name: str) -> None:
    """Refused: shared memory is not offered."""
    refuse_region(name)


@router.post("/systemsharedmemory/unregister")
@router.post("/cudasharedmemory/unregister")
@router.post("/systemsharedmemory/region/{name}/unregister", include_in_schema=False)
@router.post("/cudasharedmemory/region/{name}/unregister", include_in_schema=False)
async def unregister_region() -> dict[str, str]:
    """Nothing is registered afterwards, as before."""
    return {}


def log_settings(state: State) -> LogSettings:
    """The settings of logging, by Triton's names."""
    settings: Settings = state.settings
    level = settings.log_level
    return {
        "log_file": "",
        "log_info": level in ("debug", "info"),
        "log_warning": level != "error",
        "log_error": True,
        "log_verbose_level": int(level == "debug"),
        "log_format": settings.log_format,
    }


def trace_settings(state: State, name: str | None = None) -> TraceSettings:
    """The settings of tracing, by Triton's names, of the server or of a model."""
    if name is not None:
        state.repository.find(name)
    return {
        "trace_level": ["OFF"],
        "trace_rate": "0",
        "trace_count": "0",
        "log_frequency": "0",
        "trace_file": "",
    }


def refuse_log_settings() -> NoReturn:
    """Refuse to change what is logged."""
    raise SettingFixed("log", "start it with --log-level and --log-format")


def refuse_trace_settings() -> NoReturn:
    """Refuse to trace."""
    raise SettingFixed("trace", "requests are not traced into files, OpenTelemetry is for that")


def refuse_region(name: str) -> NoReturn:
    """Refuse to read and write another process's memory."""
    text = "shared memory is not offered: send tensors in the request"
    raise refuse(text, got=name, wanted="tensors in the request", where="region")
