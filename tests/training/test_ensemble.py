"""Several networks, one graph: what is certified and published is their mean."""

from __future__ import annotations

import copy
import io
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from rich.console import Console
from torch import nn

from service.metadata import Certificate
from service.session import Session
from tests.training import runs
from tests.training.encoding.reference import regions
from tests.training.ensembles import EPOCHS, MEMBERS, ensemble
from tests.training.test_certify import change
from tests.training.test_records import table
from training import calibration, certify, pipeline
from training.config import RunConfig
from training.data import load
from training.encoding import PerFeature, begun
from training.encoding.places import FREQUENCIES
from training.ensemble import Ensemble, members
from training.errors import CertificateError, ConfigError
from training.features import UNKNOWN
from training.held_out import HeldOut
from training.loop import Epoch, member_seed
from training.loop.steps import Stepper
from training.parts import parts, together
from training.pipeline import Outcome, Trained
from training.predictor import Predictor, Shapes, each_of, mean_of
from training.preparation import Preparation
from training.progress import TrainingProgress


class Made(NamedTuple):
    """A run of which every step is at hand."""

    config: RunConfig
    trained: Trained
    held_out: HeldOut
    outcome: Outcome

    @property
    def certificate(self) -> Certificate:
        assert self.outcome.metadata.certificate is not None
        return self.outcome.metadata.certificate

    @property
    def graph(self) -> onnx.GraphProto:
        return onnx.load(self.outcome.path).graph


def made(config: RunConfig) -> Made:
    splits = load(config.data, config.seed)
    trained = pipeline.train(splits, config)
    outcome = pipeline.publish(config, splits, trained)
    return Made(config, trained, HeldOut.of(splits, config.seed), outcome)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ensemble")


@pytest.fixture(scope="module")
def records(folder: Path) -> Made:
    """Numbers with gaps, and categories."""
    return made(ensemble(table(folder), folder / "models"))


@pytest.fixture(scope="module")
def logarithms(folder: Path) -> Made:
    (folder / "positive").mkdir()
    path = table(folder / "positive", gaps=False)
    return made(
        ensemble(path, folder / "logarithms", members=2, target="weight", log_target=True, hidden=(8,))
    )


@pytest.fixture(scope="module")
def values(folder: Path) -> Made:
    """A regression by residual networks, from numbers and gaps alone."""
    (folder / "values").mkdir()
    path = table(folder / "values", texts=False)
    return made(ensemble(path, folder / "values", members=2, target="size", residual=True, hidden=(8,)))


def own_answers(made: Made) -> list[np.ndarray]:
    """What each member answers by itself in float64."""
    inputs = [t.double() if t.is_floating_point() else t for t in made.held_out.tensors()]
    answers = []
    for member in each_of(made.trained.predictor):
        alone = copy.deepcopy(member).double()
        with torch.no_grad():
            answers.append(alone(*inputs).numpy())
    return answers


@pytest.mark.parametrize("name", ["records", "logarithms", "values"])
def test_the_file_answers_the_mean_of_its_members(name: str, request: pytest.FixtureRequest) -> None:
    run: Made = request.getfixturevalue(name)
    answers = own_answers(run)
    got = certify.run_file(run.outcome.path, run.held_out.arrays(texts=True))
    assert len(answers) == run.config.ensemble
    assert not np.allclose(answers[0], answers[1], rtol=1e-3)
    assert got == pytest.approx(np.mean(answers, axis=0), rel=5e-6, abs=1e-6)
    assert not np.allclose(got, answers[0], rtol=1e-3)


def test_the_mean_of_a_logarithms_answers_is_taken_behind_the_exponential(logarithms: Made) -> None:
    answers = own_answers(logarithms)
    got = certify.run_file(logarithms.outcome.path, logarithms.held_out.arrays(texts=True))
    geometric = np.exp(np.mean(np.log(answers), axis=0))
    arithmetic = np.mean(answers, axis=0)
    assert np.abs(got - arithmetic).max() < 1e-3 * np.abs(geometric - arithmetic).max()


@pytest.mark.parametrize("name", ["records", "logarithms", "values"])
def test_every_parameter_of_every_member_is_certified(name: str, request: pytest.FixtureRequest) -> None:
    run: Made = request.getfixturevalue(name)
    used = {name for node in run.graph.node if node.op_type in ("Gemm", "Gather") for name in node.input}
    linear = [t for t in run.graph.initializer if t.name in used and t.data_type == onnx.TensorProto.FLOAT]
    assert run.certificate.parameters == sum(int(np.prod(t.dims)) for t in linear)
    assert run.certificate.parameters_max_ulp <= certify.MAX_ULP
    assert not certify.costs_too_much(run.certificate)
    assert run.certificate.label_agreement == (1.0 if name == "records" else None)


@pytest.mark.parametrize(
    "tensor", ["member3.linear2.weight", "member3.categories.weight", "member2.head.bias"]
)
def test_a_parameter_one_unit_off_in_any_member_is_found(records: Made, tensor: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(onnx.load(records.outcome.path), path)
    change(path, tensor, 1)
    exact = np.zeros((len(records.held_out), 2))
    truth = certify.Truth(records.trained.predictor, records.held_out, exact, exact.astype(np.float32))
    assert 0.5 < certify.certify(path, truth).parameters_max_ulp <= 1.5


def test_a_file_that_lacks_a_member_is_refused(records: Made, tmp_path: Path) -> None:
    fewer = records.trained.predictor.with_network(Ensemble(members(records.trained.predictor.network)[:2]))
    exact = np.zeros((len(records.held_out), 2))
    truth = certify.Truth(fewer, records.held_out, exact, exact.astype(np.float32))
    with pytest.raises(CertificateError, match="linear layers are not those of the model"):
        certify.certify(records.outcome.path, truth)


def test_members_share_the_texts_and_encode_by_their_own_rows_in_one_graph(records: Made) -> None:
    ops = [node.op_type for node in records.graph.node]
    once, each = ("LabelEncoder", "Div"), ("IsNaN", "Where", "Clip", "Concat")
    assert {op: ops.count(op) for op in once} == dict.fromkeys(once, 1)
    assert {op: ops.count(op) for op in each} == dict.fromkeys(each, MEMBERS)
    assert (ops.count("Gemm"), ops.count("Softmax")) == (4 * MEMBERS, MEMBERS)
    assert "BatchNormalization" not in ops
    session = Session(records.outcome.path)
    assert [(spec.name, spec.shape) for spec in session.inputs] == [
        ("numeric", (None, 2)),
        ("categorical", (None, 2)),
    ]
    assert [(spec.name, spec.shape) for spec in session.outputs] == [("probabilities", (None, 2))]


def test_the_metadata_tell_of_all_members(records: Made) -> None:
    metadata = records.outcome.metadata
    assert metadata.hyperparameters["ensemble"] == MEMBERS
    assert metadata.hyperparameters["epochs"] == ",".join([str(EPOCHS)] * MEMBERS)
    assert [(entry.layer, entry.into) for entry in metadata.folding.entries] == [
        (f"member{k}.norm{n}", into)
        for k in range(1, MEMBERS + 1)
        for n, into in ((1, f"member{k}.linear1, member{k}.categories"), (2, f"member{k}.linear2"))
    ]
    assert metadata.folding.parameters_after == sum(
        int(np.prod(t.dims)) for t in records.graph.initializer if t.name.startswith("network.")
    )
    assert metadata.golden is not None
    outputs = certify.run_file(records.outcome.path, [a[:8] for a in records.held_out.arrays(texts=True)])
    assert outputs.tolist() == [list(row) for row in metadata.golden.outputs]


def test_scores_are_those_of_the_mean(records: Made) -> None:
    splits = load(records.config.data, 0)
    held_out = HeldOut.of_rows(splits.test, splits.columns, 0)
    arrays = [array[: len(splits.test)] for array in held_out.arrays(texts=True)]
    labels = certify.run_file(records.outcome.path, arrays).argmax(axis=1)
    assert records.outcome.metadata.metrics["test_accuracy"] == (labels == splits.test.y).mean()


def of_member(made: Made, place: int) -> tuple[np.ndarray, np.ndarray]:
    """What a member answers for its own validation rows, and the truth."""
    own = parts(load(made.config.data, 0), made.config.ensemble)[place]
    held = HeldOut(own.columns, own.validation.numeric, own.validation.categorical, len(own.validation))
    with torch.no_grad():
        return each_of(made.trained.predictor)[place](*held.tensors()).numpy(), own.validation.y


def test_validation_scores_are_those_of_members_on_rows_they_have_not_learnt_from(
    records: Made, values: Made
) -> None:
    right = [answers.argmax(axis=1) == y for answers, y in (of_member(records, k) for k in range(MEMBERS))]
    assert records.trained.metrics["validation_accuracy"] == np.concatenate(right).mean()
    errors = [answers[:, 0] - y for answers, y in (of_member(values, k) for k in range(2))]
    root = np.sqrt((np.concatenate(errors) ** 2).mean())
    assert values.trained.metrics["validation_rmse"] == pytest.approx(root, rel=1e-6)


def test_the_temperature_suits_rows_that_a_member_has_not_learnt_from(records: Made) -> None:
    answers, y = map(np.concatenate, zip(*(of_member(records, k) for k in range(MEMBERS)), strict=True))

    def loss(factor: float) -> float:
        return calibration.log_loss(np.log(answers.astype(np.float64)) / factor, y)

    assert "temperature" in records.trained.metrics
    assert loss(1.0) < min(loss(1.02), loss(1 / 1.02))


def test_the_metadata_tell_which_rows_were_learnt_from(records: Made) -> None:
    splits = load(records.config.data, 0)
    seen, metadata = together(splits), records.outcome.metadata
    assert metadata.provenance.training_rows == len(seen) > len(splits.train)
    assert metadata.hyperparameters["member_rows"] == len(splits.train)
    assert metadata.features[0].maximum == seen.numeric[:, 0].max()


def test_an_unknown_category_says_nothing_even_if_a_member_has_rows_of_one(records: Made) -> None:
    splits = load(records.config.data, 0)
    categorical = splits.train.categorical.copy()
    categorical[:5] = UNKNOWN
    splits = replace(splits, train=replace(splits.train, categorical=categorical))
    preparation = Preparation.of(splits, records.trained.recipe)
    counts = preparation.network(records.trained.recipe.model, splits, 0).categories.absent.tolist()
    assert set(preparation.codebook.starts) <= set(counts)


def test_where_the_certificate_needs_the_shift_every_member_keeps_it(folder: Path) -> None:
    outcome = pipeline.run(replace(runs.config("wine", folder / "wine", hidden=(8,)), ensemble=2))
    kept = [entry.layer for entry in outcome.metadata.folding.entries if entry.direction == "split"]
    assert kept == ["member1.standardiser", "member2.standardiser"]
    assert outcome.metadata.certificate is not None
    assert outcome.metadata.certificate.ratio_of_means <= certify.KEEP_RATIO


def equal(one: nn.Module, two: nn.Module) -> bool:
    states = one.state_dict(), two.state_dict()
    return all(torch.equal(states[0][name], tensor) for name, tensor in states[1].items())


@pytest.mark.parametrize("encoding", ["bins-relu", "periodic", "standard"])
def test_the_first_member_is_the_single_model_and_the_others_are_not(folder: Path, encoding: str) -> None:
    options = {"encoding": encoding, "calibrate": False}
    path = table(folder)
    single, several = (ensemble(path, folder, members=count, **options) for count in (1, 2))
    splits = load(single.data, 0)
    one, two = (pipeline.train(splits, config).predictor for config in (single, several))
    first, second = members(two.network)
    assert not isinstance(one.network, Ensemble)
    assert equal(first, one.network)
    begun = [name for name, _ in first.named_parameters() if name.endswith(".weight")]
    states = first.state_dict(), second.state_dict()
    assert all(not torch.equal(states[0][name], states[1][name]) for name in begun if "norm" not in name)
    encoder = each_of(two)[0].encoder
    assert (one.encoder is None) == (encoder is None)
    assert one.encoder is None or equal(one.encoder, encoder)  # type: ignore[arg-type]


def test_one_network_is_its_own_mean() -> None:
    single = Predictor(None, nn.Linear(2, 1), Shapes(2, 0, missing=False))
    assert mean_of([single]) is single
    assert members(single.network) == (single.network,)


def test_ensembles_of_neighbouring_seeds_have_no_member_in_common() -> None:
    seeds = [member_seed(seed, member) for seed in range(20) for member in range(20)]
    assert len(set(seeds)) == len(seeds)
    assert [member_seed(seed, 0) for seed in range(20)] == list(range(20))


def test_an_encoding_that_begins_anew_keeps_its_form_and_rate() -> None:
    layer = PerFeature((3, 2), 1, torch.Generator().manual_seed(0), rate_scale=7.0)
    fresh = begun(layer, torch.Generator().manual_seed(1))
    assert isinstance(fresh, PerFeature)
    assert fresh.rate_scale == 7.0
    assert not torch.equal(fresh.weight, layer.weight)
    assert (fresh.weight[1, 2] == 0).all()
    assert equal(begun(layer, torch.Generator().manual_seed(0)), layer)


class _StoppedError(Exception):
    pass


def stopped_at(member: int, number: int, config: RunConfig) -> None:
    def observe(epoch: Epoch) -> None:
        if (epoch.member, epoch.number) == (member, number):
            raise _StoppedError

    with pytest.raises(_StoppedError):
        pipeline.run(config, observe)


@pytest.fixture
def epochs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the epochs that are trained, not taken from a checkpoint; one is written after each."""
    monkeypatch.setattr(sys.modules["training.loop.fit"], "CHECKPOINT_SECONDS", 0.0)
    seen: list[int] = []
    plain = Stepper.epoch

    def counted(self: Stepper, *given: object) -> object:
        seen.append(0)
        return plain(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Stepper, "epoch", counted)
    return seen


@pytest.mark.parametrize(
    ("member", "number"), [(1, 2), (1, EPOCHS), (2, 1), (3, EPOCHS)], ids=lambda value: str(value)
)
def test_a_stopped_run_goes_on_in_the_member_where_it_stopped(
    records: Made, tmp_path: Path, epochs: list[int], member: int, number: int
) -> None:
    config = replace(records.config, models_dir=tmp_path)
    stopped_at(member, number, config)
    trained = len(epochs)
    assert trained == (member - 1) * EPOCHS + number
    splits = load(config.data, config.seed)
    resumed = pipeline.train(splits, replace(config, resume=True), checkpoint=config.checkpoint)
    assert len(epochs) == MEMBERS * EPOCHS
    assert equal(resumed.predictor, records.trained.predictor)
    assert resumed.metrics == records.trained.metrics


def test_a_killed_run_ends_with_the_same_file_and_leaves_nothing_behind(
    records: Made, folder: Path, tmp_path: Path, epochs: list[int]
) -> None:
    command = [sys.executable, "-m", "tests.training.ensembles", str(folder / "table.csv"), str(tmp_path)]
    killed = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
    assert killed.stdout is not None
    for line in killed.stdout:
        if line.split() == ["3", "1"]:
            killed.send_signal(signal.SIGKILL)
            break
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    states = sorted(path.name for path in (tmp_path / ".training").rglob("*.checkpoint"))
    assert states == ["2.checkpoint", "3.checkpoint", "m.checkpoint"]
    outcome = pipeline.run(replace(records.config, models_dir=tmp_path, resume=True))
    assert 1 <= len(epochs) < EPOCHS
    assert onnx.load(outcome.path).graph == records.graph
    assert outcome.metadata.golden == records.outcome.metadata.golden
    assert list((tmp_path / ".training").iterdir()) == []


def test_a_run_that_begins_again_forgets_the_members_of_another(
    records: Made, tmp_path: Path, epochs: list[int]
) -> None:
    """They would be refused when it is resumed, after the members before them were trained."""
    stopped_at(2, 1, replace(records.config, models_dir=tmp_path))
    assert (tmp_path / ".training" / "m.members").exists()
    stopped_at(1, 1, replace(records.config, models_dir=tmp_path, loop={"epochs": 2, "batch_size": 32}))
    assert not (tmp_path / ".training" / "m.members").exists()


def test_one_temperature_suits_the_mean_of_the_members() -> None:
    draws = np.random.default_rng(0)
    y = draws.integers(3, size=400)
    evidence = np.eye(3)[y] + draws.normal(0, 0.8, (400, 3))
    logits = (5 * (evidence + draws.normal(0, 0.5, (4, 400, 3)))).astype(np.float32)

    def loss(temperature: float) -> float:
        scaled = np.exp(logits.astype(np.float64) / temperature)
        mean = (scaled / scaled.sum(axis=2, keepdims=True)).mean(axis=0)
        return float(-np.log(mean[np.arange(400), y]).mean())

    together = calibration.temperature(logits, y)
    assert loss(together) < min(loss(together * 1.02), loss(together / 1.02))
    assert calibration.log_loss(logits / together, y) == pytest.approx(loss(together))
    alone = [calibration.temperature(member, y) for member in logits]
    assert 1 < together < min(alone)
    assert calibration.temperature(logits[:1], y) == alone[0]


def test_progress_shows_which_member_trains() -> None:
    screen = io.StringIO()
    with TrainingProgress(Console(file=screen, force_terminal=True, width=120)) as progress:
        for member in (1, 2, 3):
            for number in (1, 2):
                progress.epoch(Epoch(number, 4, 0.5, 0.5, 0.9, 0.1, member=member, members=3))
    assert "member 1 of 3  loss" in screen.getvalue()
    assert "member 3 of 3  loss" in screen.getvalue()


def test_an_ensemble_of_none_is_refused() -> None:
    with pytest.raises(ConfigError, match="--ensemble is 0, expected at least 1"):
        replace(runs.config(), ensemble=0)


def test_members_have_waves_of_their_own_over_places_and_the_file_holds_them(folder: Path) -> None:
    numbers, y = regions()
    frame = pl.DataFrame({"a": numbers[:, 0], "longitude": numbers[:, 1], "latitude": numbers[:, 2], "y": y})
    frame.write_csv(folder / "places.csv")
    config = ensemble(folder / "places.csv", folder, members=2, bins=8, encoding="bins-relu")
    outcome = pipeline.run(replace(config, loop={"epochs": 2}, report=False))
    graph = onnx.load(outcome.path).graph
    waves = [tensor.raw_data for tensor in graph.initializer if list(tensor.dims) == [2, 2 * FREQUENCIES]]
    assert len(set(waves)) == 3  # of each member, and both the columns that they are of
    assert outcome.metadata.certificate is not None
    assert outcome.metadata.hyperparameters["pairs"] == 2
    assert outcome.metadata.hyperparameters["places"] == "longitude × latitude"
