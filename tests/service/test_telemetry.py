import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from service import telemetry
from service.app import create_app
from service.settings import Settings
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio

TENSOR = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [4242, 2]}]}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    return tmp_path


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a provider that was set before the application sends out."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


def named(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


async def test_it_is_off_when_nobody_listens(folder: Path) -> None:
    assert telemetry.configuration([]) == telemetry.OFF
    app = create_app(Settings(models_dir=folder))
    assert not app._native_telemetry.enabled()
    app.state.executor.shutdown()


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"])
async def test_an_endpoint_in_the_environment_turns_it_on(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:4318")
    assert telemetry.configuration([])["auto_configure"] is True
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert telemetry.configuration([]) == telemetry.OFF


async def test_every_hot_route_gets_a_span_with_the_routes_name(
    folder: Path, serving: Serving, exported: InMemorySpanExporter
) -> None:
    async with serving(folder) as client:
        for path in ("/predict", "/models/m/predict", "/models/m/versions/1/predict", "/invocations"):
            assert (await client.post(path, json={"inputs": [[1, 2]]})).status_code == 200
        for path in ("/v2/models/m/infer", "/v2/models/m/versions/1/infer"):
            assert (await client.post(path, json=TENSOR)).status_code == 200
        await client.get("/models/m")
    assert set(named(exported)) == {
        "POST /predict",
        "POST /models/{name}/predict",
        "POST /models/{name}/versions/{version}/predict",
        "POST /invocations",
        "POST /v2/models/{name}/infer",
        "POST /v2/models/{name}/versions/{version}/infer",
        "GET /models/{name}",
    }


async def test_a_span_continues_the_callers_trace_and_tells_the_times_but_not_the_body(
    folder: Path, serving: Serving, exported: InMemorySpanExporter
) -> None:
    headers = {"traceparent": TRACEPARENT, "x-request-id": "mine", "authorization": "Bearer secret-of-mine"}
    async with serving(folder) as client:
        await client.post("/v2/models/m/infer", json=TENSOR, headers=headers)
    [span] = exported.get_finished_spans()
    assert span.context.trace_id == int(TRACEPARENT.split("-")[1], 16)
    assert span.parent is not None
    attributes: dict[str, Any] = dict(span.attributes or {})
    assert attributes["http.response.status_code"] == 200
    assert (attributes["foldserve.model"], attributes["foldserve.version"]) == ("m", 1)
    assert (attributes["foldserve.rows"], attributes["foldserve.request_id"]) == (1, "mine")
    assert all(attributes[f"foldserve.{part}_ms"] > 0 for part in ("decode", "run", "encode"))
    told = json.dumps(attributes) + str(span.events)
    assert "4242" not in told
    assert "secret" not in told


async def test_the_log_names_the_trace(
    folder: Path, serving: Serving, exported: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(folder) as client:
        with caplog.at_level("DEBUG", "foldserve"):
            await client.get("/models", headers={"traceparent": TRACEPARENT})
    [record] = [record for record in caplog.records if record.name == "foldserve.requests"]
    assert record.__dict__["facts"]["trace_id"] == TRACEPARENT.split("-")[1]


async def test_a_fault_marks_its_span_without_the_traceback(
    folder: Path, serving: Serving, exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.model.ServedModel.run", lambda *_: 1 / 0)
    async with serving(folder) as client:
        await client.post("/predict", json={"inputs": [[1, 2]]})
    span = named(exported)["POST /predict"]
    assert span.status.status_code is trace.StatusCode.ERROR
    assert not span.events


async def test_probes_and_scrapes_are_not_observed(
    folder: Path, serving: Serving, exported: InMemorySpanExporter
) -> None:
    async with serving(folder) as client:
        for path in ("/health/live", "/health/ready", "/ping", "/v2/health/live", "/metrics"):
            await client.get(path)
    assert not exported.get_finished_spans()
