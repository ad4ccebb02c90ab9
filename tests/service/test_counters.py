from pathlib import Path

from service.counters import FAILURES, LOAD_FAILURES, SLOTS, Counters, Totals
from service.errors import DeadlineExceeded
from service.ledger import Ledger
from service.watch import Watch


def answered(counters: Counters, run: int = 30_000) -> None:
    watch = Watch("id")
    watch.run = run
    watch.end()
    counters.answered(watch)


def test_an_answer_is_counted_with_its_times() -> None:
    counters = Counters()
    answered(counters)
    answered(counters, run=10**12)
    totals = counters.totals()
    assert totals.successes == totals.phases["run"].count == totals.phases["request"].count == 2
    assert totals.phases["run"].counts[1] == totals.phases["run"].counts[-1] == 1
    assert totals.phases["run"].total == 1000.00003
    assert totals.last_ms > 0


def test_a_failure_is_counted_by_its_reason_and_not_among_the_times() -> None:
    counters = Counters()
    for why in FAILURES:
        counters.failed(Watch(), why)
    counters.failed(Watch(), "REJECTED")
    totals = counters.totals()
    assert totals.failures == {"REJECTED": 2, "CANCELED": 1, "BACKEND": 1, "OTHER": 1}
    assert totals.phases["request"].count == totals.successes == 0


def test_runs_and_what_waits_are_counted() -> None:
    counters = Counters()
    for rows in (1, 2, 3, 100_000):
        counters.ran(rows)
    counters.waits(2, 20)
    counters.waits(-1, -5)
    totals = counters.totals()
    assert (totals.executions, totals.rows) == (4, 100_006)
    assert totals.run_rows.counts[:3] == (1, 1, 1)
    assert totals.run_rows.counts[-1] == 1
    assert (totals.waiting_requests, totals.waiting_rows) == (1, 15)


def test_loads_and_refusals_of_a_version_are_counted() -> None:
    counters = Counters()
    counters.loaded()
    for why in LOAD_FAILURES:
        counters.refused(why)
    assert counters.totals().live == counters.totals().loads == 1
    assert set(counters.totals().load_failures.values()) == {1}
    counters.unloaded()
    assert counters.totals().live == 0


def test_workers_add_up_and_a_replacement_goes_on_counting(tmp_path: Path) -> None:
    ledgers = [Ledger(SLOTS, tmp_path, worker) for worker in (0, 1)]
    for ledger in ledgers:
        counters = Counters(ledger.block("m/1"))
        answered(counters)
        counters.waits(1, 9)
    replacement = Ledger(SLOTS, tmp_path, 1)
    answered(Counters(replacement.block("m/1")))
    Counters(replacement.block("other/1"))
    totals = Totals.of(ledgers[0].read()["m/1"])
    assert totals.successes == 3
    assert totals.waiting_rows == 9  # what waited in the worker that was replaced is gone
    assert set(ledgers[0].read()) == {"m/1", "other/1"}


def test_a_deadline_counts_from_the_arrival_and_the_shortest_holds() -> None:
    watch = Watch()
    watch.check(10.0)
    watch.limit(60.0)
    watch.limit(90.0)
    assert watch.seconds_left is not None
    assert 50 < watch.seconds_left <= 60
    watch.check(10.0)
    try:
        watch.check(61.0)
    except DeadlineExceeded:
        return
    raise AssertionError
