"""From the exact result to the number that is stored: one rounding, to nearest even, in any float type."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike

from training.folding.affine import Array

NATIVE = {torch.float16: np.float16, torch.float32: np.float32, torch.float64: np.float64}
"""The types a parameter can be stored in that numpy rounds to; bfloat16 is the other one."""

FLUSHED = frozenset({torch.bfloat16, torch.float32, torch.float64})
"""Subnormals of these are slow and worth nothing; those of float16 begin at 6e-5 and are real values."""


def wide(values: ArrayLike) -> Array:
    """The widest type numpy has here: 64 significant bits on x86, those of float64 elsewhere.

    Biases cancel (s·(b − μ) where b ≈ μ), and eleven more bits keep the nearest float32 the nearest.
    """
    return cast(Array, np.asarray(values, dtype=np.longdouble))


def from_tensor(tensor: torch.Tensor) -> Array:
    """The exact values of a tensor, which float64 holds whatever its type."""
    return tensor.detach().cpu().double().numpy()


def as_double(values: Array) -> torch.Tensor:
    """The values in float64, for a proof that no rounding to the stored type disturbs."""
    return torch.from_numpy(np.array(values, dtype=np.float64))


def fits(values: Array, dtype: torch.dtype) -> bool:
    """Whether every value has a neighbour of about its own size in `dtype`, the smallest ones aside."""
    largest = float(np.abs(values).max(initial=0.0))
    limits = torch.finfo(dtype)
    if not np.isfinite(largest) or largest > limits.max:
        return False
    return dtype is not torch.float16 or largest == 0.0 or largest >= _HALF_FLOOR


def rounded(values: Array, dtype: torch.dtype) -> torch.Tensor:
    """The nearest numbers of `dtype`, each rounded once."""
    native = NATIVE.get(dtype)
    nearest = _to_eight_bits(values) if native is None else values.astype(native)
    if dtype in FLUSHED:
        nearest = np.where(np.abs(nearest) < torch.finfo(dtype).tiny, nearest.dtype.type(0), nearest)
    return torch.from_numpy(np.ascontiguousarray(nearest)).to(dtype)


def _to_eight_bits(values: Array) -> Array:
    """The significand of bfloat16. torch goes there by way of float32 and rounds twice."""
    significand, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(significand, 8)), exponent - 8), dtype=np.float64)


_HALF_FLOOR = 2.0**-14 * 64
"""A float16 tensor whose largest value is below this has lost bits to gradual underflow."""
