from pathlib import Path

import pytest

from service.errors import LoadFailed
from service.repository.overrides import Overrides


def test_files_lie_in_a_private_folder_until_they_are_removed(tmp_path: Path) -> None:
    overrides = Overrides(tmp_path / "home")
    folder = overrides.write("m", {"1/model.onnx": b"one", "1/weights/w.bin": b"two"})
    assert folder.name == "m"
    assert (folder / "1" / "weights" / "w.bin").read_bytes() == b"two"
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert folder.parent.stat().st_mode & 0o777 == 0o700
    overrides.remove(folder)
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    "path",
    [
        "model.onnx",
        "1",
        "1/",
        "/1/model.onnx",
        "../1/model.onnx",
        "1/../../model.onnx",
        "1/..",
        "01/model.onnx",
        "x/model.onnx",
        "1//model.onnx",
        "1/.hidden",
        "1/a\\b",
        "1/a\0b",
        "1/" + "a" * 300,
        "1" + "/a" * 9,
        "",
    ],
)
def test_a_path_that_is_not_a_file_of_a_version_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(LoadFailed, match="expected file:<version>/<name>"):
        Overrides(tmp_path / "home").write("m", {"1/model.onnx": b"", path: b""})
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", ["..", ".m", "a/b", "", "a\nb"])
def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LoadFailed, match="it is not a name"):
        Overrides(tmp_path).write(name, {"1/model.onnx": b""})


def test_a_file_where_a_folder_is_wanted_leaves_nothing_behind(tmp_path: Path) -> None:
    overrides = Overrides(tmp_path)
    with pytest.raises(LoadFailed, match="its files cannot be kept"):
        overrides.write("m", {"1/model.onnx": b"", "1/model.onnx/w": b""})
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_folder_goes_with_the_server() -> None:
    overrides = Overrides()
    folder = overrides.write("m", {"1/model.onnx": b""})
    overrides.close()
    overrides.close()
    assert not folder.exists()
