from pathlib import Path

import numpy as np
import pytest

from service.app import create_app
from service.errors import AddressUnavailable
from service.repository import Repository
from service.server import announce, bind, example_call
from service.settings import Settings
from tests import graphs
from tests.records import golden, metadata

WEIGHT = np.eye(2, dtype=np.float32)


def with_golden(folder: Path, name: str) -> None:
    document = metadata(2, golden=golden([[1.0, 0.5]], [[1.0, 0.5]])).model_dump_json()
    model = graphs.linear(WEIGHT, WEIGHT[0] * 0, properties=graphs.metadata_property(document))
    graphs.put(model, folder, name)


def test_the_example_call_is_of_the_default_model_or_of_one_with_golden_rows(tmp_path: Path) -> None:
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0]), tmp_path, "bare")
    assert example_call(Repository(tmp_path), "http://h:1") is None
    with_golden(tmp_path, "named")
    call = example_call(Repository(tmp_path), "http://h:1")
    assert call is not None
    assert "http://h:1/models/named/predict" in call
    assert '{"inputs": [[1,0.5]]}' in call
    default = example_call(Repository(tmp_path, default="named"), "http://h:1")
    assert default is not None
    assert "http://h:1/predict " in default


def test_the_words_at_the_start_tell_what_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    (tmp_path / "hollow" / "draft").mkdir()
    announce(create_app(Settings(models_dir=tmp_path, host="::1")), 80)
    out = capsys.readouterr().out
    assert "model hollow: not served; version 1 refused: there is no such file; draft refused: it is" in out
    assert "listening on http://[::1]:80" in out


def test_an_empty_folder_is_told_how_to_fill_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    announce(create_app(Settings(models_dir=tmp_path)), 80)
    assert "foldserve train puts them there" in capsys.readouterr().out


def test_a_socket_accepts_at_once_and_a_taken_one_is_refused() -> None:
    import socket

    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(AddressUnavailable, match="Address already in use"):
            bind("127.0.0.1", port)
