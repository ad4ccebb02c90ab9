import os
from pathlib import Path

from service import tally
from service.counters import SLOTS
from service.ledger import Ledger


def test_answers_of_all_workers_add_up_by_status(tmp_path: Path) -> None:
    ledgers = [Ledger(SLOTS, tmp_path, worker) for worker in (0, 1)]
    for ledger in ledgers:
        counted = tally.Tally(ledger.block(tally.KEY))
        for status in (200, 200, 401, 503, tally.UNANSWERED, 418):
            counted.answered(status)
    blocks = ledgers[0].read()[tally.KEY]
    assert tally.answers(blocks) == {"200": 4, "401": 2, "503": 2, "none": 2, "other": 2}
    assert tally.processes(blocks) == [os.getpid()] * 2


def test_a_block_has_room_for_every_status() -> None:
    assert len(tally.STATUSES) + 2 < SLOTS
