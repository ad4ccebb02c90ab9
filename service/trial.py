"""A model tried before it is served: golden rows, what a run costs, whether a row depends on its neighbours.

The rows of these trials are made up from the signature of the graph, so they say nothing about its meaning. A
graph that cannot be tried this way, for it wants an index below 3 or two sizes that agree, may still be
sound.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.cost import Cost
from service.errors import UnreadableModel
from service.metadata import GoldenRows, row_errors
from service.session import Session, TensorSpec

Array = NDArray[Any]

UNTRIED = Cost(1e-3, 0.0)
"""What a run is thought to cost when no trial could tell: long enough to leave the event loop."""

_SIZES = (1, 64)
_RUNS = 5
_WARM_UP_SIZES = (1, 2, 3, 8, 17, 64, 256)


def prove_golden_rows(golden: GoldenRows, outputs: Array, session: Session) -> None:
    """Compare what the file answers now with what it answered when it was certified.

    Raises:
        UnreadableModel: the answers differ by more than the rows' tolerance.
    """
    expected = np.array(golden.outputs, dtype=np.float64)
    if outputs.shape != expected.shape:
        reason = f"its golden rows give shape {outputs.shape}, recorded was {expected.shape}"
        raise UnreadableModel(session.path, reason, stage="golden")
    error = float(row_errors(outputs, expected).max())
    if not error <= golden.tolerance:
        reason = f"its golden rows are off by {error:.2g}, allowed is {golden.tolerance:.2g}"
        raise UnreadableModel(session.path, reason, stage="golden")


def measure(session: Session) -> Cost:
    """Warm up at the batch sizes that will be seen, and fit a line through the times of two of them.

    Raises:
        Exception: whatever the runtime says when the graph does not take the rows that were made up.
        ValueError: no rows can be made up.
    """
    fixed = next((spec.shape[0] for spec in session.inputs if spec.shape and spec.shape[0]), None)
    sizes = (fixed, fixed) if fixed else _SIZES
    if not fixed:
        for size in _WARM_UP_SIZES:
            session.run(made_up(session.inputs, size))
    one, many = (_fastest(session, size) for size in sizes)
    per_row = max(many - one, 0.0) / max(sizes[1] - sizes[0], 1)
    return Cost(max(one - sizes[0] * per_row, 0.0), per_row)


def is_row_wise(session: Session) -> bool:
    """Whether a row gets the same bits alone and among others, as far as rows of noise can tell.

    Only then may rows of several requests share a run: a graph may take a softmax or a mean over its batch.
    """
    specs = [*session.inputs, *(spec for spec in session.outputs if spec.is_tensor)]
    if any(not spec.shape or spec.shape[0] is not None for spec in specs):
        return False
    try:
        feeds = made_up(session.inputs, 3)
        names = [spec.name for spec in session.outputs if spec.is_tensor]
        together = session.run(feeds, names)
        alone = [session.run({k: v[i : i + 1] for k, v in feeds.items()}, names) for i in range(3)]
    except Exception:  # whatever onnxruntime throws: then nothing is known
        return False
    exact = session.device == "cpu"
    return all(
        _same(array, np.concatenate(rows), exact=exact) if _all_of_one_row(rows) else False
        for array, rows in zip(together, zip(*alone, strict=True), strict=True)
    )


def made_up(inputs: Sequence[TensorSpec], rows: int) -> Mapping[str, Array]:
    """Feeds of that many rows: noise for floats, 0 and 1 for what may be an index, short texts.

    Raises:
        ValueError: an input is no tensor, or has a free dimension beside its rows.
    """
    return {spec.name: _made_up(spec, rows) for spec in inputs}


def _made_up(spec: TensorSpec, rows: int) -> Array:
    first, *others = spec.shape or (None,)
    sizes = [size for size in others if size is not None]
    if not spec.is_tensor or spec.dtype == "bfloat16" or not spec.shape or len(sizes) != len(others):
        raise ValueError(f"no rows can be made up for input {spec.name!r}")
    shape = (first or rows, *sizes)
    if spec.dtype == "string":
        return np.array([str(i % 2) for i in range(int(np.prod(shape)))], dtype=object).reshape(shape)
    if np.dtype(spec.dtype).kind == "f":
        return (_noise(shape) * 4 - 2).astype(spec.dtype)
    return (_noise(shape) < 0.5).astype(spec.dtype)


def _noise(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Numbers from 0 to 1 without a pattern to speak of: multiples of the golden ratio, squared, less their
    whole parts. NumPy's generators would take 3 MB of each server."""
    places = np.arange(1, int(np.prod(shape)) + 1, dtype=np.float64)
    noise: NDArray[np.float64] = (places * places * 0.6180339887498949 % 1.0).reshape(shape)
    return noise


def _fastest(session: Session, rows: int) -> float:
    feeds = made_up(session.inputs, rows)
    times = []
    for _ in range(_RUNS):
        start = time.perf_counter()
        session.run(feeds)
        times.append(time.perf_counter() - start)
    return min(times)


def _all_of_one_row(rows: Sequence[Array]) -> bool:
    return all(array.ndim and len(array) == 1 for array in rows)


def _same(one: Array, other: Array, *, exact: bool) -> bool:
    if one.shape != other.shape:
        return False
    if exact or one.dtype.kind != "f":
        return one.tobytes() == other.tobytes() if one.dtype != object else bool((one == other).all())
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-5, equal_nan=True))
