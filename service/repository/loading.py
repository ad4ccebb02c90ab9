"""Candidates → served models, side by side in threads; each outcome is counted and logged in one line."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from service.counters import Counters
from service.errors import DeviceUnavailable, RuntimeMissing, UnreadableModel
from service.model import Host, ServedModel
from service.repository.index import Refused, Version
from service.repository.layout import Candidate, fingerprint, is_version

LOG = logging.getLogger("foldserve")

_MOST_AT_ONCE = 4


class Job(NamedTuple):
    """A version to load."""

    name: str
    version: int
    candidate: Candidate


CHANGED = "it changed while it was read"
"""Why a version is refused that another look will find whole."""


class Outcome(NamedTuple):
    """What became of a job, and how many seconds it took."""

    job: Job
    result: Version
    seconds: float


class Loader:
    """Loads into one process.

    Whatever happens to a version, it has one set of counters as long as the process lives: while it is being
    replaced, two models count there.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._counters: dict[tuple[str, int], Counters] = {}
        # A worker that died left numbers of the moment behind, of versions that may be gone by now.
        for key in host.ledger.keys:
            name, _, version = key.rpartition("/")
            if is_version(version):
                self.counters(name, int(version))

    def load_all(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """The outcomes, in order.

        Raises:
            RuntimeMissing: onnxruntime is not installed.
        """
        for job in jobs:
            self.counters(job.name, job.version)
        if len(jobs) < 2:
            yield from map(self._load, jobs)
            return
        # Few threads, for how long a run takes is measured meanwhile.
        with ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1, _MOST_AT_ONCE), "load") as threads:
            yield from threads.map(self._load, jobs)

    def counters(self, name: str, version: int) -> Counters:
        """The counters of a version."""
        key = (name, version)
        if key not in self._counters:
            self._counters[key] = Counters(self._host.ledger.block(f"{name}/{version}"))
        return self._counters[key]

    def goes_live(self, model: ServedModel, seconds: float) -> None:
        """Count and log that a version answers from now on."""
        model.counters.loaded()
        LOG.info("model %s version %d: live after %.3f s", model.name, model.version, seconds)

    def leaves(self, model: ServedModel, reason: str) -> None:
        """Count and log that a version answers no new requests."""
        model.counters.unloaded()
        LOG.info("model %s version %d: unloaded, %s", model.name, model.version, reason)

    def _load(self, job: Job) -> Outcome:
        start = time.perf_counter()
        result = self._attempt(job)
        seconds = time.perf_counter() - start
        if isinstance(result, Refused):
            self.counters(job.name, job.version).refused(result.stage)
            line = "model %s version %d: refused as %s after %.3f s, %s"
            LOG.warning(line, job.name, job.version, result.stage, seconds, result.reason)
        return Outcome(job, result, seconds)

    def _attempt(self, job: Job) -> Version:
        name, version, candidate = job
        if candidate.fault:
            return Refused(*candidate.fault)
        try:
            counters = self.counters(name, version)
            model = ServedModel(name, version, candidate.path, self._host, counters, candidate.size)
            return model if _is_unchanged(candidate) else Refused(CHANGED)
        except UnreadableModel as error:
            return Refused(error.reason, error.stage)
        except DeviceUnavailable as error:
            return Refused(error.reason, "device")
        except RuntimeMissing:
            raise
        except Exception as error:
            # One file that nobody thought of must not take the others away.
            LOG.exception("model %s version %d: loading failed", name, version)
            return Refused(f"loading failed: {type(error).__name__}")


def _is_unchanged(candidate: Candidate) -> bool:
    try:
        return fingerprint(candidate.path.parent) == candidate.fingerprint
    except OSError:
        return False
