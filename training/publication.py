"""Publishing a file as the next version of a model: written in a hidden folder, visible by one rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from training.errors import TrainingError

FILE = "model.onnx"


class Workshop:
    """A folder beside the versions, on the same file system, in which the next one is made.

    Whatever is not published when the block ends is removed.

    Raises:
        TrainingError: the disk refuses, with what it says; the versions that exist are untouched.
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    def __enter__(self) -> Workshop:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=self._home))
            self.folder.mkdir()
        except OSError as error:
            raise _refusal(self._home, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _refusal(self._home, error) from error

    @property
    def folder(self) -> Path:
        """What is published: the model, and what lies beside it."""
        return self._folder / "published"

    @property
    def file(self) -> Path:
        """Where to write the model that will be published."""
        return self.folder / FILE

    @property
    def scratch(self) -> Path:
        """Where to write a model that will not."""
        return self._folder / "scratch.onnx"

    def publish(self) -> Path:
        """Make the file the next version and return its new path."""
        version = 1 + max((int(p.name) for p in self._home.iterdir() if p.name.isdigit()), default=0)
        while not self._rename(self._home / str(version)):
            version += 1
        return self._home / str(version) / FILE

    def _rename(self, target: Path) -> bool:
        """Whether the number was free; the rename itself decides between two runs that want it."""
        try:
            os.replace(self.folder, target)  # noqa: PTH105 - the atomic rename is the point
        except OSError:
            if target.exists():
                return False
            raise
        return True


@contextmanager
def replacing(path: Path) -> Iterator[tuple[Path, Path]]:
    """Where to write a file that takes the place of `path` once the block ends well, and a scratch file.

    Raises:
        TrainingError: the disk refuses, with what it says; what was at `path` is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=path.parent) as folder:
            written = Path(folder) / FILE
            yield written, Path(folder) / "scratch.onnx"
            os.replace(written, path)  # noqa: PTH105 - the atomic rename is the point
    except OSError as error:
        raise _refusal(path, error) from error


def _refusal(home: Path, error: OSError) -> TrainingError:
    return TrainingError(f"cannot write to {home}: {error.strerror or error}; nothing was published")
