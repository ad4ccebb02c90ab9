"""The document is valid, describes what is served, and every example in it works when it is sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31

from service.app import create_app
from service.metadata import Feature
from service.settings import Settings
from tests import graphs
from tests.conftest import Serving
from tests.end_to_end.test_every_door import mixed, people, table
from tests.records import golden, metadata

pytestmark = pytest.mark.anyio
WEIGHT = np.eye(2, dtype=np.float32)
DEMO = Path(__file__).parents[3] / "models"


def described(folder: Path, name: str, **document: Any) -> None:
    text = metadata(2, **document).model_dump_json()
    model = graphs.linear(WEIGHT, WEIGHT[0], softmax=True, properties=graphs.metadata_property(text))
    graphs.put(model, folder, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Models of every kind; one has a name that is neither a path nor a word."""
    for make in (people, mixed, table):
        make(tmp_path).parents[1].rename(tmp_path / make.__name__)
    described(tmp_path, "{a} b/".strip("/"))
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0]), tmp_path, "bare")
    graphs.put(graphs.linear(WEIGHT, WEIGHT[0], rows=3, dtype=graphs.DOUBLE), tmp_path, "fixed")
    graphs.put(graphs.identity(graphs.INT64, ["N", "M"]), tmp_path, "open")
    graphs.put(graphs.of_all_datatypes(), tmp_path, "tensors")
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    return tmp_path


def document(folder: Path, **settings: Any) -> Any:
    return create_app(Settings(models_dir=folder, device="cpu", **settings)).openapi()


def examples(document: Any) -> Iterator[tuple[str, str, Any]]:
    """Path, media type and value or link of every example of a request."""
    for path, item in document["paths"].items():
        for operation in item.values():
            for media, content in operation.get("requestBody", {}).get("content", {}).items():
                for example in content.get("examples", {}).values():
                    yield path, media, example


@pytest.mark.parametrize("default", [None, "people", "open"])
def test_the_document_is_openapi(folder: Path, default: str | None) -> None:
    made = document(folder, default_model=default)
    assert made["openapi"].startswith("3.1")
    jsonschema.Draft202012Validator(OPENAPI_31).validate(made)
    for reference in re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(made)):
        assert reference in made["components"]["schemas"], reference
    names = [operation["operationId"] for item in made["paths"].values() for operation in item.values()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("models", "default"), [(None, "mixed"), (None, "bare"), (DEMO, "digits")])
async def test_every_example_works_when_it_is_sent(
    folder: Path, serving: Serving, models: Path | None, default: str
) -> None:
    async with serving(models or folder, default_model=default) as client:
        made = (await client.get("/openapi.json")).json()
        sent = 0
        for path, media, example in examples(made):
            answer = await client.post(
                path, content=await body(client, example), headers={"content-type": media}
            )
            assert answer.status_code == 200, (path, media, example, answer.text)
            fits(answer.json(), path, made)
            sent += 1
    assert sent >= 25


async def body(client: httpx.AsyncClient, example: Any) -> bytes:
    if "externalValue" in example:
        answer = await client.get("/" + example["externalValue"])
        assert answer.status_code == 200
        return answer.content
    value = example["value"]
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def fits(answer: Any, path: str, made: Any) -> None:
    schema = made["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    jsonschema.Draft202012Validator({**schema, "components": made["components"]}).validate(answer)


def test_examples_of_answers_are_what_the_server_answers(folder: Path) -> None:
    described(folder, "g", golden=golden([[0.25, 0], [0, 8]], outputs(folder)))
    content = document(folder)["paths"]["/models/g/predict"]["post"]
    answer = content["responses"]["200"]["content"]["application/json"]["examples"]["answer"]["value"]
    assert answer["predictions"] == ["no", "yes"]
    rows = content["requestBody"]["content"]["application/json"]["examples"]["rows"]["value"]
    assert rows == {"inputs": [[0.25, 0], [0, 8]]}


def outputs(folder: Path) -> list[list[float]]:
    z = np.array([[0.25, 0], [0, 8]]) + WEIGHT[0]
    return (np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)).tolist()  # type: ignore[no-any-return]


def test_features_have_their_names_ranges_units_and_categories(tmp_path: Path) -> None:
    features = (
        Feature(name="age", minimum=18, maximum=90.5, unit="years", missing=True),
        Feature(name="city", kind="categorical", categories=("Oslo", "Köln")),
        Feature(name="height", minimum=1, maximum=2),
    )
    text = metadata(3, unit="kg").model_copy(update={"features": features}).model_dump_json()
    graphs.put(graphs.numeric_and_categorical(graphs.metadata_property(text)), tmp_path, "m")
    schemas = document(tmp_path)["components"]["schemas"]
    record = schemas["m.Record"]
    assert record["required"] == ["age", "city", "height"]
    assert record["additionalProperties"] is False
    age, city, height = record["properties"].values()
    assert age["description"] == "in years, 18 to 90.5 in the training rows"
    assert {"type": "null"} in age["anyOf"]
    assert city["$ref"].endswith("/string")
    assert '"Oslo", "K\\u00f6ln"' in city["description"]
    assert height["$ref"].endswith("/float32")
    assert schemas["m.Prediction"]["properties"]["classes"]["const"] == ["no", "yes"]
    assert schemas["m.Prediction"]["properties"]["predictions"]["items"]["enum"] == ["no", "yes"]


def test_a_category_of_integers_may_be_one(tmp_path: Path) -> None:
    codes = Feature(name="soil", kind="categorical", categories=("2702", "7756"), missing=True)
    features = (Feature(name="a"), codes, Feature(name="b"))
    text = metadata(3).model_copy(update={"features": features}).model_dump_json()
    graphs.put(graphs.numeric_and_categorical(graphs.metadata_property(text)), tmp_path, "m")
    soil = document(tmp_path)["components"]["schemas"]["m.Record"]["properties"]["soil"]
    assert [choice.get("type") for choice in soil["anyOf"]] == [None, "integer", "null"]


def test_a_model_that_predict_does_not_take_stands_in_the_v2_door_alone(folder: Path) -> None:
    paths = document(folder)["paths"]
    assert "/v2/models/tensors/infer" in paths
    assert "/models/tensors/predict" not in paths
    assert "/v2/models/hollow/infer" not in paths
    assert "/models/%7Ba%7D%20b/predict" in paths


def test_without_models_the_generic_doors_stay(tmp_path: Path) -> None:
    made = document(tmp_path)
    jsonschema.Draft202012Validator(OPENAPI_31).validate(made)
    assert {"/predict", "/models/{name}/predict", "/v2/models/{name}/infer"} <= set(made["paths"])


def test_it_says_nothing_of_the_machine(folder: Path) -> None:
    text = json.dumps(document(folder))
    assert str(folder) not in text
    assert "Traceback" not in text


async def test_it_is_made_again_only_when_what_is_served_has_changed(
    folder: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(models_dir=folder, device="cpu"))
    first = app.openapi.body()  # type: ignore[attr-defined]
    assert app.openapi.body() is first  # type: ignore[attr-defined]
    monkeypatch.setattr(type(app.state.repository), "default", property(lambda _: "people"))
    changed = app.openapi.body()  # type: ignore[attr-defined]
    assert changed is not first
    assert b"people.Record" in changed
