"""The certificate must pass what is right and must not pass what is wrong."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from torch import nn

from service.metadata import Certificate, RowError, row_errors
from tests.training.runs import Dataset, held_out, predictor, trained
from training.certify import (
    EPS,
    GOLDEN_ROWS,
    Truth,
    _compare_labels,
    _mean_error,
    certify,
    check,
    golden_rows,
)
from training.codebook import Codebook
from training.errors import CertificateError
from training.export import export, export_folded
from training.held_out import ROWS
from training.pipeline import fold_completely
from training.predictor import Predictor, Shapes


def sealed(folder: Path, dataset: Dataset, amp_limit: float = 0.0) -> tuple[Path, Truth]:
    """A folded file with the truth about it."""
    task = "classification" if dataset == "wine" else "regression"
    unfolded, path = folder / "unfolded.onnx", folder / "model.onnx"
    onnx.save(export(predictor(dataset), task), unfolded)  # type: ignore[arg-type]
    folded = fold_completely(predictor(dataset), amp_limit)
    onnx.save(export_folded(predictor(dataset), folded, Codebook(())), path)
    return path, Truth.of(predictor(dataset), held_out(dataset), unfolded)


@pytest.mark.parametrize("dataset", ["wine", "diabetes"])
def test_a_sound_fold_is_certified(tmp_path: Path, dataset: Dataset) -> None:
    certificate = certify(*sealed(tmp_path, dataset))
    check(certificate)
    assert certificate.rows == ROWS
    assert certificate.held_out_rows == len(trained(dataset)[0].test)
    assert 0 < certificate.folded.mean < 8 * EPS
    # No answer is far below the median one here, so that both ways to take the mean agree.
    plain = certificate.folded.mean / certificate.unfolded_float32.mean
    assert certificate.ratio_of_means == pytest.approx(plain, rel=0.1)
    assert certificate.parameters_max_ulp <= 0.5
    assert certificate.label_agreement == (1.0 if dataset == "wine" else None)


@pytest.mark.parametrize("amp_limit", [0.0, 1e9])
def test_parameters_are_the_nearest_float32_with_and_without_a_kept_shift(
    tmp_path: Path, amp_limit: float
) -> None:
    assert certify(*sealed(tmp_path, "wine", amp_limit)).parameters_max_ulp <= 0.5


def change(path: Path, name: str, by: float) -> None:
    """Move the first number of an initialiser by some units in the last place."""
    model = onnx.load(path)
    tensor = next(tensor for tensor in model.graph.initializer if name in tensor.name)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += by * np.spacing(values.flat[0])
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    onnx.save(model, path)


def test_a_parameter_one_unit_off_is_found(tmp_path: Path) -> None:
    path, truth = sealed(tmp_path, "wine")
    change(path, "linear2.weight", 1)
    certificate = certify(path, truth)
    assert 0.5 < certificate.parameters_max_ulp <= 1.5
    with pytest.raises(CertificateError, match="ulp from the exact fold"):
        check(certificate)


def test_a_wrong_file_is_found_by_its_errors_and_labels(tmp_path: Path) -> None:
    path, truth = sealed(tmp_path, "wine")
    change(path, "head.bias", 2.0**22)
    with pytest.raises(CertificateError, match=r"mean error is .* of float32's.*labels differ beyond ties"):
        check(certify(path, truth))


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    _, truth = sealed(tmp_path, "wine")
    other = nn.Sequential(nn.Linear(13, 4), nn.ReLU(), nn.Linear(4, 3), nn.Softmax(dim=-1)).eval()
    path = tmp_path / "other.onnx"
    onnx.save(export(Predictor(None, other, Shapes(13, 0, False)), "classification"), path)
    with pytest.raises(CertificateError, match="linear layers are not those of the model"):
        certify(path, truth)


def certificate(**changes: object) -> Certificate:
    error = RowError(mean=EPS, max=EPS)
    fields: dict[str, object] = {
        "rows": 10, "held_out_rows": 10, "folded": error, "unfolded_float32": error, "ratio_of_means": 1.0,
        "label_agreement": 1.0, "ties": 0, "parameters": 5, "parameters_max_ulp": 0.5,
    }  # fmt: skip
    return Certificate.model_validate(fields | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {
            "folded": RowError(mean=3.1 * EPS, max=9 * EPS),
            "unfolded_float32": RowError(mean=2 * EPS, max=EPS),
            "ratio_of_means": 1.55,
        },
        {"folded": RowError(mean=1.6 * EPS, max=EPS), "ratio_of_means": 1.6},
        {"label_agreement": 0.99},
        {"parameters_max_ulp": 0.51},
    ],
    ids=["half-as-much-again", "more-than-epsilon", "labels", "parameters"],
)
def test_each_limit_stops_publication(changes: dict[str, object]) -> None:
    check(certificate())
    with pytest.raises(CertificateError, match="nothing was published"):
        check(certificate(**changes))


def test_an_error_that_is_no_number_stops_publication() -> None:
    with pytest.raises(CertificateError):
        check(certificate(folded=RowError(mean=float("nan"), max=EPS)))


def test_which_of_two_errors_below_epsilon_is_larger_does_not_count() -> None:
    tiny = RowError(mean=EPS / 4, max=EPS)
    check(certificate(folded=RowError(mean=EPS / 2, max=EPS), unfolded_float32=tiny, ratio_of_means=2.0))


def test_answers_near_0_do_not_decide() -> None:
    truth = np.linspace(-1, 1, 1001)[:, None]
    truth[500] = 1e-9
    errors = np.full_like(truth, EPS)
    worse = errors.copy()
    worse[500] = 9 * EPS
    plain, ours = (_mean_error(truth + error, truth) for error in (errors, worse))
    assert row_errors(truth + worse, truth).mean() > 8 * row_errors(truth + errors, truth).mean()
    assert 1 < ours / plain < 1.02


def test_labels_may_differ_only_where_float32_cannot_tell_the_classes_apart() -> None:
    truth = np.array([[0.5, 0.5 + 1e-9], [0.6, 0.4]])
    outputs = np.array([[0.5 + 1e-9, 0.5], [0.6, 0.4]], np.float64).astype(np.float32)
    assert _compare_labels(outputs, truth, 1e-7) == (1.0, 1)
    swapped = outputs[:, ::-1]
    assert _compare_labels(swapped, truth, 1e-7) == (0.5, 1)


def test_golden_rows_are_held_out_rows_with_the_files_own_outputs(tmp_path: Path) -> None:
    path, truth = sealed(tmp_path, "wine")
    golden = golden_rows(path, truth.held_out, certify(path, truth))
    assert len(golden.inputs) == GOLDEN_ROWS
    assert np.array(golden.inputs, np.float32).tolist() == trained()[0].test.numeric[:GOLDEN_ROWS].tolist()
    assert np.array(golden.outputs).sum(1) == pytest.approx(1)
    assert golden.tolerance < 1e-4
