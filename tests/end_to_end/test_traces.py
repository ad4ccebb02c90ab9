"""A real process that sends its spans to a collector, as the environment tells it to."""

from __future__ import annotations

import gzip
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.processes import serve

MODELS = Path(__file__).parents[2] / "models"


class Collector(ThreadingHTTPServer):
    """Keeps what is sent to it, by path."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), Handler)


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        plain = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        self.server.received.append((self.path, plain))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_endpoint_in_the_environment_gets_the_spans(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "tried")
    with serve(MODELS, "--default-model", "diabetes") as server:
        for value in (0.5, "4242"):
            httpx.post(f"{server.address}/predict", json={"inputs": [[value] * 10]})
        httpx.get(f"{server.address}/health/ready").raise_for_status()
        server.process.send_signal(signal.SIGTERM)
        output, _ = server.process.communicate(timeout=20)
        assert server.process.returncode == 0
        assert "Traceback" not in output
    sent = [body for path, body in collector.received if path == "/v1/traces"]
    exports = [ExportTraceServiceRequest.FromString(body) for body in sent]
    spans = [
        span
        for export in exports
        for resource in export.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    assert [span.name for span in spans] == ["POST /predict", "POST /predict"]
    assert b"tried" in b"".join(sent)
    assert b"4242" not in b"".join(body for _, body in collector.received)
