"""models/ on disk → name → versions → served models. What cannot be served is listed with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from service.counters import Counters
from service.errors import (
    FoldserveError,
    ModelUnavailable,
    NoDefaultModel,
    UnknownModel,
    UnknownVersion,
    UnreadableModel,
)
from service.model import Host, ServedModel

FILE = "model.onnx"


@dataclass(frozen=True)
class Refused:
    """A version that is on disk but not served."""

    reason: str


Version = ServedModel | Refused


class Repository:
    """All models of one folder, loaded once.

    Raises:
        UnknownModel: the default model named is not in the folder.
        RuntimeMissing, DeviceUnavailable: nothing could be served.
    """

    def __init__(
        self,
        folder: Path,
        host: Host | None = None,
        default: str | None = None,
    ) -> None:
        self.folder = folder
        self.host = host = host or Host()
        self.models: Mapping[str, Mapping[int, Version]] = {
            path.name: _versions(path, host) for path in _folders(folder)
        }
        if default is not None and default not in self.models:
            raise UnknownModel(default, self.names)
        self._default = default or (self.names[0] if len(self.names) == 1 else None)
        self._latest = {name: _latest(versions) for name, versions in self.models.items()}

    @property
    def names(self) -> list[str]:
        """All model names, in order."""
        return sorted(self.models)

    @property
    def default(self) -> str | None:
        """The model that answers POST /predict, if there is one."""
        return self._default

    @property
    def ready(self) -> bool:
        """Whether some model answers: one bad file must not take the others out of the load balancer."""
        return any(latest is not None for latest in self._latest.values())

    def find(self, name: str | None = None, version: str | None = None) -> ServedModel:
        """The model version that answers; without a version the highest that is served.

        Raises:
            NoDefaultModel, UnknownModel, UnknownVersion, ModelUnavailable: as they say.
        """
        name = name if name is not None else self._default
        if name is None:
            raise NoDefaultModel(self.names)
        if name not in self.models:
            raise UnknownModel(name, self.names)
        served = self._latest[name] if version is None else self._version(name, version)
        if served is None:
            raise self._why_not(name)
        return served

    def latest(self, name: str) -> int | None:
        """The version that answers when none is named."""
        served = self._latest[name]
        return served.version if served else None

    def _version(self, name: str, version: str) -> ServedModel:
        versions = self.models[name]
        found = versions.get(int(version)) if _is_version(version) else None
        if found is None:
            raise UnknownVersion(name, version, sorted(versions))
        if isinstance(found, Refused):
            raise ModelUnavailable(name, int(version), found.reason)
        return found

    def _why_not(self, name: str) -> FoldserveError:
        versions = self.models[name]
        if not versions:
            return UnknownVersion(name, "latest", [])
        highest, found = max(versions.items())
        return ModelUnavailable(name, highest, found.reason if isinstance(found, Refused) else "not loaded")


def _folders(folder: Path) -> list[Path]:
    """The model folders; hidden ones hold versions that are being written."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _versions(folder: Path, host: Host) -> dict[int, Version]:
    numbered = sorted(int(path.name) for path in _folders(folder) if _is_version(path.name))
    return {number: _load(folder.name, number, folder / str(number) / FILE, host) for number in numbered}


def _is_version(text: str) -> bool:
    """A positive integer in its only spelling: no sign, no leading zero."""
    return text.isascii() and text.isdigit() and not text.startswith("0") and len(text) < 19


def _load(name: str, version: int, path: Path, host: Host) -> Version:
    try:
        model = ServedModel(name, version, path, host)
        model.counters.loaded()
        return model
    except UnreadableModel as error:
        Counters(host.ledger.block(f"{name}/{version}")).refused(error.stage)
        return Refused(error.reason)


def _latest(versions: Mapping[int, Version]) -> ServedModel | None:
    served = [version for version in versions.values() if isinstance(version, ServedModel)]
    return max(served, key=lambda model: model.version, default=None)
