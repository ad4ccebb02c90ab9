"""What lies in a models folder: names, versions, and for each version what it looks like from outside.

Nothing is opened here. A version is recognised by the size, time and inode of its files, and what leads out
of the folder by a link is refused before anything reads it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

FILE = "model.onnx"

Fingerprint = tuple[tuple[str, int, int, int], ...]
"""Name, size, modification time in nanoseconds and inode of each file of a version."""

_MOST_FILES = 1000
_LONGEST_NAME = 200


class Fault(NamedTuple):
    """Why a version is not even tried."""

    reason: str
    stage: str = "unreadable"


@dataclass(frozen=True)
class Candidate:
    """A version as it lies on disk; two that are equal need not both be tried.

    Attributes:
        path: its model file.
    """

    path: Path
    fingerprint: Fingerprint = ()
    fault: Fault | None = None

    @property
    def absent(self) -> bool:
        """Whether there is no model file at all."""
        return self.fault == ABSENT

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return sum(size for _, size, _, _ in self.fingerprint)


ABSENT = Fault("there is no such file")


@dataclass(frozen=True)
class Found:
    """A model's folder.

    Attributes:
        odd: what is there but is no version, and why; "" stands for the folder itself.
        closed: what is in it could not be seen, which says nothing about it.
    """

    versions: Mapping[int, Candidate] = field(default_factory=dict)
    odd: Mapping[str, str] = field(default_factory=dict)
    closed: bool = False


def look(folder: Path) -> dict[str, Found]:
    """The models of a folder. Hidden ones are passed over: they are being written.

    Raises:
        OSError: the folder cannot be listed.
    """
    root = folder.resolve()
    return {_shown(path.name): look_at_model(path, root) for path in _folders(folder)}


def look_at_model(folder: Path, root: Path) -> Found:
    """The versions of one model; what is reached must lie below the root."""
    if fault := name_fault(folder.name):
        return _closed(fault)
    if not _lies_below(folder, root):
        return _closed("it is a link that leads out of the models folder, or in a circle")
    try:
        paths = _folders(folder)
    except OSError as error:
        return Found() if isinstance(error, FileNotFoundError) else _closed(f"it is closed: {error.strerror}")
    return _sorted_out(paths, root)


def _closed(reason: str) -> Found:
    return Found(odd={"": reason}, closed=True)


def _sorted_out(paths: Sequence[Path], root: Path) -> Found:
    versions, odd = {}, {}
    for path in paths:
        if is_version(path.name):
            versions[int(path.name)] = _candidate(path, root)
        else:
            odd[_shown(path.name)] = "it is not a version: expected a positive integer such as 1"
    if not versions:
        odd[""] = f"it has no versions: expected <version>/{FILE} in its folder"
    return Found(versions, odd)


def is_version(text: str) -> bool:
    """A positive integer in its only spelling: no sign, no leading zero."""
    return text.isascii() and text.isdigit() and not text.startswith("0") and len(text) < 19


def fingerprint(folder: Path) -> Fingerprint:
    """The model file and all that lies beside it, for its weights may be in files of their own.

    Raises:
        OSError: a file cannot be seen.
    """
    return tuple(_marks(folder))


def name_fault(name: str) -> str | None:
    """Why a text cannot be the name of a model or of one of its files: it must be one part of a path."""
    if not name or name.startswith(".") or "/" in name or "\\" in name:
        return "it is not a name: expected one without slashes or a dot in front"
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        return f"it is not a name: expected at most {_LONGEST_NAME} printable characters"
    return None


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    return [folder / name for name in sorted(names)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle: it is refused by itself, and disturbs nothing else
        return True


def _candidate(folder: Path, root: Path) -> Candidate:
    path = folder / FILE
    if not _lies_below(path, root):
        return Candidate(path, fault=Fault("it is a link that leads out of the models folder", "unsafe"))
    if not path.is_file():
        return Candidate(path, fault=ABSENT)
    try:
        return Candidate(path, fingerprint(folder))
    except OSError as error:
        return Candidate(path, fault=Fault(f"it cannot be read: {error.strerror}"))


def _marks(folder: Path) -> Iterator[tuple[str, int, int, int]]:
    count = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(name for name in files if not name.startswith(".")):
            count += 1
            if count > _MOST_FILES:
                return
            path = Path(parent, name)
            facts = path.stat()
            yield (str(path.relative_to(folder)), facts.st_size, facts.st_mtime_ns, facts.st_ino)


def _lies_below(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # links in a circle
        return False


def _shown(name: str) -> str:
    """A name that every answer can carry, whatever the bytes on disk are."""
    return name.encode("utf-8", "backslashreplace").decode()
