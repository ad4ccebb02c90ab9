"""Members learn from all rows that are not test rows, and none validates on rows that it has learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training import parts as module
from training.config import DataConfig
from training.data import Split, Splits, load
from training.parts import differ, parts, together


def numbered(dataset: str, validation: float = 0.2, **fields: float) -> Splits:
    """The splits of an embedded table whose first column is the number of the row."""
    splits = load(DataConfig(dataset, validation=validation, **fields), 0)  # type: ignore[arg-type]
    start, parts = 0, {}
    for name in ("train", "validation", "test"):
        split: Split = getattr(splits, name)
        numeric = split.numeric.copy()
        numeric[:, 0] = start + np.arange(len(split))
        parts[name], start = replace(split, numeric=numeric), start + len(split)
    return replace(splits, **parts)


def numbers(split: Split) -> list[int]:
    return split.numeric[:, 0].astype(int).tolist()


@pytest.mark.parametrize("dataset", ["wine", "diabetes"])
def test_each_member_validates_on_rows_that_only_the_others_have_learnt_from(dataset: str) -> None:
    splits = numbered(dataset)
    each = parts(splits, 3)
    known = set(numbers(together(splits)))
    held = [numbers(own.validation) for own in each]
    assert len(set().union(*held)) == sum(map(len, held))
    for own in each:
        assert set(numbers(own.train)) == known - set(numbers(own.validation))
        assert len(own.validation) == len(splits.validation)
        assert own.test is splits.test
    assert known.isdisjoint(numbers(splits.test))


@pytest.mark.parametrize("dataset", ["wine", "diabetes"])
def test_a_row_keeps_its_target(dataset: str) -> None:
    splits = numbered(dataset)
    truth = dict(zip(numbers(whole := together(splits)), whole.y, strict=True))
    for own in parts(splits, 3):
        for split in (own.train, own.validation):
            assert split.y.tolist() == [truth[number] for number in numbers(split)]


def test_each_part_has_as_many_rows_of_each_class() -> None:
    counts = [np.bincount(own.validation.y).tolist() for own in parts(numbered("wine"), 4)]
    assert counts == [counts[0]] * 4


@pytest.mark.parametrize("dataset", ["wine", "diabetes"])
def test_the_first_of_a_small_table_has_the_rows_of_a_single_model(dataset: str) -> None:
    splits = numbered(dataset)
    first = parts(splits, 3)[0]
    assert first.train.numeric.tolist() == splits.train.numeric.tolist()
    assert first.validation.numeric.tolist() == splits.validation.numeric.tolist()


@pytest.mark.parametrize("dataset", ["wine", "diabetes"])
@pytest.mark.parametrize("members", [2, 5, 7])
def test_enough_validation_rows_are_divided_among_the_members(
    dataset: str, members: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LEAST", {"classification": 5, "regression": 5})
    splits = numbered(dataset)
    each = parts(splits, members)
    held = [numbers(own.validation) for own in each]
    assert sorted(row for rows in held for row in rows) == sorted(numbers(splits.validation))
    assert max(map(len, held)) - min(map(len, held)) <= len(splits.classes or ("all",))
    assert all(len(own.train) + len(own.validation) == len(together(splits)) for own in each)


def test_a_part_has_no_fewer_rows_than_can_choose_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.LEAST, "regression", 40)
    splits = numbered("diabetes")
    held = [numbers(own.validation) for own in parts(splits, 5)]
    assert [len(rows) for rows in held] == [40] * 5
    assert len(set().union(*held)) == 200
    assert set(numbers(splits.validation)) <= set().union(*held)


def test_more_members_than_parts_go_round_again() -> None:
    splits = numbered("diabetes", 0.3)
    held = [numbers(own.validation) for own in parts(splits, 6)]
    assert set().union(*held) == set(numbers(together(splits)))
    assert [len(set(rows)) for rows in held] == [len(splits.validation)] * 6


def test_without_test_rows_all_members_have_the_same_rows() -> None:
    """A certificate, and a temperature, need rows that no member has learnt from."""
    splits = numbered("wine", test_share=0.0)
    each = parts(splits, 3)
    assert all(own is splits for own in each)
    assert not differ(each)


def test_weights_have_a_mean_of_1_over_the_rows_of_each_member() -> None:
    splits = numbered("wine")
    train, held = (
        replace(split, weight=1 + split.y.astype(np.float32)) for split in (splits.train, splits.validation)
    )
    for own in parts(replace(splits, train=train, validation=held), 3)[1:]:
        assert own.train.weight is not None
        assert own.train.weight.mean() == pytest.approx(1.0)
        assert own.train.weight == pytest.approx((1 + own.train.y) / (1 + own.train.y).mean())
