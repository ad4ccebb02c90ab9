"""The written file, reopened, against the unfolded model in float64.

Three things are compared: the outputs on rows that training never saw, the labels, and each stored parameter
with the exact fold. The exact fold is computed here again, from the layers' own formulas in extended
precision; it shares no code with `training.folding`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from service.metadata import Certificate, GoldenRows, RowError, row_errors
from service.session import Session, Tuning
from training.ensemble import members
from training.errors import CertificateError
from training.held_out import HeldOut
from training.parameters import Extended, exact_layers, stored_layers
from training.predictor import Predictor, output_task

EPS = float(np.finfo(np.float32).eps)

KEEP_RATIO = 1.10
"""Folding a shift may not cost more than a tenth of the error that float32 makes anyway: else it is kept."""

MAX_RATIO = 1.10
"""How much larger the mean error may be than float32's own, or than ε, beyond what chance explains; an error
below ε is that of the answer's own rounding."""

DEVIATIONS = 3.0
"""What chance explains, in standard deviations of the ratio."""

UNIT_DEVIATION = 0.3
"""All parameters are the nearest float32 of the exact fold, so what is left is chance: all rows share the
roundings of few weights. Over networks of n units its deviation was 0.12/√n to 0.28/√n
for n of 12 and of 96."""

MAX_ULP = 0.5 + 2.0**-10
"""Half a unit is the nearest float32; the slack is for the extended precision of the comparison itself."""

GOLDEN_ROWS = 8


@dataclass(frozen=True, eq=False)
class Truth:
    """What the unfolded model answers for the held-out rows.

    Attributes:
        exact: by PyTorch in float64.
        float32: by onnxruntime in float32, node for node as written: the same runtime as the folded file,
            so that the two errors differ by the fold alone.
    """

    predictor: Predictor
    held_out: HeldOut
    exact: NDArray[np.float64]
    float32: NDArray[np.float32]

    @classmethod
    def of(cls, predictor: Predictor, held_out: HeldOut, unfolded_file: Path) -> Truth:
        """Run the predictor both ways."""
        inputs = [t.double() if t.is_floating_point() else t for t in held_out.tensors()]
        with torch.no_grad():
            exact = copy.deepcopy(predictor).double()(*inputs).numpy()
        plain = run_file(unfolded_file, held_out.arrays(texts=False), optimise=False)
        return cls(predictor, held_out, exact, plain)

    @property
    def ratio_deviation(self) -> float:
        """Of the ratio of two mean errors that differ by chance alone: by the roundings that all rows share,
        and by those of each row, which rows with the same answer have in common."""
        _, different = np.unique(self.exact, axis=0, return_index=True)
        errors = _errors(self.float32, self.exact)[different]
        mean = float(errors.mean())
        of_rows = 2 * float(errors.var()) / (len(errors) * mean**2) if 0 < mean < math.inf else 0.0
        return math.sqrt(UNIT_DEVIATION**2 / _units(self.predictor) + of_rows)


def certify(path: Path, truth: Truth) -> Certificate:
    """Compare the file with the unfolded predictor; `check` holds the result to its limits.

    Raises:
        CertificateError: the file's linear layers are not those of the model.
    """
    outputs = run_file(path, truth.held_out.arrays(texts=True))
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
        ratio_of_means=_ratio(_mean_error(outputs, truth.exact), _mean_error(truth.float32, truth.exact)),
        ratio_deviation=truth.ratio_deviation,
        label_agreement=agreement,
        ties=ties,
        parameters=parameters,
        parameters_max_ulp=ulp,
    )


def check(certificate: Certificate) -> None:
    """Hold a certificate to its limits.

    Raises:
        CertificateError: the file's error is more than `MAX_RATIO` times that of float32, or ε, and more
            than chance explains; a label differs beyond ties; or a parameter is not the float32 nearest to
            the exact fold.
    """
    faults = []
    if costs_too_much(certificate):
        ratio, limit = certificate.ratio_of_means, max_ratio(certificate)
        faults.append(f"its mean error is {ratio:.3f} of float32's, limit {limit:.3f}")
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


def costs_too_much(certificate: Certificate) -> bool:
    """Whether the file errs more than a fold can explain."""
    error, limit = certificate.folded.mean, max_ratio(certificate)
    explained = np.isfinite(error) and certificate.ratio_of_means <= limit
    return not (explained or error <= limit * EPS)


def max_ratio(certificate: Certificate) -> float:
    """Beyond this the file errs more than float32, and more than chance explains."""
    return MAX_RATIO + DEVIATIONS * certificate.ratio_deviation


def golden_rows(path: Path, held_out: HeldOut, certificate: Certificate) -> GoldenRows:
    """A few rows with the file's own outputs, for the server to reproduce before it serves the file."""
    count = min(GOLDEN_ROWS, held_out.genuine)
    outputs = run_file(path, [array[:count] for array in held_out.arrays(texts=True)])
    # Other processors order their sums differently; sixteen times the worst error here covers that.
    tolerance = max(64 * EPS, 16 * certificate.folded.max)
    inputs = tuple(tuple(row) for row in held_out.records(count))
    return GoldenRows(inputs=inputs, outputs=outputs.tolist(), tolerance=tolerance)


def run_file(path: Path, arrays: Sequence[NDArray[Any]], *, optimise: bool = True) -> NDArray[np.float32]:
    """What onnxruntime answers from a file on the CPU, given an array for each of its inputs."""
    session = Session(path, tuning=Tuning(optimise=optimise))
    feeds = {spec.name: array for spec, array in zip(session.inputs, arrays, strict=True)}
    output: NDArray[np.float32] = session.run(feeds)[0]
    return output


def _mean_error(outputs: NDArray[np.floating], truth: NDArray[np.float64]) -> float:
    return float(_errors(outputs, truth).mean())


def _errors(outputs: NDArray[np.floating], truth: NDArray[np.float64]) -> NDArray[np.float64]:
    """max|y − t| / max|t| of each row, where no answer counts as smaller than the median one.

    Around 0 the quotient has no mean: of a target of either sign a few answers would decide alone.

    Shape: (rows, outputs) twice → (rows,).
    """
    size = np.abs(truth).max(axis=1)
    difference = np.abs(outputs.astype(np.float64) - truth).max(axis=1)
    least = max(float(np.median(size)), float(np.finfo(np.float32).tiny))
    errors: NDArray[np.float64] = difference / np.maximum(size, least)
    return errors


def _ratio(folded: float, unfolded: float) -> float:
    """Defined also when a model is exact."""
    least = float(np.finfo(np.float32).tiny)
    return max(folded, least) / max(unfolded, least)


def _units(predictor: Predictor) -> int:
    """How many sums, or terms of a sum, the narrowest linear layer has; of all members together."""
    found = [
        [max(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]
        for network in members(predictor.network)
    ]
    return sum(min(widths, default=1) for widths in found)


def _compare_labels(
    outputs: NDArray[np.float32], truth: NDArray[np.float64], float32_error: float
) -> tuple[float, int]:
    """The share of equal labels, ties aside; a tie is closer than twice what float32 errs unfolded."""
    best = np.sort(truth, axis=1)[:, -2:]
    tied = best[:, 1] - best[:, 0] <= 2 * max(float32_error, EPS)
    equal = outputs.argmax(axis=1) == truth.argmax(axis=1)
    return float((equal | tied).mean()), int(tied.sum())


def _compare_parameters(path: Path, predictor: Predictor) -> tuple[int, float]:
    """How many parameters the file stores in linear layers, and the largest distance from the exact fold."""
    stored = stored_layers(onnx.load(path).graph)
    exact = list(exact_layers(predictor.network, stored.centres))
    if [e.shapes for e in exact] != [s.shapes for s in stored.layers]:
        raise CertificateError("the file's linear layers are not those of the model, nothing was published")
    pairs = [pair for e, s in zip(exact, stored.layers, strict=True) for pair in e.beside(s)]
    return sum(value.size for _, value in pairs), max(_ulp_distance(e, s) for e, s in pairs)


def _ulp_distance(exact: Extended, stored: NDArray[np.float32]) -> float:
    """The largest |stored − exact| in units in the last place; flushed subnormals count as exact."""
    flushed = (stored == 0) & (np.abs(exact) < np.finfo(np.float32).tiny)
    unit = np.spacing(np.abs(exact).astype(np.float32)).astype(np.longdouble)
    distance = np.where(flushed, 0, np.abs(stored - exact) / unit)
    return float(distance.max())
