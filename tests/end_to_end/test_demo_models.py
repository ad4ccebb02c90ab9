"""The committed demo models: small, certified, and still what their certificates say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from service.metadata import ModelMetadata, read_metadata, row_errors
from service.model import ServedModel
from service.session import Session
from training import certify
from training.tables import embedded_table

MODELS = Path(__file__).parents[2] / "models"
NAMES = ("digits", "breast-cancer", "diabetes")


def read(name: str) -> tuple[Path, ModelMetadata]:
    path = MODELS / name / "1" / "model.onnx"
    metadata = read_metadata(Session(path).properties)
    assert metadata is not None
    return path, metadata


@pytest.mark.parametrize("name", NAMES)
def test_a_demo_model_is_small_and_fully_folded(name: str) -> None:
    path, metadata = read(name)
    assert path.stat().st_size < 300_000
    found = {node.op_type for node in onnx.load(path).graph.node}
    assert found <= {"Sub", "Gemm", "Relu", "Softmax"}
    assert all(entry.direction != "left" for entry in metadata.folding.entries)


@pytest.mark.parametrize("name", NAMES)
def test_its_certificate_is_within_the_limits_and_its_golden_rows_reproduce(name: str) -> None:
    path, metadata = read(name)
    assert metadata.certificate is not None
    certify.check(metadata.certificate)
    ServedModel(name, 1, path)  # proves the golden rows, or raises


@pytest.mark.parametrize("name", NAMES)
def test_it_was_trained_on_the_data_it_names(name: str) -> None:
    _, metadata = read(name)
    assert embedded_table(name).fingerprint() == metadata.provenance.data_fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_its_parameters_compute_the_same_in_float64_within_the_certified_error(name: str) -> None:
    """The stored parameters run again in NumPy float64: a reference that shares no code with onnxruntime."""
    path, metadata = read(name)
    assert metadata.certificate is not None
    rows = embedded_table(name).frame[:, :-1].to_numpy().astype(np.float32)
    graph = onnx.load(path).graph
    values = {t.name: onnx.numpy_helper.to_array(t).astype(np.float64) for t in graph.initializer}
    values["features"] = rows.astype(np.float64)
    for node in graph.node:
        a, *rest = (values[name] for name in node.input)
        if node.op_type == "Gemm":
            values[node.output[0]] = a @ rest[0].T + rest[1]
        elif node.op_type == "Sub":
            values[node.output[0]] = a - rest[0]
        elif node.op_type == "Relu":
            values[node.output[0]] = np.maximum(a, 0)
        else:
            shares = np.exp(a - a.max(axis=1, keepdims=True))
            values[node.output[0]] = shares / shares.sum(axis=1, keepdims=True)
    truth = values[graph.output[0].name]
    errors = row_errors(Session(path).run({"features": rows})[0], truth)
    assert errors.mean() < 4 * max(metadata.certificate.folded.mean, certify.EPS)
