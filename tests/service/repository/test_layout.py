import os
from pathlib import Path

import numpy as np
import pytest

from service.repository.layout import ABSENT, is_version, look, name_fault
from tests import graphs

MODEL = graphs.linear(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))


def test_names_and_versions_are_folders_with_a_file(tmp_path: Path) -> None:
    graphs.put(MODEL, tmp_path, "a", 2)
    graphs.put(MODEL, tmp_path, "a", 10)
    (tmp_path / "a" / "config.pbtxt").write_text("a file beside the versions")
    found = look(tmp_path)
    assert list(found) == ["a"]
    assert sorted(found["a"].versions) == [2, 10]
    assert not found["a"].odd


def test_hidden_folders_and_files_beside_models_are_passed_over(tmp_path: Path) -> None:
    graphs.put(MODEL, tmp_path, "a", 1)
    graphs.put(MODEL, tmp_path, "a", ".writing-x")
    graphs.put(MODEL, tmp_path, ".hidden", 1)
    (tmp_path / "note.txt").write_text("not a model")
    assert list(look(tmp_path)) == ["a"]
    assert not look(tmp_path)["a"].odd


@pytest.mark.parametrize("version", ["01", "0", "-1", "1.0", "draft", "²", "1" * 19])
def test_a_version_that_is_not_a_positive_integer_is_told_so(tmp_path: Path, version: str) -> None:
    assert not is_version(version)
    graphs.put(MODEL, tmp_path, "a", version)
    graphs.put(MODEL, tmp_path, "a", 1)
    found = look(tmp_path)["a"]
    assert list(found.versions) == [1]
    assert "expected a positive integer" in found.odd[version]


def test_an_empty_folder_is_told_what_it_should_hold(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    found = look(tmp_path)
    assert found["empty"].odd[""] == "it has no versions: expected <version>/model.onnx in its folder"
    assert found["hollow"].versions[1].fault == ABSENT


@pytest.mark.parametrize("what", ["model", "version", "file"])
def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path, what: str) -> None:
    secret, folder = tmp_path / "secret", tmp_path / "models"
    graphs.put(MODEL, secret, "a", 1)
    graphs.put(MODEL, folder, "sound", 1)
    link = {"model": "a", "version": "a/1", "file": "a/1/model.onnx"}[what]
    (folder / link).parent.mkdir(parents=True, exist_ok=True)
    (folder / link).symlink_to(secret / link)
    found = look(folder)
    if what == "model":
        assert "leads out of the models folder" in found["a"].odd[""]
        assert not found["a"].versions
    else:
        fault = found["a"].versions[1].fault
        assert fault is not None
        assert (fault.stage, "leads out" in fault.reason) == ("unsafe", True)
    assert found["sound"].versions[1].fault is None


def test_links_that_stay_inside_are_followed(tmp_path: Path) -> None:
    path = graphs.put(MODEL, tmp_path, "a", 1)
    (tmp_path / "a" / "..data").mkdir()
    path.rename(tmp_path / "a" / "..data" / "model.onnx")
    path.symlink_to(Path("..") / "..data" / "model.onnx")
    (tmp_path / "b").symlink_to("a")
    found = look(tmp_path)
    assert found["a"].versions[1].fault is None
    assert found["b"].versions[1].fault is None


def test_links_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a" / "1").mkdir(parents=True)
    (tmp_path / "a" / "1" / "model.onnx").symlink_to("model.onnx")
    assert look(tmp_path)["a"].versions[1].fault is not None


def test_what_is_not_a_regular_file_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "a" / "1").mkdir(parents=True)
    os.mkfifo(tmp_path / "a" / "1" / "model.onnx")
    assert look(tmp_path)["a"].versions[1].absent


def test_a_candidate_changes_with_its_file_and_with_what_lies_beside_it(tmp_path: Path) -> None:
    path = graphs.put(MODEL, tmp_path, "a", 1)
    seen = [look(tmp_path)["a"].versions[1]]
    assert look(tmp_path)["a"].versions[1] == seen[0]
    path.with_name("new").write_bytes(path.read_bytes())
    os.utime(path.with_name("new"), ns=(0, path.stat().st_mtime_ns))
    path.with_name("new").replace(path)
    seen.append(look(tmp_path)["a"].versions[1])
    (path.parent / "weights").mkdir()
    (path.parent / "weights" / "w.bin").write_bytes(b"1234")
    seen.append(look(tmp_path)["a"].versions[1])
    (path.parent / "weights" / "w.bin").write_bytes(b"12345")
    seen.append(look(tmp_path)["a"].versions[1])
    (path.parent / ".hidden").write_bytes(b"1")
    assert len(set(seen)) == 4
    assert look(tmp_path)["a"].versions[1] == seen[-1]


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".a", "a/b", "../a", "a\\b", "a\nb", "a\0b", "a" * 201, "\udcff"]
)
def test_a_name_is_one_part_of_a_path(name: str) -> None:
    assert name_fault(name) is not None


def test_a_folder_with_a_name_that_no_answer_can_carry_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a\nb" / "1").mkdir(parents=True)
    os.mkdir(os.fsencode(tmp_path) + b"/\xff")  # noqa: PTH102 - the name is not text
    found = look(tmp_path)
    assert all(entry.closed and "it is not a name" in entry.odd[""] for entry in found.values())
    assert len("".join(found).encode()) > 0


def test_a_link_in_a_circle_disturbs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a" / "1").mkdir(parents=True)
    (tmp_path / "a" / "1" / "model.onnx").write_bytes(b"1")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "a" / "2").symlink_to("2")
    found = look(tmp_path)
    assert found["a"].versions[1].fault is None
    assert found["a"].versions[2].fault is not None
    assert found["loop"].closed
    assert found["loop"].odd[""]
