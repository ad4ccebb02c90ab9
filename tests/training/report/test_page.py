"""The page that a run leaves beside its model."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import pytest

from service.repository import layout
from tests.training import runs
from tests.training.report.pages import outcome, read
from tests.training.runs import Dataset
from training import pipeline
from training.config import DataConfig, RunConfig
from training.errors import CertificateError

DATASETS: tuple[Dataset, ...] = ("wine", "diabetes")


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere(dataset: Dataset) -> None:
    page = read(outcome(dataset))
    assert not {tag for tag, _ in page.elements} & {"script", "link", "img", "iframe", "object", "form"}
    for _, attributes in page.elements:
        assert not {name for name in attributes if name.startswith("on") or name == "src"}
        assert str(attributes.get("href", "#")).startswith("#")
    text = outcome(dataset).path.with_name("report.html").read_text("utf-8")
    assert all(mark not in text for mark in ("http:", "https:", "url(", "@import"))
    assert not re.search(r"\b(nan|inf)\b", text)


@pytest.mark.parametrize("dataset", DATASETS)
def test_links_lead_to_sections(dataset: Dataset) -> None:
    page = read(outcome(dataset))
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    sections = [f"#{attributes['id']}" for tag, attributes in page.elements if tag == "section"]
    assert links == sections
    assert ("#calibration" in sections) == (dataset == "wine")


@pytest.mark.parametrize("dataset", DATASETS)
def test_facts_are_those_of_the_metadata(dataset: Dataset) -> None:
    found = outcome(dataset)
    page, metadata = read(found), found.metadata
    for value in metadata.metrics.values():
        assert f"{value:.4f}" in page.texts
    for feature in metadata.features:
        assert feature.name in page.texts
        assert f"{feature.minimum:,.6g} to {feature.maximum:,.6g}" in page.texts
    assert metadata.certificate is not None
    assert f"run on {metadata.certificate.rows:,} rows" in page.text
    assert f"a factor of {metadata.certificate.ratio_of_means:.3f}" in page.text
    assert f"All {metadata.certificate.parameters:,} stored parameters" in page.text
    assert all(entry.layer in page.texts for entry in metadata.folding.entries)
    assert metadata.provenance.data_fingerprint in page.text
    assert str(metadata.hyperparameters["hidden"]) in page.texts
    assert f"best: {found.fits[0].best}" in page.texts


def test_the_history_holds_the_numbers_of_every_epoch() -> None:
    found = outcome("wine")
    with found.path.with_name("history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["validation_loss"]) for row in rows] == [
        e.validation_loss for e in found.fits[0].epochs
    ]
    assert [float(row["rate"]) for row in rows] == [e.rate for e in found.fits[0].epochs]
    assert [int(row["number"]) for row in rows if row["best"] == "1"] == [found.fits[0].best]


def test_what_a_table_calls_its_columns_and_classes_is_shown_and_never_markup(tmp_path: Path) -> None:
    strange = '<b onclick="x()">&amp;'
    lines = [f"{i % 7},{'<i>' if i % 3 else '</table>'},{'<script>' if i % 2 else 'no'}" for i in range(60)]
    table = tmp_path / "t.csv"
    heading = '"' + strange.replace('"', '""') + '",<u>,</td>'
    table.write_text("\n".join([heading, *lines]) + "\n")
    model, loop = {"hidden": (4,), "encoding": "standard"}, {"epochs": 1, "batch_size": 16}
    found = pipeline.run(RunConfig(DataConfig(table, "</td>"), "m", model, loop, tmp_path / "models"))
    page = read(found)
    assert not {tag for tag, _ in page.elements} & {"b onclick", "script", "u"}
    assert strange in page.texts
    assert {"<u>", "</td>", "<script>"} <= set(page.texts)


def test_no_report_is_written_when_none_is_wanted(tmp_path: Path) -> None:
    found = pipeline.run(replace(runs.config("wine", tmp_path), report=False))
    assert [path.name for path in found.path.parent.iterdir()] == ["model.onnx"]


def test_model_and_report_appear_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CertificateError("the disk is on fire")

    monkeypatch.setattr(pipeline, "write_report", refuse)
    with pytest.raises(CertificateError, match="on fire"):
        pipeline.run(runs.config("wine", tmp_path))
    assert list((tmp_path / "wine").iterdir()) == []


def test_the_server_takes_a_version_with_a_report_for_one() -> None:
    folder = outcome("wine").path.parents[2]
    version = layout.look(folder)["wine"]
    assert list(version.versions) == [1]
    assert version.versions[1].fault is None
    assert version.odd == {}


@pytest.mark.parametrize("rows", [3, 7])
def test_the_smallest_tables_have_a_page(tmp_path: Path, rows: int) -> None:
    table = tmp_path / "tiny.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},7,{'uv'[i % 2]}\n" for i in range(rows)))
    run = RunConfig(DataConfig(table, "y"), "tiny", {"hidden": (4,)}, {"epochs": 1}, tmp_path / "models")
    assert "Confusion matrix" in read(pipeline.run(run)).texts


def test_a_network_without_norms_says_so(tmp_path: Path) -> None:
    found = pipeline.run(runs.config("wine", tmp_path, batch_norm=False))
    assert "The network has no Batch Normalization." in read(found).texts
