"""What requests see of the repository: immutable, so that a request that took it keeps one view of it."""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from service.errors import (
    FoldserveError,
    ModelUnavailable,
    NoDefaultModel,
    UnknownModel,
    UnknownVersion,
)
from service.model import ServedModel
from service.repository.layout import is_version

State = Literal["READY", "LOADING", "UNLOADING", "UNAVAILABLE"]
"""As Triton calls them."""

UNWANTED = "policy"
"""The stage of a version that nobody tried, for it is not wanted."""


@dataclass(frozen=True)
class Refused:
    """A version that is on disk but not served.

    Attributes:
        stage: what it failed, as in `UnreadableModel`, or "policy" when it is not wanted.
        loading: it is not refused yet.
        leaving: the model that it was, which may still answer the last of its requests.
    """

    reason: str
    stage: str = "unreadable"
    loading: bool = False
    leaving: weakref.ref[ServedModel] | None = field(default=None, compare=False)

    @property
    def state(self) -> State:
        """Triton's word for it."""
        if self.loading:
            return "LOADING"
        return "UNLOADING" if self.leaving and self.leaving() else "UNAVAILABLE"


Version = ServedModel | Refused


class Listed(NamedTuple):
    """A line of the index; a model without versions has one with version ""."""

    name: str
    version: str
    state: State
    reason: str


@dataclass(frozen=True)
class Index:
    """The models of one moment.

    Attributes:
        named: the default model that the operator named.
        notes: why the file on disk is not the one that answers, where it is not.
        odd: what lies in a model's folder but is no version, and why.
    """

    models: Mapping[str, Mapping[int, Version]] = field(default_factory=dict)
    named: str | None = None
    notes: Mapping[tuple[str, int], str] = field(default_factory=dict)
    odd: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    latest: Mapping[str, ServedModel | None] = field(init=False)
    default: str | None = field(init=False)

    def __post_init__(self) -> None:
        latest = {name: _latest(versions) for name, versions in self.models.items()}
        only = next(iter(self.models)) if len(self.models) == 1 else None
        object.__setattr__(self, "latest", latest)
        object.__setattr__(self, "default", self.named or only)

    @property
    def names(self) -> list[str]:
        """All model names, in order."""
        return sorted(self.models)

    def find(self, name: str | None, version: str | None) -> ServedModel:
        """The version that answers."""
        name = name if name is not None else self.default
        if name is None:
            raise NoDefaultModel(self.names)
        if name not in self.models:
            raise UnknownModel(name, self.names)
        served = self.latest[name] if version is None else self._version(name, version)
        if served is None:
            raise self._why_not(name)
        return served

    def listing(self) -> list[Listed]:
        """A line for every version, served or not, and for whatever else is in its place."""
        lines = []
        for name in self.names:
            for number, found in sorted(self.models[name].items()):
                note = self.notes.get((name, number), "")
                state, reason = (found.state, found.reason) if isinstance(found, Refused) else ("READY", note)
                lines.append(Listed(name, str(number), state, reason))
            odd = sorted(self.odd.get(name, {}).items())
            lines += [Listed(name, text, "UNAVAILABLE", reason) for text, reason in odd]
        return lines

    def _version(self, name: str, version: str) -> ServedModel:
        versions = self.models[name]
        found = versions.get(int(version)) if is_version(version) else None
        if found is None:
            raise UnknownVersion(name, version, sorted(versions))
        if isinstance(found, Refused):
            raise ModelUnavailable(name, int(version), found.reason)
        return found

    def _why_not(self, name: str) -> FoldserveError:
        refused = {n: v for n, v in self.models[name].items() if isinstance(v, Refused)}
        if not refused:
            reason = self.odd.get(name, {}).get("", "")
            return ModelUnavailable(name, None, reason) if reason else UnknownVersion(name, "latest", [])
        highest, found = max(refused.items(), key=lambda item: item[0])
        return ModelUnavailable(name, highest, found.reason)


def _latest(versions: Mapping[int, Version]) -> ServedModel | None:
    served = [version for version in versions.values() if isinstance(version, ServedModel)]
    return max(served, key=lambda model: model.version, default=None)
