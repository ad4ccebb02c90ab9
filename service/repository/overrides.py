"""Models that clients send: their files in private folders, one for each load."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from service.errors import LoadFailed
from service.repository.layout import is_version, name_fault

_DEEPEST = 8


class Overrides:
    """The folders.

    Args:
        home: where they are made; by default in a temporary folder of their own.
    """

    def __init__(self, home: Path | None = None) -> None:
        self._home = home
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def write(self, name: str, files: Mapping[str, bytes]) -> Path:
        """A new folder with these files, by their paths such as `1/model.onnx`.

        Raises:
            LoadFailed: the name or a path is not one.
        """
        fault = name_fault(name) or next(filter(None, map(_path_fault, files)), None)
        if fault:
            raise LoadFailed(name, fault)
        folder = Path(tempfile.mkdtemp(prefix="model-", dir=self._place()))
        try:
            for path, content in files.items():
                target = folder / name / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
        except OSError as error:
            self.remove(folder / name)
            raise LoadFailed(name, f"its files cannot be kept: {error.strerror}") from error
        return folder / name

    def remove(self, model: Path | None) -> None:
        """Remove a folder that is no longer served from."""
        if model is not None:
            shutil.rmtree(model.parent, ignore_errors=True)

    def close(self) -> None:
        """Remove the temporary folder."""
        if self._temporary:
            self._temporary.cleanup()
            self._temporary = None

    def _place(self) -> Path:
        if self._home:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._home
        self._temporary = self._temporary or tempfile.TemporaryDirectory(prefix="foldserve-")
        return Path(self._temporary.name)


def _path_fault(path: str) -> str | None:
    version, *names = path.split("/")
    if not is_version(version) or not 0 < len(names) <= _DEEPEST or any(map(name_fault, names)):
        return f"file:{path[:80]!r} is not a file of a version: expected file:<version>/<name>"
    return None
