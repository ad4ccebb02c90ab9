import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from service import tally
from service.counters import SLOTS, Counters
from service.ledger import Ledger
from service.metrics import OPENMETRICS, Exposition
from service.watch import Watch

GUIDE = Path(__file__).parents[2] / "docs" / "metrics.md"
DEVICE = {"asked": "auto", "device": "cpu", "provider": "CPUExecutionProvider"}
MODEL = {"model": "m", "version": "1"}


def working(ledger: Ledger, requests: int = 1, key: str = "m/1") -> Counters:
    """A version that is loaded and has answered requests of 3 rows, each in a millisecond."""
    counters = Counters(ledger.block(key))
    counters.loaded()
    for _ in range(requests):
        watch = Watch()
        watch.decode, watch.queue, watch.run, watch.encode = 100_000, 0, 30_000, 20_000
        watch.total = 1_000_000
        counters.answered(watch)
        counters.ran(3)
    return counters


def families(ledger: Ledger) -> dict[str, Metric]:
    _, text = Exposition(ledger, DEVICE).render()
    return {family.name: family for family in parse_text(text.decode())}


def name_of(sample: Sample) -> str:
    """A sample's name as Prometheus reads it; this parser adds an ending to the counters of Triton."""
    return sample.name.removesuffix("_total") if sample.name.startswith("nv_") else sample.name


def value(found: Mapping[str, Metric], name: str, **labels: str) -> float:
    [number] = [
        sample.value
        for family in found.values()
        for sample in family.samples
        if name_of(sample) == name and labels.items() <= sample.labels.items()
    ]
    return float(number)


def test_what_a_version_has_done_stands_under_tritons_names() -> None:
    ledger = Ledger(SLOTS)
    counters = working(ledger, requests=2)
    counters.failed(Watch(), "REJECTED")
    counters.waits(2, 40)
    found = families(ledger)
    assert value(found, "nv_inference_request_success", **MODEL) == 2
    assert value(found, "nv_inference_request_failure", reason="REJECTED", **MODEL) == 1
    assert value(found, "nv_inference_request_failure", reason="OTHER", **MODEL) == 0
    assert value(found, "nv_inference_count", **MODEL) == 6
    assert value(found, "nv_inference_exec_count", **MODEL) == 2
    assert value(found, "nv_inference_request_duration_us", **MODEL) == 2000
    assert value(found, "nv_inference_compute_input_duration_us", **MODEL) == 200
    assert value(found, "nv_inference_compute_infer_duration_us", **MODEL) == 60
    assert value(found, "nv_inference_compute_output_duration_us", **MODEL) == 40
    assert value(found, "nv_inference_queue_duration_us", **MODEL) == 0
    assert value(found, "nv_inference_pending_request_count", **MODEL) == 2
    assert value(found, "foldserve_queue_rows", **MODEL) == 40


def test_histograms_are_cumulative_and_end_in_their_count() -> None:
    ledger = Ledger(SLOTS)
    working(ledger, requests=2)
    found = families(ledger)
    assert value(found, "foldserve_request_seconds_bucket", le="0.0005") == 0
    assert value(found, "foldserve_request_seconds_bucket", le="0.001") == 2
    assert value(found, "foldserve_request_seconds_bucket", le="+Inf") == 2
    assert value(found, "foldserve_request_seconds_count") == 2
    assert value(found, "foldserve_request_seconds_sum") == pytest.approx(0.002)
    assert value(found, "foldserve_run_rows_bucket", le="2") == 0
    assert value(found, "foldserve_run_rows_bucket", le="4") == 2
    assert value(found, "foldserve_run_rows_sum") == 6


def test_workers_add_up_whichever_is_asked(tmp_path: Path) -> None:
    ledgers = [Ledger(SLOTS, tmp_path, worker) for worker in (0, 1)]
    for requests, ledger in enumerate(ledgers, 1):
        tally.Tally(ledger.block(tally.KEY)).answered(200)
        working(ledger, requests)
    for ledger in ledgers:
        found = families(ledger)
        assert value(found, "nv_inference_request_success", **MODEL) == 3
        assert value(found, "foldserve_model_loaded", **MODEL, **DEVICE) == 2
        assert value(found, "foldserve_http_requests_total", status="200") == 2
        assert value(found, "foldserve_workers") == 2
        assert value(found, "process_resident_memory_bytes") > 2**20


def test_a_worker_that_is_gone_is_not_asked_for_its_memory(tmp_path: Path) -> None:
    ledger = Ledger(SLOTS, tmp_path, 0)
    tally.Tally(ledger.block(tally.KEY))
    gone = Ledger(SLOTS, tmp_path, 1).block(tally.KEY)
    gone[0] = 2**22 + 1  # Linux gives no process a number above 2^22
    found = families(ledger)
    assert value(found, "foldserve_workers") == 1
    assert value(found, "process_start_time_seconds") == pytest.approx(started(), abs=1)


def started() -> float:
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    up = float(re.search(r"^btime (\d+)", Path("/proc/stat").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    return up + ticks / os.sysconf("SC_CLK_TCK")


def test_a_version_that_is_loaded_nowhere_is_left_out() -> None:
    ledger = Ledger(SLOTS)
    working(ledger).unloaded()
    assert not any(
        "model" in sample.labels for family in families(ledger).values() for sample in family.samples
    )


def test_of_a_version_that_was_refused_the_reason_stays() -> None:
    ledger = Ledger(SLOTS)
    Counters(ledger.block("m/1")).refused("golden")
    told = [
        sample
        for family in families(ledger).values()
        for sample in family.samples
        if sample.labels.get("model")
    ]
    assert [(sample.name, sample.labels["reason"], sample.value) for sample in told] == [
        ("foldserve_load_failures_total", "golden", 1)
    ]


def test_a_name_with_odd_letters_is_escaped() -> None:
    ledger = Ledger(SLOTS)
    odd = 'a"b\\c\nd\N{GREEK SMALL LETTER MU}'
    working(ledger, key=f"{odd}/12")
    for sample in families(ledger)["nv_inference_count"].samples:
        assert sample.labels == {"model": odd, "version": "12"}


def test_openmetrics_holds_the_same_numbers() -> None:
    ledger = Ledger(SLOTS)
    tally.Tally(ledger.block(tally.KEY)).answered(200)
    working(ledger, requests=2)
    media, text = Exposition(ledger, DEVICE).render(OPENMETRICS)
    assert media.startswith("application/openmetrics-text; version=1.0.0")
    found = {family.name: family for family in parse_openmetrics(text.decode())}
    assert value(found, "nv_inference_count", **MODEL) == 6
    assert value(found, "foldserve_http_requests_total", status="200") == 1
    assert found["nv_inference_count"].type == "unknown"


def test_the_guide_lists_exactly_what_there_is() -> None:
    ledger = Ledger(SLOTS)
    tally.Tally(ledger.block(tally.KEY)).answered(200)
    working(ledger)
    _, text = Exposition(ledger, DEVICE).render()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text.decode(), re.MULTILINE))
    labels = {
        re.sub("_(bucket|sum|count)$", "", sample.name) if family.type == "histogram" else name_of(sample): {
            *sample.labels
        }
        - {"le"}
        for family in families(ledger).values()
        for sample in family.samples
    }
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]*?) ?\| .+ \|$", GUIDE.read_text(), re.MULTILINE)
    listed = {name: (kind, set(filter(None, told.split(", ")))) for name, kind, told in rows}
    assert listed == {name: (kind, labels[name]) for name, kind in types.items()}


def test_the_questions_of_the_guide_use_names_that_there_are() -> None:
    ledger = Ledger(SLOTS)
    tally.Tally(ledger.block(tally.KEY)).answered(200)
    working(ledger)
    names = {name_of(sample) for family in families(ledger).values() for sample in family.samples}
    blocks = re.findall(r"```promql\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    asked = {name for block in blocks for name in re.findall(r"(?:nv|foldserve)_\w+", block)}
    assert asked
    assert asked <= names
