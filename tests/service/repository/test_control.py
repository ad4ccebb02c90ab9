import threading
from pathlib import Path

import pytest

from service.errors import LoadFailed, Unconfirmed
from service.repository import control
from service.repository.control import Control
from service.repository.wish import Wish
from tests.threads import at_once

LOAD = Wish(name="m", action="load")
UNLOAD = Wish(name="m", action="unload")


class Worker(threading.Thread):
    """Answers every wish until it is told to stop."""

    def __init__(self, folder: Path, number: int, count: int, error: str | None = None) -> None:
        super().__init__(daemon=True)
        self.control = Control(folder, number, count)
        self.seen: list[Wish] = []
        self.error = error
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.005):
            if (news := self.control.news()) is not None:
                self.seen += news[1]
                failed = any(wish.again and wish.action == "load" for wish in news[1])
                self.control.answer(news[0], self.error if failed else None)

    def __enter__(self) -> "Worker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(10)


def test_a_wish_is_done_when_every_worker_has_said_so(tmp_path: Path) -> None:
    with Worker(tmp_path, 0, 2) as one, Worker(tmp_path, 1, 2) as two:
        before = Control(tmp_path, 0, 2).ask(UNLOAD)
        assert (before.action, before.again) == ("load", False)
        assert Control(tmp_path, 1, 2).ask(LOAD) == UNLOAD.model_copy(update={"again": False})
    assert one.seen == two.seen == [UNLOAD, LOAD]


def test_a_worker_that_cannot_makes_the_others_go_back(tmp_path: Path) -> None:
    refused = pytest.raises(LoadFailed, match="'m' was not loaded: no room")
    with Worker(tmp_path, 0, 2) as sound, Worker(tmp_path, 1, 2, "no room") as full, refused:
        Control(tmp_path, 0, 2).ask(LOAD)
    assert [wish.again for wish in sound.seen] == [True, False]
    assert len(full.seen) == 2
    assert not Control(tmp_path, 0, 2).wishes().of("m").again


def test_a_worker_that_does_not_answer_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    with Worker(tmp_path, 0, 2), pytest.raises(Unconfirmed, match="1 of 2 workers"):
        Control(tmp_path, 0, 2).ask(UNLOAD)
    late = Control(tmp_path, 1, 2)
    assert late.news() == (1, [UNLOAD])
    assert late.news() is None


def test_one_wish_is_under_way_at_a_time(tmp_path: Path) -> None:
    with Worker(tmp_path, 0, 2) as one, Worker(tmp_path, 1, 2):
        at_once(lambda: [Control(tmp_path, 0, 2).ask(UNLOAD) for _ in range(3)] and None, 4)
    assert len(one.seen) == 12


def test_nobody_waits_longer_than_patience_for_a_wish_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "PATIENCE", 0.1)
    waiting = Control(tmp_path, 0, 1)
    with Control(tmp_path, 0, 1)._alone(float("inf")), pytest.raises(Unconfirmed):
        waiting.ask(LOAD)
