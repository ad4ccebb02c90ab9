"""One model's versions: what was seen, what was tried, what is served, and what is to be done next.

A version is tried when two looks at it agree, so that a file being written is left alone, and only once: a
refused file is tried again when it has changed. What was served goes on until what replaces it is live.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.model import ServedModel
from service.repository.index import UNWANTED, Refused, Version
from service.repository.layout import Candidate, Found
from service.repository.policy import Policy


@dataclass(frozen=True)
class Slot:
    """A version.

    Attributes:
        seen: what the last look saw; None for nothing.
        tried: what was last loaded or refused.
        refused: why that is not served.
        leaving: what was unloaded.
    """

    seen: Candidate | None = None
    tried: Candidate | None = None
    served: ServedModel | None = None
    refused: Refused | None = None
    leaving: weakref.ref[ServedModel] | None = None

    def after(self, candidate: Candidate, outcome: Version) -> Slot:
        """The version after it was tried: a refusal leaves what is served in its place."""
        if isinstance(outcome, ServedModel):
            return replace(self, tried=candidate, served=outcome, refused=None)
        served = None if candidate.absent else self.served
        return replace(self, tried=candidate, served=served, refused=outcome)

    def emptied(self) -> Slot:
        """The version after it was unloaded: to be tried again when it is wanted again."""
        return Slot(self.seen, leaving=weakref.ref(self.served) if self.served else self.leaving)


@dataclass
class Shelf:
    """A model.

    Attributes:
        source: a folder that holds its versions instead of the one on disk.
        found: what the last look saw.
    """

    policy: Policy
    source: Path | None = None
    slots: dict[int, Slot] = field(default_factory=dict)
    found: Found = field(default_factory=Found)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of the model."""
        return not (self.slots or self.found.versions or self.found.odd or self.source)

    def due(self, *, settled: bool) -> list[int]:
        """The versions to load now.

        Args:
            settled: nothing is being written, as far as one look can tell.
        """
        due, wanted = [], 0
        for number in sorted(self.found.versions, reverse=True):
            if not self.policy.admits(number):
                continue
            if wanted == self.policy.newest:
                break
            slot, candidate = self.slots.get(number, Slot()), self.found.versions[number]
            waits = candidate != slot.tried
            if waits and (settled or candidate == slot.seen):
                due.append(number)
            wanted += waits or slot.served is not None
        return due

    def surplus(self) -> list[int]:
        """The versions that should no longer be served: they are gone, or no longer wanted."""
        surplus, kept = [], 0
        for number, slot in sorted(self.slots.items(), reverse=True):
            if slot.served is None:
                surplus += [number] if slot.tried and not self.policy.admits(number) else []
                continue
            gone = number not in self.found.versions and slot.seen is None
            if gone or not self.policy.admits(number) or kept == self.policy.newest:
                surplus.append(number)
            else:
                kept += 1
        return surplus

    def take(self, policy: Policy, source: Path | None) -> None:
        """Follow another policy, or another folder, whose versions have nothing to do with those before."""
        if source != self.source:
            self.slots = {number: replace(slot, seen=None) for number, slot in self.slots.items()}
        self.policy, self.source = policy, source

    def remember(self) -> None:
        """Remember the last look; a version that two looks did not see is forgotten."""
        for number in {*self.slots, *self.found.versions}:
            slot, seen = self.slots.get(number, Slot()), self.found.versions.get(number)
            if seen is None and slot.seen is None and slot.served is None:
                self.slots.pop(number, None)
            else:
                self.slots[number] = replace(slot, seen=seen)

    def versions(self) -> dict[int, Version]:
        """What requests see."""
        due = self.due(settled=True)
        numbers = sorted({*self.slots, *self.found.versions})
        return {n: self._shown(self.slots.get(n, Slot()), due=n in due) for n in numbers}

    def notes(self) -> dict[int, str]:
        """Why a version still answers as it did before its file changed."""
        return {
            number: f"the file on disk is not served: {slot.refused.reason}"
            for number, slot in self.slots.items()
            if slot.served and slot.refused
        }

    def _shown(self, slot: Slot, *, due: bool) -> Version:
        if slot.served is not None:
            return slot.served
        if due:
            return Refused("it is being loaded", loading=True)
        return slot.refused or Refused(self.policy.reason, UNWANTED, leaving=slot.leaving)
