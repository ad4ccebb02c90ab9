"""Clients that hang up: what nobody waits for any more is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.types import Receive

from service.errors import ClientGone

Result = TypeVar("Result")


async def unless_gone(receive: Receive, work: Awaitable[Result]) -> Result:
    """The result of work, unless the client hangs up first; its body must have been read.

    Raises:
        ClientGone: it did, and the work was cancelled.
    """
    running, gone = asyncio.ensure_future(work), asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait((running, gone), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            return running.result()
        raise ClientGone
    finally:
        running.cancel()
        gone.cancel()


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
