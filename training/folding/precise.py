"""Numbers twice as long as float64, so that a folded parameter is rounded once and to the nearest.

A value is kept as hi + lo, two float64 that do not overlap (Dekker 1971; Knuth, TAOCP 2, 4.2.2): about 106
bits. A bias that cancels, b' = s·b + t with s·b ≈ −t, then still has far more bits than any stored dtype.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_SPLITTER = np.float64(2**27 + 1)


@dataclass(frozen=True, eq=False)
class Precise:
    """An array of hi + lo with |lo| ≤ ulp(hi) / 2; broadcasts like NumPy."""

    hi: Array
    lo: Array

    @classmethod
    def of(cls, values: ArrayLike) -> Precise:
        """Values that float64 holds exactly: every ONNX float type up to double."""
        hi = np.asarray(values).astype(np.float64)
        return cls(hi, np.zeros_like(hi))

    @property
    def shape(self) -> tuple[int, ...]:
        """As of an array."""
        return self.hi.shape

    @property
    def is_finite(self) -> bool:
        """Whether every value is a finite number."""
        return bool(np.isfinite(self.hi).all())

    @property
    def is_zero(self) -> bool:
        """Whether every value is exactly 0."""
        return not self.hi.any()

    @property
    def is_one(self) -> bool:
        """Whether every value is exactly 1."""
        return bool((self.hi == 1).all()) and not self.lo.any()

    @property
    def largest(self) -> float:
        """The largest magnitude; 0 for an empty array."""
        return float(np.abs(self.hi).max(initial=0.0))

    def map(self, move: Callable[[Array], Array]) -> Precise:
        """Apply what only moves elements: reshape, transpose, index, broadcast."""
        return Precise(move(self.hi), move(self.lo))

    def reshape(self, shape: Iterable[int]) -> Precise:
        """As of an array."""
        wanted = tuple(shape)
        return self.map(lambda part: part.reshape(wanted))

    def at(self, place: Any) -> Precise:
        """The part at an index."""
        return Precise(self.hi[place], self.lo[place])

    def __neg__(self) -> Precise:
        return Precise(-self.hi, -self.lo)

    def __add__(self, other: Precise) -> Precise:
        with np.errstate(all="ignore"):
            total, error = _two_sum(self.hi, other.hi)
            low, low_error = _two_sum(self.lo, other.lo)
            total, error = _fast_two_sum(total, error + low)
            return _normal(total, error + low_error)

    def __sub__(self, other: Precise) -> Precise:
        return self + -other

    def __mul__(self, other: Precise) -> Precise:
        with np.errstate(all="ignore"):
            product, error = _two_product(self.hi, other.hi)
            return _normal(product, error + (self.hi * other.lo + self.lo * other.hi))

    def __truediv__(self, other: Precise) -> Precise:
        """One Newton correction of the float64 quotient; division by 0 gives infinities as usual."""
        with np.errstate(all="ignore"):
            first = self.hi / other.hi
            rest = self - Precise.of(first) * other
            return _normal(first, rest.hi / other.hi)

    def sqrt(self) -> Precise:
        """One Newton correction of the float64 root."""
        with np.errstate(all="ignore"):
            root = np.sqrt(self.hi)
            rest = self - Precise.of(root) * Precise.of(root)
            correction = np.where(root > 0, rest.hi / (2 * root), 0.0)
            return _normal(root, correction)

    def sum(self, axes: Iterable[int]) -> Precise:
        """The sum over some axes, which vanish; a tree of exact additions."""
        result = self
        for axis in sorted(axes, reverse=True):
            result = result._sum_one(axis)
        return result

    def _sum_one(self, axis: int) -> Precise:
        rest = self.map(lambda part: np.moveaxis(part, axis, 0))
        while (count := rest.shape[0]) > 1:
            half = count // 2
            pairs = rest.at(slice(half)) + rest.at(slice(half, 2 * half))
            odd = rest.at(slice(2 * half, None))
            rest = Precise(np.concatenate([pairs.hi, odd.hi]), np.concatenate([pairs.lo, odd.lo]))
        if not rest.shape[0]:
            return Precise.of(np.zeros(rest.shape[1:]))
        return rest.at(0)

    def rounded(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """The nearest value of a floating dtype, ties to even; too large becomes infinite."""
        if dtype == np.float64:
            return self.hi
        odd = _odd(self.hi, self.lo, np.int64)
        with np.errstate(over="ignore", under="ignore"):
            if dtype.itemsize == 2 and dtype != np.float16:  # bfloat16, which NumPy reaches through float32
                single = odd.astype(np.float32)
                odd = _odd(single, odd - single, np.int32)
            rounded: NDArray[Any] = odd.astype(dtype)
            return rounded


def _odd(value: NDArray[Any], error: Array, integer: type[Any]) -> NDArray[Any]:
    """Round to odd: an inexact value with an even last bit takes its neighbour on the side of the error.

    Rounding that once more, to a format at least two bits shorter, gives what a single rounding would
    (Boldo & Melquiond 2008).
    """
    bits = value.view(integer)
    inexact = (error != 0) & (bits & 1 == 0) & np.isfinite(value)
    step = np.where((error > 0) == (value > 0), 1, -1).astype(integer)
    nudged: NDArray[Any] = np.where(inexact, bits + step, bits).astype(integer)
    return nudged.view(value.dtype)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    shadow = total - a
    return total, (a - (total - shadow)) + (b - shadow)


def _fast_two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    return total, b - (total - a)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    product = a * b
    a_hi, a_lo = _split(a)
    b_hi, b_lo = _split(b)
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def _split(a: Array) -> tuple[Array, Array]:
    big = _SPLITTER * a
    hi = big - (big - a)
    return hi, a - hi


def _normal(hi: Array, lo: Array) -> Precise:
    """Renormalise; beyond 2^996, where the split overflows, the float64 value stands alone."""
    total, error = _fast_two_sum(hi, lo)
    sound = np.isfinite(total) & np.isfinite(error)
    return Precise(np.where(sound, total, hi), np.where(sound, error, 0.0))
