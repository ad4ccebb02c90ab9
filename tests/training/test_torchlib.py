"""torchlib: read once within the block, left alone elsewhere."""

from __future__ import annotations

import pytest

from training import torchlib


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    apis = pytest.importorskip(torchlib._MODULE)
    seen: list[str] = []
    monkeypatch.setattr(apis, torchlib._NAME, lambda: seen.append("read") or ["operators"])
    return seen


def ask() -> object:
    from onnxscript._framework_apis import torch_2_5

    return torch_2_5.get_torchlib_ops()


def test_blocks_share_what_the_first_call_read(reads: list[str]) -> None:
    for _ in range(2):
        with torchlib.read_once(), torchlib.read_once():
            assert ask() == ask() == ["operators"]
    assert reads == ["read"]


def test_outside_of_a_block_and_after_an_error_it_is_read_each_time(reads: list[str]) -> None:
    with pytest.raises(ValueError, match="within"), torchlib.read_once():
        raise ValueError("within")
    ask()
    ask()
    assert reads == ["read", "read"]


def test_where_it_is_kept_elsewhere_the_block_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchlib, "_MODULE", "onnxscript.no_such_place")
    with torchlib.read_once():
        pass
