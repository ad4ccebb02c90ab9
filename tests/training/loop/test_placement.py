import os
import sys
import threading
from pathlib import Path

import pytest
import torch

from training.loop import placement
from training.loop.placement import Times, spread_threads

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads are placed on Linux only")


def masks() -> dict[int, set[int]]:
    return {int(t.name): os.sched_getaffinity(int(t.name)) for t in Path("/proc/self/task").iterdir()}


@linux
def test_threads_get_a_core_each_and_their_freedom_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        pytest.skip("one core")
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    assert other.native_id is not None
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(placement, "_cores", lambda _: cores[:2])
    monkeypatch.setattr(placement, "_working_threads", lambda: [os.getpid(), other.native_id])
    before = masks()
    with spread_threads():
        assert os.sched_getaffinity(os.getpid()) == {cores[0]}
        assert os.sched_getaffinity(other.native_id) == {cores[1]}
    after = masks()
    done.set()
    other.join()
    assert all(after[thread] == mask for thread, mask in before.items() if thread in after)


@linux
def test_an_error_gives_the_freedom_back_too() -> None:
    before = os.sched_getaffinity(0)
    with pytest.raises(KeyError), spread_threads():
        raise KeyError
    assert os.sched_getaffinity(0) == before


@linux
def test_a_single_thread_is_left_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    before = os.sched_getaffinity(0)
    with spread_threads():
        assert os.sched_getaffinity(0) == before


@linux
def test_a_system_that_forbids_it_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> set[int]:
        raise PermissionError

    monkeypatch.setattr(placement, "_working_threads", forbidden)
    monkeypatch.setattr(torch, "get_num_threads", lambda: len(os.sched_getaffinity(0)))
    with spread_threads():
        pass


@linux
def test_threads_that_wait_for_their_core_are_set_free(monkeypatch: pytest.MonkeyPatch) -> None:
    this, before = os.getpid(), os.sched_getaffinity(0)
    spans = iter([Times(0, 0), Times(1000, 40), Times(2000, 140), Times(3000, 900)])
    monkeypatch.setattr(placement, "_times", lambda: {this: next(spans)})
    held = placement.Placement({this: before})
    os.sched_setaffinity(this, {min(before)})
    for _ in range(2):
        held.review()
        assert os.sched_getaffinity(this) == {min(before)}
    held.review()
    assert os.sched_getaffinity(this) == before
    held.review()
