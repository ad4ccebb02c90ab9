"""What is done about a version, one look after the other, over real files."""

import shutil
from pathlib import Path

import pytest

from service.errors import ModelUnavailable, UnknownVersion
from service.repository import Policy, Repository
from tests.service.repository.files import answer, constant, counted, publish, words


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
