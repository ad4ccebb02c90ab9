import pytest

from service.repository import memory
from service.repository.memory import Memory


class Model:
    pass


def test_memory_is_given_back_once_for_what_is_gone_and_not_before(monkeypatch: pytest.MonkeyPatch) -> None:
    trims: list[None] = []
    monkeypatch.setattr(memory, "_trim", lambda: trims.append(None))
    kept, model = Memory(), Model()
    kept.watch(model)  # type: ignore[arg-type]
    kept.give_back()
    assert len(trims) == 0
    del model
    kept.give_back()
    kept.give_back()
    assert len(trims) == 1


def test_trimming_works_or_is_left_out() -> None:
    memory._trim()
