"""Wishes for all workers of a server: one file that each of them looks at, and one by each with its answer.

A request reaches one worker. It writes the wish, and waits until the file of every worker says that it is
done. One wish is under way at a time: a lock, held until the answers are there, keeps others waiting. A
worker that starts later finds the wishes that hold.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel

from service.errors import LoadFailed, Unconfirmed
from service.repository.wish import Wish, Wishes

PATIENCE = 30.0
"""How long, in seconds, the workers may take."""

_PAUSE = 0.01


class Answer(BaseModel):
    """What a worker made of the last wish it saw.

    Attributes:
        error: why it could not be fulfilled.
    """

    generation: int
    error: str | None = None


class Control:
    """The meeting place, seen from one worker.

    Args:
        folder: where the workers meet.
        number: which of them this is.
        count: how many there are.
    """

    def __init__(self, folder: Path, number: int, count: int) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._number = number
        self._count = count
        self._seen: tuple[int, int] | None = None
        self._done = 0

    def wishes(self) -> Wishes:
        """All that hold."""
        try:
            return Wishes.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return Wishes()

    def news(self) -> tuple[int, list[Wish]] | None:
        """The wishes since the last that this worker answered; None when there is nothing new."""
        try:
            facts = self._file.stat()
        except FileNotFoundError:
            return None
        seen = (facts.st_mtime_ns, facts.st_ino)
        if seen == self._seen:
            return None
        wishes = self.wishes()
        self._seen = seen
        return wishes.generation, wishes.after(self._done)

    def answer(self, generation: int, error: str | None = None) -> None:
        """Tell the others that the wishes up to this one are done."""
        self._done = generation
        answer = Answer(generation=generation, error=error)
        _write(self._answer_file(self._number), answer.model_dump_json())

    def ask(self, wish: Wish) -> Wish:
        """Have a wish fulfilled by every worker, and return what held before.

        Raises:
            LoadFailed: some worker could not; what held before holds again.
            Unconfirmed: some worker did not answer in time.
        """
        until = time.monotonic() + PATIENCE
        with self._alone(until):
            wishes = self.wishes()
            before = wishes.of(wish.name)
            error = self._spread(wishes.with_one(wish), until)
            if error is not None:
                self._spread(self.wishes().with_one(before), until)
                raise LoadFailed(wish.name, error)
        return before

    def _spread(self, wishes: Wishes, until: float) -> str | None:
        """Write the wishes and wait for all answers; why they could not be fulfilled."""
        _write(self._file, wishes.model_dump_json())
        while True:
            answers = [answer for answer in self._answers() if answer.generation >= wishes.generation]
            if len(answers) >= self._count:
                return next((answer.error for answer in answers if answer.error), None)
            if time.monotonic() > until:
                raise Unconfirmed(len(answers), self._count, PATIENCE)
            time.sleep(_PAUSE)

    def _answers(self) -> Iterator[Answer]:
        for number in range(self._count):
            path = self._answer_file(number)
            if path.exists():
                yield Answer.model_validate_json(path.read_bytes())

    @contextmanager
    def _alone(self, until: float) -> Iterator[None]:
        with (self._folder / "lock").open("w") as lock:
            while not _locked(lock.fileno()):
                if time.monotonic() > until:
                    raise Unconfirmed(0, self._count, PATIENCE)
                time.sleep(_PAUSE)
            yield

    @property
    def _file(self) -> Path:
        return self._folder / "wishes.json"

    def _answer_file(self, number: int) -> Path:
        return self._folder / f"answer-{number}.json"


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    """Replace a file at once: who reads it finds the old or the new."""
    written = path.with_name(f".{path.name}.{os.getpid()}")
    written.write_text(text)
    written.replace(path)
