"""What happens to the server while it answers: models are swapped, workers are killed."""

from __future__ import annotations

import asyncio
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import psutil


@dataclass
class Disturbances:
    """What has been done.

    Attributes:
        orphaned: the client's ports whose connections were in a worker that was killed.
    """

    server: int
    swaps: int = 0
    kills: int = 0
    stopped: psutil.Process | None = None
    orphaned: set[int] = field(default_factory=set)

    async def swap(self, models: Path, versions: dict[str, list[Path]], every: float) -> None:
        """Put the other version of each model in place, again and again."""
        while True:
            for name, files in versions.items():
                await asyncio.sleep(every)
                target = models / name / "1" / "model.onnx"
                written = target.with_name(".model.onnx.new")
                shutil.copyfile(files[(self.swaps + 1) % len(files)], written)
                written.replace(target)
            self.swaps += 1

    async def kill(self, every: float) -> None:
        """Kill a worker, again and again, and note whose connections died with it."""
        while True:
            await asyncio.sleep(every)
            found = workers(self.server)
            worker = found[self.kills % len(found)]
            # Stopped first, so that its list of connections cannot change any more.
            self.stopped = worker
            worker.send_signal(signal.SIGSTOP)
            while worker.status() != psutil.STATUS_STOPPED:
                await asyncio.sleep(0)
            self.orphaned |= {c.raddr.port for c in worker.net_connections("tcp") if c.raddr}
            worker.send_signal(signal.SIGKILL)
            self.stopped = None
            self.kills += 1

    def let_go_on(self) -> None:
        """Undo what was begun when the trial ended."""
        if self.stopped is not None:
            self.stopped.send_signal(signal.SIGCONT)


def workers(server: int) -> list[psutil.Process]:
    """The processes that answer."""
    children = psutil.Process(server).children()
    return [child for child in children if "service.server.process" in child.cmdline()]


def resident_megabytes(server: int) -> float:
    """What the server's processes hold in memory together."""
    return sum(p.memory_info().rss for p in [psutil.Process(server), *workers(server)]) / 2**20
