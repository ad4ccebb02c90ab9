"""GET /health/live and /health/ready, for load balancers and container platforms."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.datastructures import State

router = APIRouter(prefix="/health", tags=["health"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class Ready(BaseModel):
    """Whether predictions can be asked for."""

    status: Literal["ready", "not ready"]


@router.get("/live")
async def live() -> Live:
    """200 as long as the process answers."""
    return Live()


@router.get("/ready", responses={503: {"model": Ready}})
async def ready(request: Request, response: Response) -> Ready:
    """200 when some model answers, else 503; and 503 from the moment that the server is told to end."""
    if is_ready(request.app.state):
        return Ready(status="ready")
    response.status_code = 503
    return Ready(status="not ready")


def is_ready(state: State) -> bool:
    """Whether predictions can be asked for: some model answers, and the server has not been told to end."""
    return bool(state.repository.ready) and not state.draining
