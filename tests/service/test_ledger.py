from pathlib import Path

from service.ledger import KEY_BYTES, PAGES, Ledger


def test_a_block_is_the_same_memory_whenever_it_is_asked_for() -> None:
    ledger = Ledger(3)
    ledger.block("a")[1] = 7
    ledger.block("b")[2] = -9
    assert list(ledger.block("a")) == [0, 7, 0]
    assert {key: [list(b) for b in blocks] for key, blocks in ledger.read().items()} == {
        "a": [[0, 7, 0]],
        "b": [[0, 0, -9]],
    }


def test_the_numbers_outlive_their_worker(tmp_path: Path) -> None:
    Ledger(2, tmp_path).block("a")[0] = 5
    assert list(Ledger(2, tmp_path).block("a")) == [5, 0]


def test_what_does_not_fit_is_counted_apart() -> None:
    ledger = Ledger(1)
    ledger.block("x" * (KEY_BYTES + 1))[0] = 1
    for number in range(PAGES + 1):
        ledger.block(str(number))[0] = 1
    assert len(ledger.read()) == PAGES
    assert list(ledger.block(str(PAGES))) == [1]
