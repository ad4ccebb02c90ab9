"""The ledger as Prometheus reads it: the sums over all workers, per model and version.

Triton's names stand where they exist, so that its dashboards work; beside them histograms of our own, for
Triton has sums only. docs/metrics.md lists every name. A version that is loaded nowhere any more is left out.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from service import __version__, tally
from service.counters import BATCH_ROWS, SECONDS, Histogram, Totals
from service.ledger import Ledger
from service.session import runtime_version

TEXT = "text/plain"
OPENMETRICS = "application/openmetrics-text"
FORMS = (TEXT, OPENMETRICS)

_LABELS = ("model", "version")
_UNTYPED = re.compile(rb"^(# TYPE nv_\w+) untyped$", re.MULTILINE)


@dataclass(frozen=True)
class Series:
    """What one version has done."""

    labels: tuple[str, str]
    totals: Totals


class Exposition(Collector):
    """All metrics of a server.

    Args:
        ledger: where its workers count.
        device: what is said of a loaded version beside its name, such as its provider.
    """

    def __init__(self, ledger: Ledger, device: Mapping[str, str]) -> None:
        self._ledger = ledger
        self._device = device

    def render(self, form: str = TEXT) -> tuple[str, bytes]:
        """The media type and the text, in one of the FORMS."""
        if form == OPENMETRICS:
            return openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest(self)  # type: ignore[no-untyped-call]
        # prometheus_client gives the name of every counter the ending _total, which Triton's do not have.
        return CONTENT_TYPE_PLAIN_0_0_4, _UNTYPED.sub(rb"\1 counter", generate_latest(self))

    def collect(self) -> Iterator[Metric]:
        """Every family, with the numbers of this moment."""
        blocks = self._ledger.read()
        http = blocks.pop(tally.KEY, [])
        known = [Series(_split(key), Totals.of(found)) for key, found in sorted(blocks.items())]
        live = [series for series in known if series.totals.live]
        yield from _triton(live)
        yield from _histograms(live)
        yield from _repository(known, live, self._device)
        yield from _server(http)


def _split(key: str) -> tuple[str, str]:
    model, _, version = key.rpartition("/")
    return model, version


def _microseconds(phase: str) -> Callable[[Totals], float]:
    return lambda totals: round(totals.phases[phase].total * 1e6)


_TRITON: Mapping[str, tuple[str, Callable[[Totals], float]]] = {
    "nv_inference_request_success": ("Requests answered", lambda totals: totals.successes),
    "nv_inference_count": ("Rows that runs computed", lambda totals: totals.rows),
    "nv_inference_exec_count": ("Runs", lambda totals: totals.executions),
    "nv_inference_request_duration_us": ("Time of the requests answered", _microseconds("request")),
    "nv_inference_queue_duration_us": ("Their time waiting for a run", _microseconds("queue")),
    "nv_inference_compute_input_duration_us": ("Their time of decoding", _microseconds("decode")),
    "nv_inference_compute_infer_duration_us": ("Their time in runs", _microseconds("run")),
    "nv_inference_compute_output_duration_us": ("Their time of encoding", _microseconds("encode")),
}

_PHASES = {
    "request": "Time of a request that was answered, from its last byte to its answer",
    "queue": "Time that a request waited for a run",
    "decode": "Time from a request's bytes to arrays",
    "run": "Time of the runs that a request took part in",
    "encode": "Time from arrays to an answer's bytes",
}


def _triton(live: Sequence[Series]) -> Iterator[Metric]:
    for name, (text, count) in _TRITON.items():
        family = Metric(name, text, "unknown")
        for series in live:
            family.add_sample(name, dict(zip(_LABELS, series.labels, strict=True)), count(series.totals))
        yield family
    failures = Metric("nv_inference_request_failure", "Requests that failed, by reason", "unknown")
    for series in live:
        labels = dict(zip(_LABELS, series.labels, strict=True))
        for reason, count_ in series.totals.failures.items():
            failures.add_sample(failures.name, labels | {"reason": reason}, count_)
    yield failures
    waiting = ((s.labels, s.totals.waiting_requests) for s in live)
    yield _gauge("nv_inference_pending_request_count", "Requests that wait for a run", _LABELS, waiting)


def _histograms(live: Sequence[Series]) -> Iterator[Metric]:
    for phase, text in _PHASES.items():
        found = ((series.labels, series.totals.phases[phase]) for series in live)
        yield _histogram(f"foldserve_{phase}_seconds", text, SECONDS, found)
    rows = ((series.labels, series.totals.run_rows) for series in live)
    yield _histogram("foldserve_run_rows", "Rows of a run", BATCH_ROWS, rows)


def _repository(
    known: Sequence[Series], live: Sequence[Series], device: Mapping[str, str]
) -> Iterator[Metric]:
    waiting = ((s.labels, s.totals.waiting_rows) for s in live)
    yield _gauge("foldserve_queue_rows", "Rows that wait for a run", _LABELS, waiting)
    loaded = (((*s.labels, *device.values()), s.totals.live) for s in live)
    text = "In how many processes the version is loaded"
    yield _gauge("foldserve_model_loaded", text, (*_LABELS, *device), loaded)
    loads = CounterMetricFamily("foldserve_loads", "Times that the version went live", labels=_LABELS)
    text = "Times that the version did not go live, by the step that failed"
    failures = CounterMetricFamily("foldserve_load_failures", text, labels=(*_LABELS, "reason"))
    for series in known:
        if series.totals.live:
            loads.add_metric(series.labels, series.totals.loads)
        for reason, count in series.totals.load_failures.items():
            if count or series.totals.live:
                failures.add_metric((*series.labels, reason), count)
    yield loads
    yield failures


def _server(http: Sequence[Sequence[int]]) -> Iterator[Metric]:
    answers = CounterMetricFamily(
        "foldserve_http_requests", "Requests over HTTP, by status", labels=["status"]
    )
    for status, count in tally.answers(http).items():
        answers.add_metric([status], count)
    yield answers
    build = InfoMetricFamily("foldserve_build", "Versions of the software")
    versions = {"version": __version__, "python": platform.python_version(), "onnxruntime": runtime_version()}
    build.add_metric([], versions)
    yield build
    processes = [
        list(ProcessCollector(registry=None, pid=_constant(n)).collect()) for n in tally.processes(http)
    ]
    alive = [families for families in processes if families]
    yield GaugeMetricFamily("foldserve_workers", "Processes that answer", value=len(alive))
    for same in zip(*alive, strict=False):
        yield _sum(same)


def _sum(families: Sequence[Metric]) -> Metric:
    """One family of several processes: their sum, and of the times at which they started the first."""
    values = [family.samples[0].value for family in families]
    first = families[0]
    whole = Metric(first.name, first.documentation, first.type)
    value = min(values) if first.name == "process_start_time_seconds" else sum(values)
    whole.add_sample(first.samples[0].name, {}, value)
    return whole


def _gauge(
    name: str, text: str, labels: Sequence[str], values: Iterable[tuple[Sequence[str], float]]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for found, value in values:
        family.add_metric(found, value)
    return family


def _histogram(
    name: str, text: str, edges: Sequence[float], found: Iterable[tuple[Sequence[str], Histogram]]
) -> Metric:
    family = HistogramMetricFamily(name, text, labels=_LABELS)
    names = [*(f"{edge:.6g}" for edge in edges), "+Inf"]
    for labels, histogram in found:
        family.add_metric(
            labels, list(zip(names, accumulate(histogram.counts), strict=True)), histogram.total
        )
    return family


def _constant(number: int) -> Callable[[], int]:
    return lambda: number
