"""GET /health/live and /health/ready, for load balancers and container platforms."""

from typing import Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

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
    """200 when some model answers, else 503."""
    if request.app.state.repository.ready:
        return Ready(status="ready")
    response.status_code = 503
    return Ready(status="not ready")
