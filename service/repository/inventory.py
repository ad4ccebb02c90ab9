"""What is served, kept in line with the models folder and with what clients ask.

Whatever changes here changes under one lock, in whatever thread. Requests read `index`, which is exchanged
as a whole: they never see half a change, and never wait for one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from threading import RLock

from service.errors import LoadFailed
from service.model import Host, ServedModel
from service.repository.index import Index, Refused
from service.repository.layout import Found, look, look_at_model
from service.repository.loading import CHANGED, Job, Loader, Outcome
from service.repository.memory import Memory
from service.repository.policy import UNLOADED, Policy
from service.repository.shelf import Shelf, Slot
from service.repository.wish import Wish

LOG = logging.getLogger("foldserve")

_MORE_LOOKS = 10


class Inventory:
    """The models of a folder; empty until the first step.

    Args:
        default: the model that answers when none is named; by default the only one.
    """

    def __init__(self, folder: Path, host: Host, policy: Policy, default: str | None) -> None:
        self.index = Index(named=default)
        self._folder = folder
        self._policy = policy
        self._loader = Loader(host)
        self._memory = Memory()
        self._lock = RLock()
        self._shelves: dict[str, Shelf] = {}
        self._lost = False

    def step(self, *, settled: bool = False) -> None:
        """Look at the folder once and bring what is served in line with it.

        Args:
            settled: what is there counts as whole; otherwise only what the look before saw too.

        Raises:
            RuntimeMissing: onnxruntime is not installed.
        """
        with self._lock:
            self._step(settled=settled)
            # A worker that starts must not lack for a while what the others serve.
            for _ in range(_MORE_LOOKS if settled else 0):
                if not self._is_behind:
                    break
                self._step(settled=True)
        self._memory.give_back()

    def apply(self, wish: Wish) -> None:
        """Fulfil a wish.

        Raises:
            LoadFailed: the model could not be loaded; what was served still is.
        """
        with self._lock:
            if wish.action == "load" and wish.again:
                self._reload(wish)
            else:
                self.expect(wish)
                self._follow(self._look() or {}, [wish.name], settled=True)
        self._memory.give_back()

    def expect(self, wish: Wish) -> None:
        """Let a wish hold from the next step on."""
        policy = UNLOADED if wish.action == "unload" else wish.policy or self._policy
        self._shelf(wish.name).take(policy, wish.files)

    def _step(self, *, settled: bool) -> None:
        found = self._look()
        if found is not None:
            self._follow(found, {*found, *self._shelves}, settled=settled)

    @property
    def _is_behind(self) -> bool:
        """Whether a file was exchanged while it was read, and so refused."""
        slots = (slot for shelf in self._shelves.values() for slot in shelf.slots.values())
        return any(slot.refused and slot.refused.reason == CHANGED for slot in slots)

    def _look(self) -> dict[str, Found] | None:
        """What there is now; None when the folder is lost, which says nothing about its models."""
        try:
            found = look(self._folder)
        except OSError as error:
            # At the start there may be none yet; later a lost disk must not take all models away.
            if not self.index.models:
                if not isinstance(error, FileNotFoundError):
                    LOG.warning("the models folder cannot be read: %s", error.strerror)
                return {}
            if not self._lost:
                LOG.warning("the models folder is lost, %s: what is served stays", error.strerror)
            self._lost = True
            return None
        self._lost = False
        sources = {name: shelf.source for name, shelf in self._shelves.items() if shelf.source}
        return found | {name: look_at_model(source, source.parent) for name, source in sources.items()}

    def _follow(self, found: Mapping[str, Found], names: Iterable[str], *, settled: bool) -> None:
        """Load what is new, then unload what is gone or no longer wanted."""
        shelves = {name: self._shelf(name) for name in sorted(names)}
        for name, shelf in shelves.items():
            seen = found.get(name, Found())
            shelf.found = replace(shelf.found, odd=seen.odd) if seen.closed else seen
        while jobs := [job for name, shelf in shelves.items() for job in _jobs(name, shelf, settled=settled)]:
            self._publish()
            for outcome in self._loader.load_all(jobs):
                self._put(outcome)
                self._publish()
        for name, shelf in shelves.items():
            for number in shelf.surplus():
                self._take_away(shelf, number)
            shelf.remember()
            if shelf.is_empty and shelf.policy == self._policy:
                del self._shelves[name]
        self._publish()

    def _reload(self, wish: Wish) -> None:
        """Load the versions that are wanted, whether they changed or not: all go live, or none."""
        found = self._found_for(wish)
        # An empty folder is no reason against the versions beside it.
        whole = {number: each for number, each in found.versions.items() if not each.absent}
        fresh = Shelf(wish.policy or self._policy, found=replace(found, versions=whole or found.versions))
        jobs = _jobs(wish.name, fresh, settled=True)
        if not jobs:
            raise LoadFailed(wish.name, found.odd.get("", "it has no version that is wanted"))
        outcomes = list(self._loader.load_all(jobs))
        refused = [outcome for outcome in outcomes if isinstance(outcome.result, Refused)]
        if refused:
            if wish.files is None:
                self._note(refused)
            raise LoadFailed(wish.name, _reasons(refused))
        self.expect(wish)
        for outcome in outcomes:
            self._put(outcome)
        self._follow({wish.name: found}, [wish.name], settled=True)

    def _found_for(self, wish: Wish) -> Found:
        if wish.files:
            return look_at_model(wish.files, wish.files.parent)
        try:
            return look(self._folder).get(wish.name, Found(odd={"": "it is not in the models folder"}))
        except OSError as error:
            raise LoadFailed(wish.name, f"the models folder is lost, {error.strerror}") from error

    def _shelf(self, name: str) -> Shelf:
        return self._shelves.setdefault(name, Shelf(self._policy))

    def _note(self, refused: Iterable[Outcome]) -> None:
        """Let the index say why a model could not be loaded again."""
        for job, result, _ in refused:
            if job.candidate.absent:
                continue
            slots = self._shelf(job.name).slots
            slots[job.version] = slots.get(job.version, Slot()).after(job.candidate, result)
        self._publish()

    def _put(self, outcome: Outcome) -> None:
        """Let a version answer, or say why it does not."""
        (name, number, candidate), result, seconds = outcome
        shelf = self._shelf(name)
        slot = shelf.slots.get(number, Slot())
        shelf.slots[number] = after = slot.after(candidate, result)
        if slot.served and slot.served is not after.served:
            self._memory.watch(slot.served)
        if isinstance(result, ServedModel):
            self._loader.goes_live(result, seconds)
        elif slot.served and not after.served:
            self._loader.leaves(slot.served, result.reason)

    def _take_away(self, shelf: Shelf, number: int) -> None:
        slot = shelf.slots[number]
        shelf.slots[number] = slot.emptied()
        if slot.served:
            self._memory.watch(slot.served)
            gone = number not in shelf.found.versions
            self._loader.leaves(slot.served, "it is gone from disk" if gone else shelf.policy.reason)

    def _publish(self) -> None:
        shelves = {name: shelf for name, shelf in self._shelves.items() if not shelf.is_empty}
        self.index = Index(
            models={name: shelf.versions() for name, shelf in shelves.items()},
            named=self.index.named,
            notes={(name, n): why for name, shelf in shelves.items() for n, why in shelf.notes().items()},
            odd={name: shelf.found.odd for name, shelf in shelves.items()},
        )


def _jobs(name: str, shelf: Shelf, *, settled: bool) -> list[Job]:
    return [Job(name, number, shelf.found.versions[number]) for number in shelf.due(settled=settled)]


def _reasons(refused: Iterable[Outcome]) -> str:
    reasons = [(job.version, result.reason) for job, result, _ in refused if isinstance(result, Refused)]
    return "; ".join(f"version {number}: {reason}" for number, reason in sorted(reasons))
