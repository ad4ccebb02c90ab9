import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from service.counters import SLOTS, Totals
from service.errors import DeviceUnavailable
from service.ledger import Ledger
from service.model import Host, ServedModel
from service.repository import Repository
from tests import graphs
from tests.service.repository.files import answer, constant, counted, drifted, publish, words


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
