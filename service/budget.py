"""How many threads a worker may keep busy: what the machine gives this process, divided by the workers.

The machine says it twice: the CPUs that the process may run on, and the share of them that its control group
is granted. A container with a quota of two CPUs on a host of 64 sees 64 and is stopped when it uses them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_GROUPS = Path("sys/fs/cgroup")


@dataclass(frozen=True)
class Budget:
    """What one worker may use.

    Attributes:
        cpus: how many CPUs the process may run on.
        quota: how many it may keep busy, by its control groups; None for no limit.
        workers: how many processes share them.
    """

    cpus: int
    quota: float | None = None
    workers: int = 1

    @classmethod
    def of_machine(cls, workers: int = 1) -> Budget:
        """What this process has been given."""
        return cls(_cpus(), cpu_quota(), workers)

    @property
    def threads(self) -> int:
        """How many threads one run may use."""
        granted = self.cpus if self.quota is None else min(self.cpus, self.quota)
        return max(1, int(granted) // self.workers)

    def __str__(self) -> str:
        quota = "no quota" if self.quota is None else f"quota {self.quota:g}"
        workers, threads, cpus = (_count(self.workers, "worker"), _count(self.threads, "thread"), self.cpus)
        each = " each" if self.workers > 1 else ""
        return f"{workers}, {threads}{each} ({_count(cpus, 'CPU')}, {quota})"


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The smallest quota of the control groups that this process is in, in CPUs; None when there is none."""
    quotas = [quota for folder in _folders(root) if (quota := _quota(folder)) is not None]
    return min(quotas, default=None)


def _cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _folders(root: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all groups around them, of both versions.

    Inside a container the path may be the host's, which is not there; the mount then is the group itself.
    """
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            mounts = ["", "unified"]
        elif "cpu" in controllers.split(","):
            mounts = [controllers, "cpu"]
        else:
            continue
        group = Path(path.lstrip("/"))
        for mount in mounts:
            yield from (root / _GROUPS / mount / part for part in (group, *group.parents))


def _quota(folder: Path) -> float | None:
    limit = _read(folder / "cpu.max")
    if limit is None:
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
    else:
        quota, _, period = limit.partition(" ")
    try:
        micros, of = int(quota or ""), int(period or 100_000)
    except ValueError:  # "max", or nothing there
        return None
    return micros / of if micros > 0 and of > 0 else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
