import pytest

from service.counters import Counters, Duration
from tests.threads import at_once


def test_a_request_is_one_success_or_one_failure() -> None:
    counters = Counters()
    with counters.request() as watch:
        watch.compute_infer, watch.rows = 5, 3
    with pytest.raises(ZeroDivisionError), counters.request() as watch:
        watch.rows = 1 // 0
    totals = counters.snapshot()
    assert (totals.success.count, totals.fail.count) == (1, 1)
    assert (totals.executions, totals.rows, totals.compute_infer) == (1, 3, Duration(1, 5))
    assert totals.success.ns > 0
    assert totals.fail.ns > 0
    assert totals.last_ms > 0


def test_no_count_is_lost_between_threads() -> None:
    counters = Counters()

    def work() -> None:
        for _ in range(500):
            with counters.request() as watch:
                watch.rows = watch.queue = 2

    at_once(work, 8)
    totals = counters.snapshot()
    assert (totals.success.count, totals.executions, totals.rows, totals.queue.ns) == (4000, 4000, 8000, 8000)
