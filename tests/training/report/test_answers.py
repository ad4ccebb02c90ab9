"""Confusion, reliability, permutation importance and dead units, against what is known of them."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from tests.training import runs
from tests.training.report.pages import outcome
from tests.training.test_records import config, table
from training.codebook import Codebook
from training.data import load
from training.pipeline import train
from training.report import layers
from training.report.answers import MOST_CLASSES, Answers, Confusion, Reliability
from training.report.importance import Share, importance
from training.report.layers import activities, statistics
from training.statistics import norms


def draws(classes: int, rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    outputs = generator.dirichlet(np.ones(classes), rows).astype(np.float32)
    return outputs, generator.integers(classes, size=rows)


def test_a_confusion_matrix_is_that_of_scikit_learn() -> None:
    outputs, y = draws(4)
    found, told = Confusion.of(outputs, y, "abcd"), outputs.argmax(axis=1)
    assert found.counts.tolist() == confusion_matrix(y, told).tolist()
    np.testing.assert_allclose(found.recall, recall_score(y, told, average=None))
    np.testing.assert_allclose(found.precision, precision_score(y, told, average=None))


def test_many_classes_are_shortened_and_every_row_stays_counted() -> None:
    outputs, y = draws(50)
    found = Confusion.of(outputs, y, list(range(50)))
    assert found.counts.shape == (MOST_CLASSES, MOST_CLASSES)
    assert found.labels[-1] == "others"
    assert found.counts.sum() == len(y)
    first = int(found.labels[0])
    assert found.counts[0].sum() == (y == first).sum()


def test_the_error_of_the_diagram_is_the_files_calibration_error() -> None:
    splits, trained = runs.trained("wine")
    answers = Answers.of(trained.predictor, Codebook(splits.categorical_columns), splits)
    found = Reliability.of(answers.outputs, answers.split.y)
    assert answers.rows_of == "test"
    assert found.error == outcome("wine").metadata.metrics["test_calibration_error"]
    gaps = np.abs(np.nan_to_num(found.right - found.confidence)) * found.counts
    np.testing.assert_allclose(gaps.sum() / found.counts.sum(), found.error, rtol=1e-9)


def test_the_columns_that_matter_are_found_whatever_their_kind(tmp_path: Path) -> None:
    path = table(tmp_path)
    generator = np.random.default_rng(1)
    header, *lines = path.read_text().splitlines()
    noisy = [f"{generator.normal():.3f},{'pq'[generator.integers(2)]},{line}" for line in lines]
    path.write_text("\n".join([f"noise,letter,{header}", *noisy]) + "\n")
    run = config(path, tmp_path, encoding="standard")
    run.loop["epochs"] = 15  # type: ignore[index]
    splits = load(run.data, 0)
    predictor = train(splits, run).predictor
    codebook = Codebook(splits.categorical_columns)
    with torch.no_grad():
        found = importance(predictor, codebook, splits, splits.train, logarithm=False)
        assert found == importance(predictor, codebook, splits, splits.train, logarithm=False)
    assert found.left_out == 0
    assert {column.name for column in found.columns} == set(splits.features)
    assert found.columns[0].name == "size"
    rises = {column.name: column.rise for column in found.columns}
    assert rises["size"] > 3 * max(rises["noise"], rises["letter"])


@pytest.mark.parametrize(
    ("rows", "columns", "share"),
    [
        (0, 3, Share(0, 3, 5)),
        (9_000, 14, Share(2_000, 14, 5)),
        (9_000, 54, Share(2_000, 54, 1)),
        (9_000, 784, Share(255, 784, 1)),
        (9_000, 5_000, Share(200, 1_000, 1)),
        (30, 5_000, Share(30, 5_000, 1)),
        (30, 784, Share(30, 784, 5)),
        (30, 10_000, Share(30, 6_666, 1)),
    ],
)
def test_how_much_is_shuffled_depends_on_the_table_alone(rows: int, columns: int, share: Share) -> None:
    assert Share.of(rows, columns) == share


def test_statistics_are_those_of_the_network_and_dead_units_are_seen() -> None:
    splits, trained = runs.trained("wine")
    predictor = trained.predictor.with_network(copy.deepcopy(trained.predictor.network))
    layer = norms(predictor.network)["norm1"]
    with torch.no_grad():
        layer.weight[3], layer.bias[3] = 0.0, -1.0
        layer.running_var[5] = 1e-6
        found = {norm.name: norm for norm in statistics(predictor)}
        active = activities(predictor, Codebook(()), splits.train)
        before = activities(trained.predictor, Codebook(()), splits.train)
    assert found["norm1"].flat == 1
    assert found["norm1"].scale[3] == 0
    assert active[0].dead >= before[0].dead + 1
    assert active[0].units == 16


def test_a_unit_that_answers_for_one_row_alone_is_not_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "AT_ONCE", 10)
    splits, trained = runs.trained("wine")
    predictor = trained.predictor.with_network(copy.deepcopy(trained.predictor.network))
    norm, seen = norms(predictor.network)["norm1"], list[torch.Tensor]()
    handle = norm.register_forward_hook(lambda _module, _inputs, output: seen.append(output[:, 3]))
    activities(predictor, Codebook(()), splits.train)
    handle.remove()
    second, first = torch.cat(seen).sort().values[-2:]
    dead = []
    with torch.no_grad():
        norm.bias[3] -= (first + second) / 2
        dead.append(activities(predictor, Codebook(()), splits.train)[0])
        norm.bias[3] -= first - second
        dead.append(activities(predictor, Codebook(()), splits.train)[0])
    assert dead[1].dead == dead[0].dead + 1
    assert dead[0].rows == len(splits.train) > 100
