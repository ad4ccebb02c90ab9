"""From the exact result to the number that is stored: one rounding, to nearest even, in any float type."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike

from training.folding.affine import Array

SIGNIFICANT_BITS = {torch.bfloat16: 8, torch.float16: 11, torch.float32: 24, torch.float64: 53}
"""The types a parameter can be stored in, with the bits of their significand."""

FLUSHED = frozenset({torch.bfloat16, torch.float32, torch.float64})
"""Subnormals of these are slow and worth nothing; those of float16 begin at 6e-5 and are real values."""


def wide(values: ArrayLike) -> Array:
    """The widest type numpy has here: 64 significant bits on x86, those of float64 elsewhere.

    Biases cancel (s·(b − μ) where b ≈ μ), and eleven more bits keep the nearest float32 the nearest.
    """
    return cast(Array, np.asarray(values, dtype=np.longdouble))


def from_tensor(tensor: torch.Tensor) -> Array:
    """The exact values of a tensor."""
    return wide(tensor.detach().cpu().double().numpy())


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
    """The nearest numbers of `dtype`; numpy has no bfloat16 and torch rounds twice on the way to it."""
    limits = torch.finfo(dtype)
    significand, exponent = np.frexp(values)
    lowest = int(np.frexp(limits.tiny)[1])
    bits = SIGNIFICANT_BITS[dtype] - np.maximum(lowest - exponent, 0)
    nearest = np.ldexp(np.rint(np.ldexp(significand, bits)), exponent - bits)
    if dtype in FLUSHED:
        nearest = np.where(np.abs(nearest) < limits.tiny, 0.0, nearest)
    return as_double(wide(nearest)).to(dtype)


_HALF_FLOOR = 2.0**-14 * 64
"""A float16 tensor whose largest value is below this has lost bits to gradual underflow."""
