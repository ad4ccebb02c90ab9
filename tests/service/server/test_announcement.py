from pathlib import Path

import numpy as np

from service.app import create_app
from service.repository import Repository
from service.server.announcement import example_call, words
from service.settings import Settings
from service.worker import Worker
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


def test_the_words_at_the_start_tell_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    (tmp_path / "hollow" / "draft").mkdir()
    text = words(create_app(Settings(models_dir=tmp_path, host="::1", port=80)))
    assert "model hollow: not served; version 1 refused: there is no such file; draft refused: it is" in text
    assert "listening on http://[::1]:80" in text


def test_the_words_tell_device_threads_and_every_address(tmp_path: Path) -> None:
    ports = {"port": 1, "grpc_port": 2, "metrics_port": 3}
    settings = Settings(models_dir=tmp_path, device="cpu", ssl_certfile=tmp_path / "cert", **ports)
    app = create_app(Settings(models_dir=tmp_path, device="cpu"), Worker(count=2))
    app.state.settings = settings
    lines = words(app).splitlines()
    assert lines[0].startswith("device cpu (as asked), 2 workers, ")
    assert lines[-3:-1] == ["grpc on 127.0.0.1:2", "metrics on https://127.0.0.1:3/metrics"]
    assert lines[-1] == (
        "listening on https://127.0.0.1:1  "
        "(a page for the browser, documentation at https://127.0.0.1:1/docs)"
    )


def test_a_server_without_a_page_names_none(tmp_path: Path) -> None:
    text = words(create_app(Settings(models_dir=tmp_path, page=False)))
    assert "  (documentation at http" in text


def test_an_empty_folder_is_told_how_to_fill_it(tmp_path: Path) -> None:
    assert "foldserve train puts them there" in words(create_app(Settings(models_dir=tmp_path)))
