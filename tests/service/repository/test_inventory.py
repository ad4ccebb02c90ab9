"""The steps of a repository, one look after the other, over real files."""

import gc
import os
import shutil
import weakref
from pathlib import Path
from typing import Any

import pytest

from service.errors import UnknownModel, UnsupportedSignature
from service.repository import Repository, loading
from tests import graphs
from tests.service.repository.files import answer, constant, drifted, publish, words


def test_a_replaced_file_takes_the_place_of_its_version(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    old = repository.find()
    publish(constant(2), tmp_path)
    repository.step()
    repository.step()
    assert answer(repository) == 2
    assert answer(old) == 1


@pytest.mark.parametrize(
    ("spoiled", "reason"), [(b"half a file", "rotobuf parsing failed"), (None, "golden rows are off by")]
)
def test_what_was_served_stays_when_its_file_is_spoiled(
    tmp_path: Path, spoiled: bytes | None, reason: str
) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    publish(spoiled or drifted(), tmp_path)
    repository.step()
    repository.step()
    assert answer(repository) == 1
    state, why = words(repository)["m", "1"]
    assert state == "READY"
    assert why.startswith("the file on disk is not served: ")
    assert reason in why
    publish(constant(3), tmp_path)
    repository.step()
    repository.step()
    assert answer(repository) == 3
    assert words(repository)["m", "1"] == ("READY", "")


def test_models_come_and_go(tmp_path: Path) -> None:
    publish(constant(1), tmp_path, "a")
    repository = Repository(tmp_path)
    publish(constant(2), tmp_path, "b")
    repository.step()
    repository.step()
    assert answer(repository, "b") == 2
    assert repository.default is None
    shutil.rmtree(tmp_path / "a")
    repository.step()
    repository.step()
    assert repository.names == ["b"]
    assert repository.default == "b"
    with pytest.raises(UnknownModel):
        repository.find("a")


def test_the_first_model_may_come_later(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "models")
    publish(constant(1), tmp_path / "models")
    repository.step()
    repository.step()
    assert answer(repository) == 1
    assert repository.default == "m"


def test_a_lost_folder_takes_no_model_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "models"
    publish(constant(1), folder)
    repository = Repository(folder)
    folder.rename(tmp_path / "elsewhere")
    for _ in range(4):
        repository.step()
    assert answer(repository) == 1
    assert [record.message for record in caplog.records] == [
        "the models folder is lost, No such file or directory: what is served stays"
    ]
    (tmp_path / "elsewhere").rename(folder)
    repository.step()
    assert answer(repository) == 1


def test_a_model_folder_that_turns_into_a_link_outside_keeps_what_it_had(tmp_path: Path) -> None:
    publish(constant(1), tmp_path / "models")
    publish(constant(2), tmp_path / "outside")
    repository = Repository(tmp_path / "models")
    shutil.rmtree(tmp_path / "models" / "m")
    (tmp_path / "models" / "m").symlink_to(tmp_path / "outside" / "m")
    for _ in range(3):
        repository.step()
    assert answer(repository) == 1
    assert "leads out of the models folder" in words(repository)["m", ""][1]


@pytest.mark.parametrize("door", [True, False])
def test_an_unloaded_model_is_gone_from_memory_without_a_collection(tmp_path: Path, door: bool) -> None:
    model = constant(1) if door else graphs.identity(graphs.STRING, ["N", 2, 2])
    publish(model, tmp_path)
    repository = Repository(tmp_path)
    old = repository.find()
    for _ in range(3 if not door else 0):
        with pytest.raises(UnsupportedSignature):
            _ = old.door
    gone = weakref.ref(old)
    session = weakref.ref(old.session)
    gc.disable()
    try:
        del old
        publish(constant(2), tmp_path)
        repository.step()
        repository.step()
        assert gone() is None
        assert session() is None
    finally:
        gc.enable()


def test_a_folder_that_may_not_be_read_for_a_while_keeps_what_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(constant(1), tmp_path)
    publish(constant(2), tmp_path, "sound")
    repository = Repository(tmp_path)
    scan = os.scandir

    def refused(path: Path) -> Any:
        if Path(path).name == "m":
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    for _ in range(3):
        repository.step()
    assert answer(repository) == 1
    assert words(repository)["m", ""] == ("UNAVAILABLE", "it is closed: Permission denied")
    monkeypatch.undo()
    repository.step()
    assert ("m", "") not in words(repository)


def test_a_file_that_is_exchanged_while_a_worker_starts_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(constant(1), tmp_path)
    unchanged = loading._is_unchanged

    def exchanged_once(candidate: Any) -> bool:
        monkeypatch.setattr(loading, "_is_unchanged", unchanged)
        publish(constant(2), tmp_path)
        return unchanged(candidate)

    monkeypatch.setattr(loading, "_is_unchanged", exchanged_once)
    assert answer(Repository(tmp_path)) == 2
