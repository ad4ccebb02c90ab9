from pathlib import Path

import numpy as np
import pytest

from service.errors import ModelUnavailable, NoDefaultModel, UnknownModel, UnknownVersion
from service.repository import Refused, Repository
from tests import graphs


def put(folder: Path, name: str, *versions: int | str) -> None:
    for version in versions:
        weight = np.full((2, 1), 1.0, np.float32)
        graphs.put(graphs.linear(weight, np.zeros(1, np.float32)), folder, name, version)


def test_the_highest_version_answers(tmp_path: Path) -> None:
    put(tmp_path, "a", 2, 10, 9)
    repository = Repository(tmp_path)
    assert repository.find().version == 10
    assert repository.find("a", "9").version == 9


def test_one_model_is_the_default_several_need_a_word(tmp_path: Path) -> None:
    put(tmp_path, "a", 1)
    assert Repository(tmp_path).default == "a"
    put(tmp_path, "b", 1)
    with pytest.raises(NoDefaultModel, match="one of a, b, or start the server with --default-model"):
        Repository(tmp_path).find()
    assert Repository(tmp_path, default="b").find().name == "b"


def test_a_default_that_is_not_there_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "a", 1)
    with pytest.raises(UnknownModel, match="no model named 'c': there is a"):
        Repository(tmp_path, default="c")


def test_unknown_names_and_versions_are_told_what_there_is(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, 2)
    repository = Repository(tmp_path)
    with pytest.raises(UnknownModel, match="there is a"):
        repository.find("b")
    for version in ("3", "0", "01", "-1", "1.0", "", "latest", "²"):
        with pytest.raises(UnknownVersion, match="there is 1, 2"):
            repository.find("a", version)


def test_a_file_that_cannot_be_read_is_listed_while_the_others_serve(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, 2)
    (tmp_path / "a" / "2" / "model.onnx").write_bytes(b"half a file")
    repository = Repository(tmp_path)
    assert repository.find("a").version == 1
    assert isinstance(repository.models["a"][2], Refused)
    with pytest.raises(ModelUnavailable, match="version 2 is not served"):
        repository.find("a", "2")


def test_a_model_without_a_version_that_serves_says_why(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    repository = Repository(tmp_path)
    assert not repository.ready
    with pytest.raises(ModelUnavailable, match="there is no such file"):
        repository.find("hollow")
    with pytest.raises(UnknownVersion, match="there is none"):
        repository.find("empty")


def test_folders_that_are_being_written_and_odd_names_are_passed_over(tmp_path: Path) -> None:
    put(tmp_path, "a", 1, ".writing-x", "01", "draft")
    put(tmp_path, ".hidden", 1)
    (tmp_path / "note.txt").write_text("a file beside the models")
    repository = Repository(tmp_path)
    assert repository.names == ["a"]
    assert list(repository.models["a"]) == [1]


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    repository = Repository(tmp_path / "nowhere")
    assert repository.names == []
    with pytest.raises(NoDefaultModel, match="no model is served"):
        repository.find()
