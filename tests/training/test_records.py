"""Tables of numbers, categories and gaps, from the file to a certified graph that takes raw records."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest

from service.metadata import Certificate
from service.offline import predict_file
from service.session import Session, TensorSpec
from training import certify, pipeline
from training.config import DataConfig, EncodingKind, RunConfig
from training.data import load
from training.folding import Reason, fold_onnx
from training.tables import read_table

COLOURS = ("blue", "green", "red")


def table(folder: Path, *, numbers: bool = True, gaps: bool = True, texts: bool = True) -> Path:
    """Rows in which all columns say something about y."""
    draws = np.random.default_rng(0)
    rows = []
    for row in range(240):
        size, weight = draws.normal(5, 2), draws.gamma(2, 30)
        colour, shape = COLOURS[draws.integers(3)], "round" if draws.random() < 0.4 else "flat"
        y = "yes" if size + (colour == "red") * 2 - (shape == "flat") + draws.normal() > 5 else "no"
        cells = [f"{size:.3f}", "" if gaps and row % 7 == 0 else f"{weight:.2f}"] * numbers
        cells += [colour, "?" if row % 11 == 0 else shape] * texts
        rows.append(",".join([*cells, y]))
    names = ["size", "weight"] * numbers + ["colour", "shape"] * texts + ["y"]
    path = folder / "table.csv"
    path.write_text("\n".join([",".join(names), *rows]) + "\n")
    return path


def config(path: Path, models: Path, **model: Any) -> RunConfig:
    small, loop = {"hidden": (16, 8), **model}, {"epochs": 3, "batch_size": 32}
    return RunConfig(DataConfig(path, "y"), "m", small, loop, models, report=False)


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> pipeline.Outcome:
    """Numbers and texts, with gaps, as it comes."""
    folder = tmp_path_factory.mktemp("usual")
    return pipeline.run(config(table(folder), folder))


def certificate(outcome: pipeline.Outcome) -> Certificate:
    found = outcome.metadata.certificate
    assert found is not None
    return found


@pytest.mark.parametrize("encoding", get_args(EncodingKind))
def test_records_are_certified_from_their_raw_form_on(tmp_path: Path, encoding: str) -> None:
    outcome = pipeline.run(config(table(tmp_path), tmp_path, encoding=encoding))
    assert certificate(outcome).parameters_max_ulp <= certify.MAX_ULP
    assert not certify.costs_too_much(certificate(outcome))
    session = Session(outcome.path)
    assert session.inputs == (
        TensorSpec("numeric", "float32", (None, 2)),
        TensorSpec("categorical", "string", (None, 2)),
    )
    ops = [node.op_type for node in onnx.load(outcome.path).graph.node]
    assert "BatchNormalization" not in ops
    assert ops.count("LabelEncoder") == 1


@pytest.mark.parametrize(
    ("columns", "inputs"),
    [
        ({"texts": False}, ["numeric"]),
        ({"texts": False, "gaps": False}, ["features"]),
        ({"numbers": False}, ["categorical"]),
        ({"gaps": False}, ["numeric", "categorical"]),
    ],
    ids=["gaps", "numbers", "texts", "numbers-and-texts"],
)
@pytest.mark.parametrize("residual", [False, True], ids=["plain", "residual"])
def test_every_kind_of_table_folds_completely(
    tmp_path: Path, columns: dict[str, bool], inputs: list[str], residual: bool
) -> None:
    outcome = pipeline.run(config(table(tmp_path, **columns), tmp_path, residual=residual, hidden=(12, 12)))
    assert [spec.name for spec in Session(outcome.path).inputs] == inputs
    entries = outcome.metadata.folding.entries
    norms = {entry.layer for entry in entries if entry.kind == "BatchNorm"}
    assert norms == ({"block1.norm", "block2.norm", "norm"} if residual else {"norm1", "norm2"})
    assert all(entry.direction != "left" for entry in entries)
    assert certificate(outcome).label_agreement == 1.0


def test_what_training_never_saw_adds_the_mean_of_its_column(tmp_path: Path) -> None:
    """A stranger is answered as if its column said nothing: between the answers for those it has."""
    outcome = pipeline.run(config(table(tmp_path, numbers=False), tmp_path, batch_norm=False, hidden=()))
    session = Session(outcome.path)

    def logit(colour: str) -> float:
        given = np.array([[colour, "round"]], object)
        no, yes = session.run({"categorical": given})[0][0]
        return float(np.log(yes / no))

    shares = dict.fromkeys(COLOURS, 0)
    splits = load(DataConfig(tmp_path / "table.csv", "y"), 0)
    for code in splits.train.categorical[:, 0]:
        shares[COLOURS[code - 2]] += 1
    mean = sum(count * logit(colour) for colour, count in shares.items()) / sum(shares.values())
    assert logit("violet") == pytest.approx(mean, abs=1e-5)
    assert logit("") == pytest.approx(mean, abs=1e-5)


def test_marks_null_and_nothing_are_the_same(usual: pipeline.Outcome) -> None:
    session, numeric = Session(usual.path), np.array([[5.0, 60.0]] * 3, np.float32)
    texts = np.array([["red", "?"], ["red", ""], ["red", "flat"]], object)
    marked, empty, flat = session.run({"numeric": numeric, "categorical": texts})[0]
    assert marked.tolist() == empty.tolist() != flat.tolist()


def test_a_missing_number_is_told_by_its_flag_and_not_by_a_value(tmp_path: Path) -> None:
    outcome = pipeline.run(config(table(tmp_path, texts=False), tmp_path))
    numeric = np.array([[5.0, np.nan], [5.0, -1e30]], np.float32)
    missing, low = Session(outcome.path).run({"numeric": numeric})[0]
    assert np.isfinite([missing, low]).all()
    assert missing.tolist() != low.tolist()


def test_golden_rows_are_records_with_gaps(usual: pipeline.Outcome) -> None:
    golden = usual.metadata.golden
    assert golden is not None
    assert all(isinstance(row[0], float) and isinstance(row[2], str) for row in golden.inputs)
    features = usual.metadata.features
    assert [(f.kind, f.missing) for f in features] == [
        *(("numeric", False), ("numeric", True)),
        *(("categorical", True), ("categorical", True)),
    ]
    assert features[2].categories == COLOURS


def test_folding_the_file_again_leaves_it_as_it_is(usual: pipeline.Outcome, tmp_path: Path) -> None:
    again = fold_onnx(onnx.load(usual.path))
    assert all(entry.reason is not Reason.NOT_EXPORTABLE for entry in again.report.entries)
    rows = {
        "numeric": np.array([[5.0, np.nan]], np.float32),
        "categorical": np.array([["red", "flat"]], object),
    }
    onnx.save(again.model, tmp_path / "again.onnx")
    one, two = (Session(path).run(rows)[0] for path in (usual.path, tmp_path / "again.onnx"))
    assert np.abs(one - two).max() < 1e-6


def test_the_file_that_was_trained_on_is_predicted_as_the_values_that_were_read(tmp_path: Path) -> None:
    draws, path = np.random.default_rng(0), tmp_path / "rows.csv"
    lines = ['"a ""price""", , wood, kind, y']
    for row in range(120):
        price = f'"${draws.gamma(2, 900):,.2f}"' if row % 9 else "NA"
        wood = ("oak", "elm", "?")[row % 3]
        lines.append(f"{price}, {draws.normal():.3f}, {wood}, {row % 4}.0, {draws.normal():.3f}")
    path.write_text("\n".join(lines) + "\n")
    outcome = pipeline.run(config(path, tmp_path / "models"))
    assert [feature.name for feature in outcome.metadata.features] == [
        'a "price"',
        "unnamed_1",
        "wood",
        "kind",
    ]
    read_table(path, "y").frame.write_parquet(tmp_path / "rows.parquet")
    raw, read = (predict_file(outcome.path, tmp_path / f"rows.{kind}").outputs for kind in ("csv", "parquet"))
    assert raw.tobytes() == read.tobytes()
