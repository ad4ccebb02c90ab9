import os
import sys
from pathlib import Path

import pytest
import torch

from training.loop import placement
from training.loop.placement import spread_threads

linux = pytest.mark.skipif(sys.platform != "linux", reason="threads are placed on Linux only")


def masks() -> dict[int, set[int]]:
    return {int(t.name): os.sched_getaffinity(int(t.name)) for t in Path("/proc/self/task").iterdir()}


@linux
def test_threads_get_a_core_each_and_their_freedom_back(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = sorted(os.sched_getaffinity(0))
    others = [thread for thread in masks() if thread != os.getpid()]
    if len(cores) < 2 or not others:
        pytest.skip("one core, or no second thread")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(placement, "_cores", lambda _: cores[:2])
    monkeypatch.setattr(placement, "_working_threads", lambda: [os.getpid(), others[0]])
    before = masks()
    with spread_threads():
        assert os.sched_getaffinity(os.getpid()) == {cores[0]}
        assert os.sched_getaffinity(others[0]) == {cores[1]}
    after = masks()
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
