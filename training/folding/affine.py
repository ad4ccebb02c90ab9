"""The algebra of folding: y = s·x + t per channel, moved into the linear layer before it or after it.

A normalisation in eval mode is affine. With running mean μ, variance σ² and learned γ, β
(Ioffe & Szegedy 2015, algorithm 2):

    y = γ · (x − μ) / √(σ² + ε) + β  =  s·x + t,     s = γ / √(σ² + ε),     t = β − s·μ

Everything here sees only arrays and works in float64. A result is rounded once, by `to_float32`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

AMP_LIMIT = 32.0
"""Above this `amplification` a shift is not folded forward: its error would exceed 35 float32 eps."""


@dataclass(frozen=True, eq=False)
class Affine:
    """y = scale·x + shift, one scale and one shift per channel.

    Shape: scale and shift are (channels,) in float64.

    Raises:
        ValueError: the two arrays are not vectors of one length.
    """

    scale: Array
    shift: Array

    def __post_init__(self) -> None:
        if self.scale.ndim != 1 or self.scale.shape != self.shift.shape:
            raise ValueError(f"scale {self.scale.shape} and shift {self.shift.shape} must be equal vectors")

    @classmethod
    def batch_norm(
        cls,
        gamma: ArrayLike,
        beta: ArrayLike,
        mean: ArrayLike,
        var: ArrayLike,
        eps: float,
    ) -> Affine:
        """Batch Normalization in eval mode; arguments broadcast, so one mean and variance may serve all."""
        gamma, beta, mean, var = np.broadcast_arrays(*(_float64(a) for a in (gamma, beta, mean, var)))
        scale = gamma / np.sqrt(var + np.float64(eps))
        return cls(scale, beta - scale * mean)

    @classmethod
    def standardiser(cls, mean: ArrayLike, scale: ArrayLike) -> Affine:
        """(x − mean) / scale."""
        mean, scale = np.broadcast_arrays(_float64(mean), _float64(scale))
        return cls(1.0 / scale, -mean / scale)

    @property
    def channels(self) -> int:
        """How many channels it acts on."""
        return len(self.scale)

    @property
    def is_finite(self) -> bool:
        """Whether every scale and shift is a finite number."""
        return bool(np.isfinite(self.scale).all() and np.isfinite(self.shift).all())

    def then(self, after: Affine) -> Affine:
        """`after` applied to the result of this one: s₂(s₁x + t₁) + t₂."""
        return Affine(after.scale * self.scale, after.scale * self.shift + after.shift)

    def centred(self, centre: Array) -> Affine:
        """What remains once x − centre has been taken: s·(x − c) + (t + s·c)."""
        return Affine(self.scale, self.shift + self.scale * centre)


def into_previous(weight: Array, bias: Array, after: Affine) -> tuple[Array, Array]:
    """Linear → affine.  y = s·(W x + b) + t, so W' = diag(s) W and b' = s·b + t.

    Shape: weight (out, in), bias (out,), `after` over out channels.
    """
    return after.scale[:, None] * weight, after.scale * bias + after.shift


def into_next(weight: Array, bias: Array, before: Affine) -> tuple[Array, Array]:
    """Affine → linear.  y = W (s·x + t) + b, so W' = W diag(s) and b' = b + W t.

    Shape: weight (out, in), bias (out,), `before` over in channels.
    """
    return weight * before.scale, bias + weight @ before.shift


def amplification(weight: Array, bias: Array, mean: Array, deviation: Array) -> float:
    """How much larger the sums inside W x + b are than its result: max|W||x| / max|y|, in the median row.

    (In the mean, a layer of one output would be judged by the rows in which it happens to be near 0.)

    Rounding errors scale with the sums, so the row error of a float32 layer is about 1.1 · amp · eps.
    Rows are drawn from what is known of the input, a mean and a standard deviation per channel, by a
    fixed generator: the same layer always gives the same figure.

    Shape: weight (out, in), bias (out,), mean and deviation (in,).
    """
    draws = np.random.default_rng(0).standard_normal((_AMP_ROWS, len(mean)))
    rows = mean + deviation * draws
    sums = (np.abs(rows) @ np.abs(weight).T + np.abs(bias)).max(axis=1)
    results = np.abs(rows @ weight.T + bias).max(axis=1)
    known = results > 0
    return float(np.median(sums[known] / results[known])) if known.any() else 1.0


def to_float32(values: Array) -> NDArray[np.float32]:
    """The nearest float32, with results below the smallest normal number flushed to zero.

    Subnormal parameters slow inference several-fold on CPUs and are worth at most 1.2e-38.

    Raises:
        OverflowError: a value lies outside the range of float32.
    """
    with np.errstate(over="ignore"):
        rounded = values.astype(np.float32)
    if not np.isfinite(rounded).all():
        raise OverflowError(f"{np.abs(values).max():.3g} is outside the range of float32")
    rounded[np.abs(rounded) < np.finfo(np.float32).tiny] = 0.0
    return rounded


_AMP_ROWS = 256


def _float64(values: ArrayLike) -> Array:
    """At least float64; a caller that computes with more keeps it."""
    array = np.asarray(values)
    return np.atleast_1d(array.astype(np.promote_types(array.dtype, np.float64), copy=False))
