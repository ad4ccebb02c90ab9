"""The rows a certificate is computed on."""

import numpy as np

from training.certify import EPS
from training.data import Split
from training.held_out import MOST_ROWS, ROWS, STRANGE, HeldOut
from training.schema import Column

NUMBERS = (Column("a", "numeric"), Column("b", "numeric"))
RECORDS = (
    Column("colour", "categorical", ("blue", "red"), True, ("?",)),
    Column("a", "numeric"),
    Column("b", "numeric", missing=True),
)


def split(numeric: np.ndarray, codes: np.ndarray | None = None) -> Split:
    codes = np.empty((len(numeric), 0), np.int64) if codes is None else codes
    return Split(numeric.astype(np.float32), codes, np.zeros(len(numeric), np.int64))


def test_few_rows_are_joined_by_points_between_them() -> None:
    given = np.array([[0.0, 10.0], [1.0, 20.0]], np.float32)
    held_out = HeldOut.of_rows(split(given), NUMBERS, seed=0)
    assert held_out.genuine == 2
    assert held_out.numeric.shape == (ROWS, 2)
    assert held_out.numeric[:2].tolist() == given.tolist()
    assert (held_out.numeric >= given.min(0)).all()
    assert (held_out.numeric <= given.max(0) * (1 + EPS)).all()


def test_many_rows_are_cut_at_a_bound() -> None:
    held_out = HeldOut.of_rows(split(np.zeros((MOST_ROWS + 5, 1))), NUMBERS[:1], seed=0)
    assert (len(held_out), held_out.genuine) == (MOST_ROWS, MOST_ROWS)


def test_rows_with_gaps_and_strangers_are_added_where_the_model_takes_them() -> None:
    numeric, codes = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2], [3]])
    held_out = HeldOut.of_rows(split(numeric, codes), RECORDS, seed=0)
    assert len(held_out) == ROWS + STRANGE
    strange, usual = held_out.numeric[ROWS:], held_out.numeric[:ROWS]
    assert not np.isnan(usual).any()
    assert np.isnan(strange[:, 1]).any()
    assert not np.isnan(strange[:, 0]).any()
    assert set(held_out.codes[ROWS:, 0]) == {0, 1, 2, 3}


def test_records_are_what_a_client_sends() -> None:
    numeric, codes = np.array([[1.5, np.nan], [3.0, 4.0]]), np.array([[3], [1]])
    held_out = HeldOut.of_rows(split(numeric, codes), RECORDS, seed=0)
    assert held_out.records(2) == [["red", 1.5, None], [None, 3.0, 4.0]]
    texts = held_out.arrays(texts=True)[1]
    assert texts[:2].tolist() == [["red"], [""]]
    assert held_out.codebook.stranger in texts


def test_both_forms_of_a_row_say_the_same() -> None:
    numeric, codes = np.array([[1.5, 2.0], [3.0, 4.0]]), np.array([[3], [0]])
    held_out = HeldOut.of_rows(split(numeric, codes), RECORDS, seed=0)
    known = {"blue": 2, "red": 3, "": 1, held_out.codebook.stranger: 0}
    places, texts = (held_out.arrays(texts=texts)[1][:, 0] for texts in (False, True))
    assert [known[text] for text in texts] == places.tolist()
    assert [tensor.shape for tensor in held_out.tensors()] == [(ROWS + STRANGE, 2), (ROWS + STRANGE, 1)]
