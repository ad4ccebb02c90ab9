import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from service.repository import Repository, watching
from tests.service.repository.files import answer, constant, publish

pytestmark = pytest.mark.anyio


async def test_a_folder_that_is_watched_is_followed(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    async with watching(repository, 0.01):
        publish(constant(2), tmp_path, version=2)
        await until(lambda: answer(repository) == 2)
        publish(constant(3), tmp_path, version=2)
        await until(lambda: answer(repository) == 3)


async def test_a_step_that_fails_is_logged_and_watching_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(repository, "step", lambda: 1 / 0)
        async with watching(repository, 0.01):
            await until(lambda: len(caplog.records) >= 2)
    assert "could not be looked at" in caplog.text


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)
