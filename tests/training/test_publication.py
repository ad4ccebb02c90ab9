import errno
from pathlib import Path
from threading import Barrier, Thread

import pytest

from training.errors import TrainingError
from training.publication import FILE, Workshop


def publish(home: Path, content: bytes) -> Path:
    with Workshop(home) as workshop:
        workshop.file.write_bytes(content)
        return workshop.publish()


def test_versions_are_numbered_from_one_and_never_reused(tmp_path: Path) -> None:
    assert publish(tmp_path / "m", b"a") == tmp_path / "m" / "1" / FILE
    (tmp_path / "m" / "7").mkdir()
    (tmp_path / "m" / "notes").mkdir()
    assert publish(tmp_path / "m", b"b") == tmp_path / "m" / "8" / FILE
    assert (tmp_path / "m" / "1" / FILE).read_bytes() == b"a"


def test_nothing_is_visible_before_publication_and_nothing_is_left_after(tmp_path: Path) -> None:
    with Workshop(tmp_path) as workshop:
        workshop.file.write_bytes(b"x")
        workshop.scratch.write_bytes(b"y")
        assert all(path.name.startswith(".") for path in tmp_path.iterdir())
        workshop.publish()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]
    assert [path.name for path in (tmp_path / "1").iterdir()] == [FILE]


def test_a_failed_run_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    publish(tmp_path, b"a")
    with pytest.raises(ZeroDivisionError), Workshop(tmp_path) as workshop:
        workshop.file.write_bytes(bytes(1 // 0))
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    publish(tmp_path, b"a")
    with (
        pytest.raises(TrainingError, match="No space left on device; nothing was published"),
        Workshop(tmp_path),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file where a folder should be")
    with pytest.raises(TrainingError, match="cannot write to"), Workshop(tmp_path / "m" / "n"):
        pytest.fail("unreachable")


def test_runs_that_publish_at_the_same_time_get_different_versions(tmp_path: Path) -> None:
    barrier, paths = Barrier(4), []

    def run(content: bytes) -> None:
        with Workshop(tmp_path) as workshop:
            workshop.file.write_bytes(content)
            barrier.wait()
            paths.append((workshop.publish(), content))

    threads = [Thread(target=run, args=(bytes([n]),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(path.parent.name for path, _ in paths) == ["1", "2", "3", "4"]
    assert all(path.read_bytes() == content for path, content in paths)
