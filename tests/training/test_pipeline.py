import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.metadata import Image, read_metadata
from service.session import Session
from tests.training import runs
from tests.training.runs import config
from training import certify, pipeline
from training.data import load
from training.description import Subject
from training.errors import CertificateError, DataError
from training.folding import Affine, FoldError, amplification, into_next, into_previous
from training.loop import Epoch


def test_a_run_publishes_a_file_that_says_everything_about_itself(tmp_path: Path) -> None:
    seen: list[Epoch] = []
    outcome = pipeline.run(config("wine", tmp_path), seen.append)
    assert outcome.path == tmp_path / "wine" / "1" / "model.onnx"
    session = Session(outcome.path)
    metadata = read_metadata(session.properties)
    assert metadata == outcome.metadata
    assert metadata is not None
    assert metadata.golden is not None
    assert metadata.certificate is not None
    assert metadata.classes == ("class_0", "class_1", "class_2")
    assert metadata.epsilon == 1e-3
    kinds = ("accuracy", "log_loss", "calibration_error")
    names = {f"{rows}_{kind}" for rows in ("validation", "test") for kind in kinds}
    assert set(metadata.metrics) == names | {"temperature"}
    assert {"torch", "onnx", "onnxruntime"} <= set(metadata.provenance.versions)
    assert [entry.layer for entry in metadata.folding.entries] == ["standardiser", "norm1", "norm2"]
    before = {layer.owner: layer.kind for layer in metadata.folding.before or ()}
    assert before["norm1"] == before["norm2"] == "BatchNormalization"
    assert before["standardiser"] == "Sub/Div"
    assert len(metadata.features) == 13
    assert metadata.image is None
    assert all(feature.minimum < feature.maximum for feature in metadata.features)
    assert len(seen) == 5


def test_a_regression_reports_errors_in_the_targets_unit(tmp_path: Path) -> None:
    outcome = pipeline.run(config("diabetes", tmp_path))
    assert outcome.metadata.classes is None
    assert 40 < outcome.metadata.metrics["test_rmse"] < 200
    layers = [entry.layer for entry in outcome.metadata.folding.entries]
    assert layers == ["standardiser", "norm1", "norm2", "target_scale"]
    output = Session(outcome.path).run({"features": np.array(outcome.metadata.golden.inputs, np.float32)})  # type: ignore[union-attr]
    assert output[0].tolist() == [list(row) for row in outcome.metadata.golden.outputs]  # type: ignore[union-attr]


def test_a_file_of_pixels_says_how_they_lie(tmp_path: Path) -> None:
    splits = load(config("digits", tmp_path).data, seed=0)
    assert Subject.of(splits).image == Image(width=8, height=8)


def test_a_picture_is_what_was_said_to_be_one(tmp_path: Path) -> None:
    data = config("wine", tmp_path).data
    assert Subject.of(load(data, seed=0)).image is None
    splits = load(replace(data, image=(13, 1)), seed=0)
    assert Subject.of(splits).image == Image(width=13, height=1)
    with pytest.raises(DataError, match="13 features, 13 of them numbers, are no picture of 4x4 pixels"):
        load(replace(data, image=(4, 4)), seed=0)


def test_the_same_seed_makes_the_same_graph(tmp_path: Path) -> None:
    one, two = (pipeline.run(config("wine", tmp_path)) for _ in range(2))
    assert one.metadata.golden == two.metadata.golden
    assert two.path.parent.name == "2"


def test_a_run_without_batch_norm_still_folds_its_standardiser(tmp_path: Path) -> None:
    outcome = pipeline.run(config("wine", tmp_path, batch_norm=False))
    assert outcome.metadata.epsilon is None
    assert [entry.layer for entry in outcome.metadata.folding.entries] == ["standardiser"]


def test_a_shift_that_costs_more_than_the_certificate_allows_is_kept(tmp_path: Path) -> None:
    """Wine's features have means of several deviations: the amp rule allows the fold, the ratio does not."""
    outcome = pipeline.run(config("wine", tmp_path))
    entry = outcome.metadata.folding.entries[0]
    assert entry.amp is not None
    assert entry.amp <= 32
    assert entry.direction == "split"
    assert outcome.metadata.certificate is not None
    assert outcome.metadata.certificate.ratio_of_means <= certify.KEEP_RATIO


def test_an_uncertified_model_is_never_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certify, "MAX_RATIO", 0.01)
    with pytest.raises(CertificateError, match="nothing was published"):
        pipeline.run(config("wine", tmp_path))
    assert list((tmp_path / "wine").iterdir()) == []


@pytest.mark.parametrize("rows", [3, 4, 7, 12])
def test_the_smallest_tables_train_and_publish(tmp_path: Path, rows: int) -> None:
    from training.config import DataConfig, RunConfig

    table = tmp_path / "tiny.csv"
    table.write_text("a,b,y\n" + "".join(f"{i},7,{'uv'[i % 2]}\n" for i in range(rows)))
    run = RunConfig(DataConfig(table, "y"), "tiny", {"hidden": (4,)}, {"epochs": 2}, tmp_path / "models")
    outcome = pipeline.run(run)
    assert outcome.metadata.provenance.training_rows >= 2
    assert outcome.metadata.certificate is not None


def test_a_normalisation_that_cannot_be_folded_stops_the_run_with_its_reason() -> None:
    predictor = copy.deepcopy(runs.predictor("wine"))
    predictor.network.norm2.train()
    with pytest.raises(FoldError, match=r"norm2 cannot be folded \(training-mode\)"):
        pipeline.fold_completely(predictor)


def test_the_amp_of_the_standardisers_fold_is_that_of_its_own_statistics() -> None:
    predictor = runs.predictor("wine")
    entry = pipeline.fold_completely(predictor).report.entries[0]
    mean, scale = (getattr(predictor.network.standardiser, n).double().numpy() for n in ("mean", "scale"))
    names = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, centre, var = (getattr(predictor.network.norm1, n).detach().double().numpy() for n in names)
    before, norm = Affine.standardiser(mean, scale), Affine.batch_norm(gamma, beta, centre, var, 1e-3)
    weight, bias = into_previous(
        predictor.network.linear1.weight.detach().double().numpy(), np.zeros(16), norm
    )
    weight, bias = into_next(weight, bias, before)
    assert entry.amp == pytest.approx(amplification(weight, bias, mean, scale), rel=1e-6)
