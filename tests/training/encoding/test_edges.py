import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from tests.training.encoding.reference import HARD, column, tables, targets
from training.config import Task
from training.encoding import edges as edges_module
from training.encoding.edges import WIDEST, bin_edges

TINY = np.finfo(np.float32).tiny
TASKS: tuple[Task, Task] = ("classification", "regression")


def known(table: NDArray[np.float32]) -> NDArray[np.float64]:
    values = table[~np.isnan(table)].astype(np.float64)
    return values if len(values) else np.zeros(1)


def check(edges: NDArray[np.float32], values: NDArray[np.float64]) -> None:
    assert edges.dtype == np.float32
    assert len(edges) >= 2
    assert (np.diff(edges) > 0).all() or (np.diff(edges.astype(np.float64)) > 0).all()
    widths = np.diff(edges.astype(np.float64))
    assert widths.min() >= TINY
    assert widths.max() <= WIDEST
    inverse = (1 / widths).astype(np.float32)
    assert np.isfinite(inverse).all()
    assert (inverse >= TINY).all()
    if values.max() - values.min() >= TINY:
        assert (edges[0], edges[-1]) == (values.min(), values.max())


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", HARD)
def test_edges_of_hard_columns_increase_strictly_in_float32(name: str, task: Task) -> None:
    values = known(column(name))
    check(bin_edges(values, targets(len(values), task), task, 8), values)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(table=tables(columns=1), task=st.sampled_from(TASKS), bins=st.integers(2, 9))
def test_edges_of_any_column_increase_strictly_in_float32(
    table: NDArray[np.float32], task: Task, bins: int
) -> None:
    values = known(table)
    check(bin_edges(values, targets(len(values), task), task, bins), values)


@pytest.mark.parametrize("task", TASKS)
def test_edges_are_those_of_a_tree_and_of_the_quantiles(task: Task) -> None:
    chosen = np.random.default_rng(3)
    x = np.round(chosen.normal(0, 5, 3000), 1).astype(np.float32).astype(np.float64)
    y = np.floor(np.abs(x)) % 3 if task == "classification" else np.sin(x) + chosen.normal(0, 0.1, 3000)
    kind = DecisionTreeClassifier if task == "classification" else DecisionTreeRegressor
    tree = kind(max_leaf_nodes=12, random_state=0).fit(x[:, None], y).tree_
    thresholds = tree.threshold[tree.feature >= 0]
    quantiles = np.sort(x)[[0, *range(249, 3000, 250)]]
    expected = np.unique(np.concatenate([thresholds, quantiles]).astype(np.float32))
    assert bin_edges(x, y, task, 12) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30], ids=["small", "one", "large"])
def test_an_edge_stands_where_the_target_jumps_on_any_scale(scale: float) -> None:
    x = np.arange(100, dtype=np.float32).astype(np.float64) * scale
    y = np.where(np.arange(100) < 37, 1.0, 2.0) * scale
    assert any(np.isclose(bin_edges(x, y, "regression", 2), 36.5 * scale, rtol=1e-6))


def test_a_constant_column_has_one_bin_of_width_1() -> None:
    assert bin_edges(np.full(5, 3.5), np.arange(5), "regression", 8).tolist() == [3.5, 4.5]


def test_a_constant_column_without_a_whole_next_number_takes_the_next_there_is() -> None:
    assert bin_edges(np.full(5, 2.0**24), np.arange(5), "regression", 8).tolist() == [2.0**24, 2.0**24 + 2]


def test_a_column_of_zeros_and_ones_has_two_bins() -> None:
    x = np.array([0.0, 1.0, 1.0, 0.0])
    assert bin_edges(x, x.astype(int), "classification", 64).tolist() == [0.0, 0.5, 1.0]


def test_a_constant_target_leaves_the_quantiles() -> None:
    edges = bin_edges(np.arange(101.0), np.ones(101), "regression", 4)
    assert edges.tolist() == [0.0, 25.0, 50.0, 75.0, 100.0]


def test_a_large_table_is_sampled_for_the_tree_and_keeps_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edges_module, "TREE_ROWS", 50)
    x = np.random.default_rng(0).permutation(1000).astype(np.float64)
    y = (x > 300).astype(int)
    first, second = (bin_edges(x, y, "classification", 4) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert {0.0, 249.0, 499.0, 749.0, 999.0} <= set(first.tolist())
    (split,) = set(first.tolist()) - {0.0, 249.0, 499.0, 749.0, 999.0}
    assert 200 < split < 400


def test_many_classes_in_few_rows_are_no_warning() -> None:
    assert len(bin_edges(np.arange(30.0), np.arange(30) % 20, "classification", 8)) > 8
