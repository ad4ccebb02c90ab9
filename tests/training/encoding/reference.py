"""The encodings once more in NumPy and float64, column by column, and columns that are hard to encode."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from training.config import Task
from training.encoding import (
    Encoding,
    Kind,
    PerFeature,
    Periodic,
    PiecewiseLinear,
    Places,
    Robust,
    fit_encoding,
)
from training.model import Standardiser

Matrix = NDArray[np.float64]

KINDS: tuple[Kind, ...] = ("standard", "robust", "bins", "bins-relu", "periodic")

MAX = np.finfo(np.float32).max
HARD: dict[str, list[float]] = {
    "constant": [3.5, 3.5, 3.5],
    "constant-zero": [0.0, 0.0],
    "constant-where-floats-are-2-apart": [16777216.0, 16777216.0],
    "constant-huge": [3e38, 3e38],
    "constant-largest": [MAX, MAX, MAX],
    "constant-smallest": [-MAX, -MAX],
    "constant-subnormal": [1e-42, 1e-42],
    "all-missing": [np.nan, np.nan, np.nan],
    "one-known": [np.nan, 2.0, np.nan],
    "two-rows": [1.0, 2.0],
    "two-neighbours": [1.0, float(np.nextafter(np.float32(1), np.float32(2)))],
    "zeros-and-ones": [0.0, 1.0, 1.0, 0.0, 1.0],
    "mostly-zero": [0.0] * 40 + [99999.0],
    "few-values": [1.0, 2.0, 2.0, 3.0, 3.0, 3.0, np.nan],
    "huge": [-3e38, 3e38, 1e38, -2e38, 0.0],
    "whole-range": [-MAX, MAX],
    "skewed-huge": [-3e38] * 9 + [3e38],
    "subnormal": [k * 1e-45 for k in range(40)],
    "subnormal-and-huge": [1e-45, 3e-45, 1e-40, 1.0, 3e38, -1e-44],
    "tiny-steps": [1.2e-38 * k for k in range(1, 60)],
    "thin-among-wide": [1e6, 1e6 + 0.0625, 1e6 + 0.125, -1e6],
    "minus-zero": [-0.0, 0.0, 1.0],
}


def column(name: str) -> NDArray[np.float32]:
    """One of the hard columns. Shape: (rows, 1)."""
    return np.array(HARD[name], np.float32)[:, None]


@st.composite
def tables(draw: st.DrawFn, columns: int = 3) -> NDArray[np.float32]:
    """Numbers of every size, one column with missing values."""
    rows = draw(st.integers(2, 12))
    anything = st.floats(width=32, allow_nan=False, allow_infinity=False)
    ordinary = st.floats(-8, 8, width=16)
    table = draw(arrays(np.float32, (rows, columns), elements=st.one_of(ordinary, anything)))
    table[draw(arrays(bool, rows)), 0] = np.nan
    return table


def targets(rows: int, task: Task) -> NDArray[Any]:
    """Some that every table can have."""
    chosen = np.random.default_rng(rows)
    if task == "classification":
        return chosen.integers(0, 3, rows)
    return (1e6 * chosen.normal(size=rows)).astype(np.float32)


def fitted(
    kind: Kind, numeric: NDArray[np.float32], task: Task = "regression", bins: int = 8, seed: int = 0
) -> Encoding:
    generator = torch.Generator().manual_seed(seed)
    return fit_encoding(kind, numeric, targets(len(numeric), task), task, generator, bins=bins)


def ordinary(rows: int = 60, seed: int = 0) -> NDArray[np.float32]:
    """Four columns: with missing values, heavy-tailed, few-valued, constant."""
    chosen = np.random.default_rng(seed)
    table = np.column_stack(
        [
            chosen.normal(5, 2, rows),
            np.exp(3 * chosen.normal(size=rows)),
            chosen.integers(0, 3, rows),
            np.full(rows, 7.0),
        ]
    )
    table[:: max(rows // 8, 2), 0] = np.nan
    return table.astype(np.float32)


def regions(rows: int = 3000, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A column beside two that are places, and a target that has its own value in each of 6 × 6 regions."""
    chosen = np.random.default_rng(seed)
    table = np.column_stack(
        [chosen.normal(size=rows), chosen.uniform(-124, -114, rows), chosen.uniform(32, 42, rows)]
    )
    values = np.random.default_rng(5).normal(size=(6, 6))
    across, up = (((table[:, j] - low) * 0.6).astype(int).clip(0, 5) for j, low in ((1, -124), (2, 32)))
    y = values[across, up] + 0.5 * table[:, 0] + 0.1 * chosen.normal(size=rows)
    return table.astype(np.float32), y.astype(np.float32)


def waves(places: Places, numbers: Matrix) -> Matrix:
    """One plus the sines and cosines of both columns of each pair."""
    centre, scale, angular = (b.double().numpy() for b in (places.centre, places.scale, places.angular))
    z = ((numbers[:, places.columns.numpy()] - centre) / scale).clip(-4, 4)
    each = []
    for pair in range(len(centre) // 2):
        way = angular[:, 128 * pair : 128 * pair + 64]
        phase = z[:, 2 * pair, None] * way[0] + z[:, 2 * pair + 1, None] * way[1]
        each += [1 + np.sin(phase), 1 + np.cos(phase)]
    return np.hstack(each)


def edges_of(encode: PiecewiseLinear) -> list[Matrix]:
    """The edges of each column, from what the module holds."""
    lower, inverse = (tensor.double().numpy() for tensor in (encode.lower, encode.inverse))
    ends = np.cumsum(encode.bins)
    return [
        np.append(lower[end - count : end], lower[end - 1] + 1 / inverse[end - 1])
        for end, count in zip(ends, encode.bins, strict=True)
    ]


def filled(encoding: Encoding, raw: NDArray[Any]) -> tuple[Matrix, Matrix]:
    """Numbers without NaN, and the flags."""
    numbers, missing = raw.astype(np.float64), np.isnan(raw)
    values = encoding.fill.values.double().numpy()
    for row, j in zip(*np.nonzero(missing), strict=True):
        numbers[row, j] = values[j]
    return numbers, missing[:, encoding.fill.flagged.numpy()].astype(np.float64)


def encoded(encoding: Encoding, raw: NDArray[Any]) -> Matrix:
    """What `encode` gives, flags at the end."""
    numbers, flags = filled(encoding, raw)
    encode = encoding.encode
    if isinstance(encode, PiecewiseLinear):
        parts = [
            np.interp(numbers[:, j], edges[i : i + 2], [0.0, 1.0])
            for j, edges in enumerate(edges_of(encode))
            for i in range(len(edges) - 1)
        ]
        return np.column_stack([*parts, flags])
    if isinstance(encode, Robust):
        centre, scale = (b.double().numpy()[: numbers.shape[1]] for b in (encode.centre, encode.scale))
        z = (numbers - centre) / scale
        return np.hstack([z / np.hypot(1, z / 3), flags])
    return np.hstack([numbers, flags])


def learned(encoding: Encoding, raw: NDArray[Any]) -> Matrix:
    """What `learn` gives."""
    inputs, learn = encoded(encoding, raw), encoding.learn
    if isinstance(learn, Standardiser):
        return (inputs - learn.mean.double().numpy()) / learn.scale.double().numpy()
    if isinstance(learn, PerFeature):
        return _per_feature(learn, inputs, learn.sizes)
    if isinstance(learn, Periodic):
        frequencies = learn[0].frequencies.detach().double().numpy()
        waves = []
        for x, of_feature in zip(inputs.T, frequencies, strict=False):
            phase = 2 * np.pi * np.outer(x, of_feature)
            waves += [np.sin(phase), np.cos(phase)]
        sizes = [2 * frequencies.shape[1]] * len(frequencies)
        return _per_feature(learn[1], np.hstack([*waves, inputs[:, len(frequencies) :]]), sizes)
    return inputs


def _per_feature(layer: PerFeature, inputs: Matrix, sizes: Sequence[int]) -> Matrix:
    parts, start = [], 0
    for j, size in enumerate(sizes):
        weight, bias = (p.detach().double().numpy() for p in (layer.weight[j, :size], layer.bias[j, 0]))
        parts.append(np.maximum(inputs[:, start : start + size] @ weight + bias, 0))
        start += size
    return np.hstack([*parts, inputs[:, start:]])
