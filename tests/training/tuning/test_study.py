from pathlib import Path

import pytest

from tests.training.tuning.searches import config, space, splits
from training.config import DataConfig
from training.data import load
from training.errors import ConfigError, TrainingError
from training.tuning.space import Space
from training.tuning.study import alone, open_study


def test_a_study_of_other_rows_or_flags_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite3"
    open_study(file, space(), splits())
    open_study(file, Space.of(config(threads=1), splits()), splits())
    with pytest.raises(ConfigError, match=r"s\.sqlite3 is a study of other rows or other flags"):
        open_study(file, Space.of(config(clip=1.0), splits()), splits())
    with pytest.raises(ConfigError, match="other rows"):
        open_study(file, space(), load(DataConfig("breast-cancer"), 0))


def test_a_file_that_is_no_study_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite3"
    file.write_text("a,b\n" * 1000)
    with pytest.raises(TrainingError, match=r"cannot be used as a study: .*not a database") as raised:
        open_study(file, space(), splits())
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be used as a study"):
        open_study(tmp_path / "file" / "s.sqlite3", space(), splits())


def test_two_searches_in_one_study_are_one_too_many(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "s.sqlite3"
    with alone(file):
        with pytest.raises(ConfigError, match=r"another search is under way in .*s\.sqlite3"), alone(file):
            pytest.fail("unreachable")
        with alone(file.with_name("t.sqlite3")):
            pass
    with alone(file):
        pass
