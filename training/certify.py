"""The written file, reopened, against the unfolded model in float64.

Three things are compared: the outputs on rows that training never saw, the labels, and each stored parameter
with the exact fold. The exact fold is computed here again, from the layers' own formulas in extended
precision; it shares no code with `training.folding`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from service.metadata import Certificate, GoldenRows, RowError, row_errors
from service.session import Session, Tuning
from training.errors import CertificateError
from training.model import BatchNorm, Standardiser, TargetScale, output_task

EPS = float(np.finfo(np.float32).eps)

MAX_RATIO = 1.10
"""Folding may not cost more than a tenth of the error that float32 makes anyway."""

MAX_ULP = 0.5 + 2.0**-10
"""Half a unit is the nearest float32; the slack is for the extended precision of the comparison itself."""

ROWS = 4096
"""With fewer held-out rows than this, points between them are added: means over a few rows are noise."""

MOST_ROWS = 16384
GOLDEN_ROWS = 8


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The rows a certificate is computed on.

    Shape: rows (rows, features) in float32, the first `genuine` of them from the data set.
    """

    rows: NDArray[np.float32]
    genuine: int

    @classmethod
    def of(cls, rows: NDArray[np.float32], seed: int) -> HeldOut:
        """The rows given, with points between pairs of them when they are few."""
        genuine = rows[:MOST_ROWS]
        missing = max(ROWS - len(genuine), 0)
        generator = np.random.default_rng(seed)
        first, second = genuine[generator.integers(0, len(genuine), (2, missing))]
        share = generator.random((missing, 1), dtype=np.float32)
        between = first * share + second * (1 - share)
        return cls(np.concatenate([genuine, between.astype(np.float32)]), len(genuine))


@dataclass(frozen=True, eq=False)
class Truth:
    """What the unfolded model answers for the held-out rows.

    Attributes:
        exact: by PyTorch in float64.
        float32: by onnxruntime in float32, node for node as written: the same runtime as the folded file,
            so that the two errors differ by the fold alone.
    """

    predictor: nn.Sequential
    held_out: HeldOut
    exact: NDArray[np.float64]
    float32: NDArray[np.float32]

    @classmethod
    def of(cls, predictor: nn.Sequential, held_out: HeldOut, unfolded_file: Path) -> Truth:
        """Run the predictor both ways."""
        with torch.no_grad():
            exact = copy.deepcopy(predictor).double()(torch.from_numpy(held_out.rows).double()).numpy()
        return cls(predictor, held_out, exact, run_file(unfolded_file, held_out.rows, optimise=False))


def certify(path: Path, truth: Truth) -> Certificate:
    """Compare the file with the unfolded predictor; `check` holds the result to its limits.

    Raises:
        CertificateError: the file's linear layers are not those of the model.
    """
    outputs = run_file(path, truth.held_out.rows)
    ours, plain = row_errors(outputs, truth.exact), row_errors(truth.float32, truth.exact)
    parameters, ulp = _compare_parameters(path, truth.predictor)
    agreement, ties = None, 0
    if output_task(truth.predictor) == "classification":
        float32_error = float(np.abs(truth.float32 - truth.exact).max())
        agreement, ties = _compare_labels(outputs, truth.exact, float32_error)
    return Certificate(
        rows=len(outputs),
        held_out_rows=truth.held_out.genuine,
        folded=RowError(mean=float(ours.mean()), max=float(ours.max())),
        unfolded_float32=RowError(mean=float(plain.mean()), max=float(plain.max())),
        ratio_of_means=_ratio(float(ours.mean()), float(plain.mean())),
        label_agreement=agreement,
        ties=ties,
        parameters=parameters,
        parameters_max_ulp=ulp,
    )


def check(certificate: Certificate) -> None:
    """Hold a certificate to its limits.

    Raises:
        CertificateError: the file's error is more than `MAX_RATIO` times that of float32, a label differs
            beyond ties, or a parameter is not the float32 nearest to the exact fold.
    """
    faults = []
    if not certificate.ratio_of_means <= MAX_RATIO:
        faults.append(f"its mean error is {certificate.ratio_of_means:.3f} of float32's, limit {MAX_RATIO}")
    if certificate.label_agreement is not None and certificate.label_agreement < 1.0:
        faults.append(f"{1 - certificate.label_agreement:.2%} of its labels differ beyond ties")
    if not certificate.parameters_max_ulp <= MAX_ULP:
        faults.append(
            f"a parameter is {certificate.parameters_max_ulp:.3f} ulp from the exact fold, limit 0.5"
        )
    if faults:
        raise CertificateError(
            f"the folded model is not certified, nothing was published: {'; '.join(faults)}"
        )


def golden_rows(path: Path, held_out: HeldOut, certificate: Certificate) -> GoldenRows:
    """A few rows with the file's own outputs, for the server to reproduce before it serves the file."""
    inputs = held_out.rows[: min(GOLDEN_ROWS, held_out.genuine)]
    outputs = run_file(path, inputs)
    # Other processors order their sums differently; sixteen times the worst error here covers that.
    tolerance = max(64 * EPS, 16 * certificate.folded.max)
    return GoldenRows(inputs=inputs.tolist(), outputs=outputs.tolist(), tolerance=tolerance)


def run_file(path: Path, rows: NDArray[np.float32], *, optimise: bool = True) -> NDArray[np.float32]:
    """What onnxruntime answers from a file on the CPU."""
    session = Session(path, tuning=Tuning(optimise=optimise))
    output: NDArray[np.float32] = session.run({session.inputs[0].name: rows})[0]
    return output


def _ratio(folded: float, unfolded: float) -> float:
    """Defined also when a model is exact."""
    least = float(np.finfo(np.float32).tiny)
    return max(folded, least) / max(unfolded, least)


def _compare_labels(
    outputs: NDArray[np.float32], truth: NDArray[np.float64], float32_error: float
) -> tuple[float, int]:
    """The share of equal labels, ties aside; a tie is closer than twice what float32 errs unfolded."""
    best = np.sort(truth, axis=1)[:, -2:]
    tied = best[:, 1] - best[:, 0] <= 2 * max(float32_error, EPS)
    equal = outputs.argmax(axis=1) == truth.argmax(axis=1)
    return float((equal | tied).mean()), int(tied.sum())


def _compare_parameters(path: Path, predictor: nn.Sequential) -> tuple[int, float]:
    """How many parameters the file stores in linear layers, and the largest distance from the exact fold."""
    graph = onnx.load(path).graph
    exact = list(_exact_layers(predictor, _kept_shift(graph)))
    stored = list(_stored_layers(graph))
    if [w.shape for w, _ in exact] != [w.shape for w, _ in stored]:
        raise CertificateError("the file's linear layers are not those of the model, nothing was published")
    pairs = [pair for e, s in zip(exact, stored, strict=True) for pair in zip(e, s, strict=True)]
    return sum(value.size for _, value in pairs), max(_ulp_distance(e, s) for e, s in pairs)


_Extended = NDArray[np.longdouble]


def _exact_layers(
    predictor: nn.Sequential, centre: _Extended | None
) -> Iterator[tuple[_Extended, _Extended]]:
    """Weight and bias of each linear layer with the normalisations around it, straight from the formulas.

    Each layer acts on a pair (A, c) that stands for A·h + c, h being what the last non-linearity gave, or
    the features less `centre` at the front.
    """
    one, zero = np.ones((), np.longdouble), np.zeros((), np.longdouble)
    A: _Extended | None = None
    diagonal: _Extended = one
    c: _Extended = zero if centre is None else centre
    for layer in predictor:
        if isinstance(layer, nn.Linear):
            weight = _extended(layer.weight)
            bias = _extended(layer.bias) if layer.bias is not None else zero
            A, c = weight * diagonal, (weight * c).sum(axis=1) + bias
        elif isinstance(layer, Standardiser):
            diagonal, c = (
                diagonal / _extended(layer.scale),
                (c - _extended(layer.mean)) / _extended(layer.scale),
            )
        elif isinstance(layer, BatchNorm) and A is not None:
            root = np.sqrt(_extended(layer.running_var) + np.longdouble(layer.eps))
            gamma = _extended(layer.weight)
            A = A * (gamma / root)[:, None]
            c = gamma * (c - _extended(layer.running_mean)) / root + _extended(layer.bias)
        elif isinstance(layer, TargetScale) and A is not None:
            A, c = A * _extended(layer.scale)[:, None], c * _extended(layer.scale) + _extended(layer.mean)
        elif not isinstance(layer, nn.Dropout) and A is not None:
            yield A, c
            A, diagonal, c = None, one, zero
    if A is not None:
        yield A, c


def _kept_shift(graph: onnx.GraphProto) -> _Extended | None:
    """What the file subtracts from the features before anything else, if the fold kept a shift."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    first = graph.node[0]
    if first.op_type != "Sub":
        return None
    return numpy_helper.to_array(tensors[first.input[1]]).astype(np.longdouble)


def _stored_layers(
    graph: onnx.GraphProto,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Weight (out, in) and bias (out,) of each Gemm in the graph."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Gemm":
            weight, bias = (numpy_helper.to_array(tensors[name]) for name in node.input[1:3])
            transposed = any(a.name == "transB" and a.i == 1 for a in node.attribute)
            yield (weight if transposed else weight.T), bias


def _ulp_distance(exact: _Extended, stored: NDArray[np.float32]) -> float:
    """The largest |stored − exact| in units in the last place; flushed subnormals count as exact."""
    flushed = (stored == 0) & (np.abs(exact) < np.finfo(np.float32).tiny)
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.longdouble)
    distance = np.where(flushed, 0, np.abs(stored - exact) / unit)
    return float(distance.max())


def _extended(tensor: Tensor) -> _Extended:
    return np.asarray(tensor.detach().double().numpy(), dtype=np.longdouble)
