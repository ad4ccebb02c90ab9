"""Whatever the graph: folded equals unfolded, the checker passes, onnxruntime runs it, nothing crashes."""

from __future__ import annotations

import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.training.folding.random_graphs import PIECES, Piece, build
from tests.training.folding.test_corpus import assert_same_numbers, assert_sound
from training.folding import fold_onnx


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(
    pieces=st.lists(st.sampled_from(PIECES), min_size=2, max_size=12),
    seed=st.integers(0, 10_000),
    rank=st.sampled_from([2, 3, 4]),
)
def test_random_graph(pieces: list[Piece], seed: int, rank: int) -> None:
    model = build(pieces, seed, rank)
    onnx.checker.check_model(model, full_check=True)
    folded = fold_onnx(model)
    assert_sound(model, folded)
    assert_same_numbers(model, folded.model, tolerance=2e-4)
    assert fold_onnx(folded.model).report.folded == 0
