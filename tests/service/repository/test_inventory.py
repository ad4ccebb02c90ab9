"""The steps of a repository, one look after the other, over real files."""

import gc
import logging
import os
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.counters import SLOTS, Totals
from service.errors import DeviceUnavailable, ModelUnavailable, UnknownModel, UnknownVersion
from service.ledger import Ledger
from service.model import Host, ServedModel
from service.repository import Policy, Repository
from tests import graphs
from tests.service.repository.files import answer, constant, drifted, publish, words


def test_a_new_version_goes_live_when_two_looks_agree(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    publish(constant(2), tmp_path, version=2)
    repository.step()
    assert answer(repository) == 1
    assert words(repository)["m", "2"][0] == "LOADING"
    repository.step()
    assert answer(repository) == 2
    assert answer(repository, version=1) == 1
    assert words(repository)["m", "2"] == ("READY", "")


def test_a_file_that_grows_is_left_alone_until_it_is_whole(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    whole = constant(2).SerializeToString()
    (tmp_path / "m" / "2").mkdir()
    for end in range(1, len(whole), len(whole) // 5):
        (tmp_path / "m" / "2" / "model.onnx").write_bytes(whole[:end])
        repository.step()
        assert words(repository)["m", "2"][0] == "LOADING"
        assert repository.host.ledger.read()["m/1"]
    (tmp_path / "m" / "2" / "model.onnx").write_bytes(whole)
    repository.step()
    repository.step()
    assert answer(repository) == 2


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


def test_a_refused_file_is_not_tried_again_until_it_changes(tmp_path: Path) -> None:
    publish(b"half a file", tmp_path)
    repository = Repository(tmp_path)
    for _ in range(5):
        repository.step()
    totals = counted(repository)
    assert (totals["unreadable"], totals["loads"], totals["live"]) == (1, 0, 0)
    publish(constant(1), tmp_path)
    repository.step()
    repository.step()
    assert answer(repository) == 1
    assert counted(repository)["loads"] == 1


def test_every_outcome_is_counted_and_logged_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "foldserve")
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    publish(drifted(), tmp_path)
    repository.step()
    repository.step()
    publish(constant(2), tmp_path)
    repository.step()
    repository.step()
    shutil.rmtree(tmp_path / "m")
    repository.step()
    repository.step()
    lines = [record.message for record in caplog.records]
    assert len(lines) == 4
    assert lines[0].startswith("model m version 1: live after 0.")
    assert lines[1].startswith("model m version 1: refused as golden after 0.")
    assert lines[3] == "model m version 1: unloaded, it is gone from disk"
    assert counted(repository) == {"loads": 2, "live": 0, "unreadable": 0, "golden": 1, "device": 0}


def test_a_removed_version_leaves_and_the_one_below_answers(tmp_path: Path) -> None:
    for number in (1, 2):
        publish(constant(number), tmp_path, version=number)
    repository = Repository(tmp_path)
    shutil.rmtree(tmp_path / "m" / "2")
    repository.step()
    assert answer(repository) == 2
    repository.step()
    assert answer(repository) == 1
    with pytest.raises(UnknownVersion, match="there is 1"):
        repository.find("m", "2")


def test_a_version_without_its_file_leaves(tmp_path: Path) -> None:
    path = publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    path.unlink()
    repository.step()
    assert answer(repository) == 1
    repository.step()
    with pytest.raises(ModelUnavailable, match="there is no such file"):
        repository.find()
    assert not repository.ready


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


def test_latest_serves_the_newest_and_keeps_the_one_before_until_it_is_live(tmp_path: Path) -> None:
    for number in (1, 2):
        publish(constant(number), tmp_path, version=number)
    repository = Repository(tmp_path, policy=Policy.parse("latest"))
    assert answer(repository) == 2
    with pytest.raises(ModelUnavailable, match="only the latest is wanted"):
        repository.find("m", "1")
    publish(b"half a file", tmp_path, version=3)
    for _ in range(3):
        repository.step()
    assert answer(repository) == 2
    assert words(repository)["m", "3"][0] == "UNAVAILABLE"
    publish(constant(4), tmp_path, version=4)
    repository.step()
    assert answer(repository) == 2
    repository.step()
    assert answer(repository) == 4
    assert [model.version for model in repository.served("m")] == [4]


def test_latest_starts_with_the_newest_that_can_be_served(tmp_path: Path) -> None:
    publish(constant(1), tmp_path, version=1)
    publish(b"half a file", tmp_path, version=2)
    assert answer(Repository(tmp_path, policy=Policy.parse("latest"))) == 1


def test_latest_goes_back_when_the_newest_is_removed(tmp_path: Path) -> None:
    for number in (1, 2):
        publish(constant(number), tmp_path, version=number)
    repository = Repository(tmp_path, policy=Policy.parse("latest"))
    shutil.rmtree(tmp_path / "m" / "2")
    repository.step()
    assert repository.ready
    repository.step()
    assert answer(repository) == 1


def test_only_the_versions_named_are_served(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        publish(constant(number), tmp_path, version=number)
    repository = Repository(tmp_path, policy=Policy.parse("1,3"))
    assert [model.version for model in repository.served("m")] == [1, 3]
    assert words(repository)["m", "2"] == ("UNAVAILABLE", "only 1,3 is wanted")


@pytest.mark.parametrize("location", ["../w.bin", "sub/../../w.bin", "ABSOLUTE", "link.bin", "linked/w.bin"])
def test_external_data_outside_the_models_own_folder_are_refused(tmp_path: Path, location: str) -> None:
    model = constant(1)
    weight = model.graph.initializer[0]
    outside = tmp_path / "m" / "w.bin"
    outside.parent.mkdir()
    outside.write_bytes(weight.raw_data)
    folder = publish(b"", tmp_path).parent
    (folder / "sub").mkdir()
    (folder / "link.bin").symlink_to("../w.bin")
    (folder / "linked").symlink_to("..")
    graphs.make_external(weight, str(outside) if location == "ABSOLUTE" else location)
    publish(model, tmp_path)
    publish(constant(2), tmp_path, "sound")
    repository = Repository(tmp_path)
    assert words(repository)["m", "1"] == ("UNAVAILABLE", "its external data lie outside its own folder")
    assert counted(repository, stages=["unsafe"])["unsafe"] == 1
    assert answer(repository, "sound") == 2


def test_external_data_inside_are_served_and_watched(tmp_path: Path) -> None:
    model = constant(1)
    raw = model.graph.initializer[1].raw_data
    graphs.make_external(model.graph.initializer[1], "weights/w.bin")
    path = publish(model, tmp_path)
    repository = Repository(tmp_path)
    assert words(repository)["m", "1"] == ("UNAVAILABLE", "a file with its external data is missing")
    (path.parent / "weights").mkdir()
    for number in (1, 2):
        written = path.parent / "weights" / ".w"
        written.write_bytes(raw if number == 1 else np.full(1, 2, np.float32).tobytes())
        written.replace(path.parent / "weights" / "w.bin")
        repository.step()
        repository.step()
        assert answer(repository) == number


def test_a_file_that_changes_while_it_is_read_is_not_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path)
    publish(constant(2), tmp_path)
    repository.step()
    prove = ServedModel._prove
    with monkeypatch.context() as patch:
        patch.setattr(ServedModel, "_prove", lambda model: (prove(model), publish(constant(3), tmp_path)))
        repository.step()
    assert answer(repository) == 1
    assert "it changed while it was read" in words(repository)["m", "1"][1]
    repository.step()
    repository.step()
    assert answer(repository) == 3


def test_a_fault_that_nobody_thought_of_is_one_models_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    publish(constant(1), tmp_path, "a")
    publish(constant(2), tmp_path, "b")
    prove = ServedModel._prove
    monkeypatch.setattr(ServedModel, "_prove", lambda model: 1 / 0 if model.name == "a" else prove(model))
    repository = Repository(tmp_path)
    assert words(repository)["a", "1"] == ("UNAVAILABLE", "loading failed: ZeroDivisionError")
    assert answer(repository, "b") == 2


def test_a_model_that_the_device_cannot_run_is_refused_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(model: ServedModel) -> None:
        raise DeviceUnavailable("cuda", "it has no room")

    publish(constant(1), tmp_path)
    monkeypatch.setattr(ServedModel, "_prove", cannot)
    repository = Repository(tmp_path)
    assert words(repository)["m", "1"] == ("UNAVAILABLE", "it has no room")
    assert counted(repository)["device"] == 1


@pytest.mark.parametrize("door", [True, False])
def test_an_unloaded_model_is_gone_from_memory_without_a_collection(tmp_path: Path, door: bool) -> None:
    model = constant(1) if door else graphs.identity(graphs.STRING, ["N", 2])
    publish(model, tmp_path)
    repository = Repository(tmp_path)
    old = repository.find()
    for _ in range(3 if not door else 0):
        with pytest.raises(Exception, match="2-D numeric"):
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


def test_counters_of_a_version_go_on_when_it_is_replaced(tmp_path: Path) -> None:
    publish(constant(1), tmp_path)
    repository = Repository(tmp_path, Host())
    old = repository.find()
    old.counters.waits(1, 5)
    publish(constant(2), tmp_path)
    repository.step()
    repository.step()
    assert repository.find().counters is old.counters
    assert old.counters.totals().waiting_rows == 5


def test_a_worker_in_the_place_of_a_dead_one_clears_its_numbers_of_the_moment(tmp_path: Path) -> None:
    publish(constant(1), tmp_path / "models")
    first = Repository(tmp_path / "models", Host(ledger=Ledger(SLOTS, tmp_path)))
    first.find().counters.waits(2, 9)
    shutil.rmtree(tmp_path / "models")
    second = Repository(tmp_path / "models", Host(ledger=Ledger(SLOTS, tmp_path)))
    assert counted(second) == {"loads": 1, "live": 0, "unreadable": 0, "golden": 0, "device": 0}
    assert Totals.of(second.host.ledger.read()["m/1"]).waiting_rows == 0


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


def counted(repository: Repository, stages: list[str] | None = None) -> dict[str, int]:
    totals = Totals.of(repository.host.ledger.read()["m/1"])
    failures = {stage: totals.load_failures[stage] for stage in stages or ["unreadable", "golden", "device"]}
    return {"loads": totals.loads, "live": totals.live, **failures}
