import shutil
from pathlib import Path

import numpy as np
import pytest

from service.metadata import Feature
from tests import graphs
from tests.conftest import Serving
from tests.records import golden, metadata

pytestmark = pytest.mark.anyio
WEIGHT = np.eye(2, dtype=np.float32)


async def test_the_index_says_what_serves_and_why_the_rest_does_not(tmp_path: Path, serving: Serving) -> None:
    wrong = metadata(2, golden=golden([[0.0, 0.0]], [[0.9, 0.1]])).model_dump_json()
    properties = graphs.metadata_property(wrong)
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0], softmax=True, properties=properties), tmp_path, "drifted")
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0]), tmp_path, "sound")
    graphs.put(graphs.identity(graphs.STRING, ["N", 2, 2]), tmp_path, "text")
    async with serving(tmp_path) as client:
        index = (await client.get("/models")).json()
    assert index["default_model"] is None
    assert (index["device_asked"], index["device"]) == ("auto", "cpu")
    assert index["device_reason"].startswith("auto: ")
    versions = {model["name"]: model["versions"][0] for model in index["models"]}
    assert versions["sound"]["state"] == "READY"
    assert versions["sound"]["provider"] == "CPUExecutionProvider"
    assert versions["sound"]["threads"] == 1
    assert versions["drifted"]["state"] == "UNAVAILABLE"
    assert versions["sound"]["bytes"] == (tmp_path / "sound" / "1" / "model.onnx").stat().st_size
    assert (versions["sound"]["features"], versions["sound"]["task"]) == (2, None)
    assert versions["text"]["features"] is None
    assert "golden rows are off by" in versions["drifted"]["reason"]
    assert versions["text"]["state"] == "READY"
    assert "one 2-D input or one input per column" in versions["text"]["reason"]
    assert str(tmp_path) not in str(index)


async def test_a_model_tells_its_features_and_metadata(tmp_path: Path, serving: Serving) -> None:
    document = metadata(2)
    properties = graphs.metadata_property(document.model_dump_json())
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0], softmax=True, properties=properties), tmp_path, "m")
    async with serving(tmp_path) as client:
        detail = (await client.get("/models/m")).json()
    assert detail["inputs"] == [{"name": "x", "dtype": "float32", "features": ["f0", "f1"]}]
    assert detail["features"] == ["f0", "f1"]
    assert detail["image"] is None
    assert detail["metadata"] == document.model_dump(mode="json")
    assert detail["default_version"] == 1
    said = {key: detail["versions"][0][key] for key in ("task", "target", "classes", "features")}
    assert said == {"task": "classification", "target": "kind", "classes": 2, "features": 2}


async def test_a_model_of_pixels_tells_how_they_lie(tmp_path: Path, serving: Serving) -> None:
    names = tuple(Feature(name=f"pixel{place}") for place in range(1, 10))
    document = metadata().model_copy(update={"features": names})
    weight = np.ones((9, 2), np.float32)
    properties = graphs.metadata_property(document.model_dump_json())
    graphs.put(graphs.linear(weight, weight[0], softmax=True, properties=properties), tmp_path, "m")
    async with serving(tmp_path) as client:
        detail = (await client.get("/models/m")).json()
    assert detail["image"] == {"width": 3, "height": 3}


async def test_a_model_that_does_not_serve_still_has_a_page(tmp_path: Path, serving: Serving) -> None:
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    graphs.put(graphs.identity(graphs.STRING, ["N", 2, 2]), tmp_path, "text")
    async with serving(tmp_path) as client:
        hollow = (await client.get("/models/hollow")).json()
        text = (await client.get("/models/text")).json()
        assert (await client.get("/models/nobody")).status_code == 404
    assert hollow["default_version"] is None
    assert hollow["versions"][0]["reason"] == "there is no such file"
    assert text["inputs"] is None


async def test_the_graph_is_told_before_and_after_folding(tmp_path: Path, serving: Serving) -> None:
    shutil.copytree(Path(__file__).parents[3] / "models" / "diabetes", tmp_path / "diabetes")
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "plain")
    async with serving(tmp_path) as client:
        found = (await client.get("/models/diabetes/graph")).json()
        names = [layer["owner"] or layer["name"] for layer in found["before"]]
        assert [name for name in names if "norm" in name] == ["norm1", "norm2"]
        assert [layer["kind"] for layer in found["after"]].count("Gemm") == 3
        plain = (await client.get("/models/plain/graph")).json()
        assert plain["before"] is None
        assert [layer["kind"] for layer in plain["after"]] == ["Input", "Gemm", "Output"]
        assert (await client.get("/models/other/graph")).status_code == 404
        (tmp_path / "plain" / "1" / "model.onnx").unlink()
        gone = await client.get("/models/plain/graph")
        assert gone.status_code == 503
        assert str(tmp_path) not in gone.text
