"""Schemathesis reads the OpenAPI document of models of every kind and finds nothing that contradicts it."""

from __future__ import annotations

from pathlib import Path

import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema

from service.app import create_app
from service.settings import Settings
from tests import graphs
from tests.end_to_end import test_every_door as models

LEFT_OUT = {
    # JSON Schema cannot say that `data` has as many elements as `shape` says, nor that a text is CSV of the
    # model's columns: a body may fit the schema and still be refused.
    "positive_data_acceptance",
    # And a body that breaks the schema may be taken: an empty body for an index request, a path with an id of
    # any kind; unknown keys of the v2 protocol are ignored, as the protocol has it.
    "negative_data_rejection",
}
CONFIG = {
    "seed": 1,
    "phases": {"stateful": {"enabled": False}},
    "generation": {"max-examples": 15, "deterministic": True, "database": "none"},
    "checks": {name: {"enabled": False} for name in LEFT_OUT}
    # A version that is on disk but not served is 503, and the document says so.
    | {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 503]}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, (make, _) in models.MODELS.items():
        make(tmp_path / name).parents[1].rename(tmp_path / f"{name} model")
        (tmp_path / name).rmdir()
    graphs.put(graphs.of_all_datatypes(), tmp_path, "tensors")
    graphs.put(graphs.lookup(), tmp_path, "lookup")
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    return tmp_path


def test_nothing_contradicts_the_document(folder: Path) -> None:
    app = create_app(Settings(models_dir=folder, default_model="people model", device="cpu"))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, config=SchemathesisConfig.from_dict(CONFIG))
    found: list[str] = []
    operations = set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(f"{event.info.title}: {event.info.message}")
        if isinstance(event, events.ScenarioFinished):
            operations.add(event.label)
            found += _failures(event) if event.status == Status.FAILURE else []
    assert not found, "\n\n".join(found[:10])
    assert len(operations) == sum(len(item) for item in app.openapi()["paths"].values())


def _failures(event: events.ScenarioFinished) -> list[str]:
    return [
        f"{event.label} {check.name}: {check.failure_info.failure.title}: "
        f"{check.failure_info.failure.message}\n"
        f"{check.failure_info.code_sample}"
        for checks in event.recorder.checks.values()
        for check in checks
        if check.failure_info is not None
    ]
