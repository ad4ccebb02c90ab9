"""The certificate must pass what is right and must not pass what is wrong."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
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
    _ratio,
    certify,
    check,
    costs_too_much,
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
            "folded": RowError(mean=2.3 * EPS, max=9 * EPS),
            "unfolded_float32": RowError(mean=2 * EPS, max=EPS),
            "ratio_of_means": 1.15,
        },
        {"folded": RowError(mean=1.2 * EPS, max=EPS), "ratio_of_means": 1.2},
        {"folded": RowError(mean=1.2 * EPS, max=EPS), "ratio_of_means": 1.2, "ratio_deviation": 0.03},
        {"label_agreement": 0.99},
        {"parameters_max_ulp": 0.51},
    ],
    ids=["a-tenth-more", "more-than-epsilon", "more-than-chance", "labels", "parameters"],
)
def test_each_limit_stops_publication(changes: dict[str, object]) -> None:
    check(certificate())
    with pytest.raises(CertificateError, match="nothing was published"):
        check(certificate(**changes))


def random_network(inputs: int, width: int, seed: int) -> Predictor:
    """Two hidden layers with the statistics of a trained network, whatever they may be."""
    torch.manual_seed(seed)
    norms = [nn.BatchNorm1d(width), nn.BatchNorm1d(width)]
    for norm in norms:
        for values, low, high in (
            *((norm.running_mean, -1, 1), (norm.running_var, 0.2, 4)),
            *((norm.weight, 0.5, 2), (norm.bias, -1, 1)),
        ):
            nn.init.uniform_(values, low, high)  # type: ignore[arg-type]
    layers = [nn.Linear(inputs, width, bias=False), norms[0], nn.ReLU(), nn.Linear(width, width, bias=False)]
    network = nn.Sequential(*layers, norms[1], nn.ReLU(), nn.Linear(width, 3))
    return Predictor(None, network.eval(), Shapes(inputs, 0, False)).eval()


def certificate_of(own: Predictor, folded: nn.Module) -> Certificate:
    """Of a fold as it is, in PyTorch's float32 before and after."""
    held = held_out("wine")
    with torch.no_grad():
        exact = copy.deepcopy(own).double()(*(x.double() for x in held.tensors())).numpy()
        plain, ours = own(*held.tensors()).numpy(), own.with_network(folded)(*held.tensors()).numpy()
    truth = Truth(own, held, exact, plain)
    errors = [row_errors(outputs, exact) for outputs in (ours, plain)]
    folded_error, plain_error = (RowError(mean=e.mean(), max=e.max()) for e in errors)
    return certificate(
        folded=folded_error,
        unfolded_float32=plain_error,
        ratio_of_means=_ratio(_mean_error(ours, exact), _mean_error(plain, exact)),
        ratio_deviation=truth.ratio_deviation,
    )


@given(st.integers(0, 2**31), st.sampled_from([4, 12, 48]))
@settings(max_examples=6, deadline=None, derandomize=True)
def test_chance_refuses_no_sound_fold(seed: int, width: int) -> None:
    own = random_network(13, width, seed)
    check(certificate_of(own, fold_completely(own, 0.0).module))


@given(st.integers(0, 2**31))
@settings(max_examples=4, deadline=None, derandomize=True)
def test_a_fold_that_errs_a_fifth_more_is_refused_where_that_is_no_chance(seed: int) -> None:
    for width, refused in ((384, True), (12, False)):
        own = random_network(13, width, seed)
        found = certificate_of(own, own.network)
        worse = RowError(mean=1.2 * max(found.folded.mean, EPS), max=found.folded.max)
        changes = {"folded": worse, "ratio_of_means": 1.2}
        assert costs_too_much(found.model_copy(update=changes)) == refused


def test_few_different_rows_say_less_than_many(tmp_path: Path) -> None:
    _, truth = sealed(tmp_path, "wine")
    few = replace(truth, exact=truth.exact[:12].repeat(400, 0), float32=truth.float32[:12].repeat(400, 0))
    assert few.ratio_deviation > 2 * truth.ratio_deviation
    assert truth.ratio_deviation < 0.3


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
