"""Looking at the models folder, and at what other workers were asked, for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager

from service.repository.repository import Repository

LOG = logging.getLogger("foldserve")

OBEY_SECONDS = 0.1
"""How often a worker looks whether another one was asked something: one stat of a file."""


@asynccontextmanager
async def watching(repository: Repository, interval: float) -> AsyncIterator[None]:
    """Keep the repository in line with its folder; an interval of 0 never looks."""
    # A thread of its own: loading never holds up the event loop, nor waits for runs.
    with ThreadPoolExecutor(1, "repository") as thread:
        tasks = []
        if interval:
            tasks.append(asyncio.create_task(_every(interval, repository.step, thread)))
        if repository.shared:
            tasks.append(asyncio.create_task(_every(OBEY_SECONDS, repository.obey, thread)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    repository.close()


async def _every(seconds: float, work: Callable[[], None], thread: Executor) -> None:
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(seconds)
        try:
            await loop.run_in_executor(thread, work)
        except Exception:
            LOG.exception("the models folder could not be looked at; the next look is in %g s", seconds)
