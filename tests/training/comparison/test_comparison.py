import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.comparison.small import RATES, comparison, config, diverged
from training.comparison import Comparison, Grid, Summary, compare
from training.comparison.comparison import STEPS, common
from training.comparison.trials import Bench, Look, Run, Trial, shrink, total_steps
from training.config import LoopConfig, ModelConfig
from training.data import load
from training.defaults import recipe_for
from training.errors import ConfigError
from training.loop import batches
from training.model import build_core


def made(scores: dict[tuple[bool, int], list[float]]) -> Comparison:
    """A comparison whose validation scores, one a step, are given by side and seed."""
    runs = []
    for (batch_norm, seed), values in scores.items():
        looks = tuple(Look(step, 1 - value, value, value / 2) for step, value in enumerate(values))
        ended = "the loss is nan" if math.nan in values else None
        runs.append(Run(Trial(batch_norm, "usual", 0.01, seed), looks, ended))
    grid = Grid((0.01,), 2, ("usual",))
    return replace(comparison(), grid=grid, runs=tuple(runs), every=1)


def test_every_trial_is_run_with_the_same_budget_and_looked_at_from_first_to_last() -> None:
    found = comparison()
    assert len(found.runs) == 16 == len(found.grid)
    assert len({run.trial for run in found.runs}) == 16
    assert found.steps == 4 * 8
    for run in found.runs:
        assert [look.step for look in run.looks] == list(range(33))
        assert all(len(look.unit) == 3 and sorted(look.unit) == list(look.unit) for look in run.looks)
        assert all(0 <= look.validation <= 1 and 0 <= look.test <= 1 for look in run.looks)


def test_the_same_comparison_gives_the_same_bits() -> None:
    grid = Grid((0.02,), 1, ("usual",))
    one, two = (compare(config(), grid).runs for _ in range(2))
    assert one == two
    assert set(one) <= set(comparison().runs)


def test_a_seed_begins_alike_at_every_rate() -> None:
    first = {(r.trial.batch_norm, r.trial.start, r.trial.seed): r.looks[0] for r in comparison().runs}
    for run in comparison().runs:
        assert first[run.trial.batch_norm, run.trial.start, run.trial.seed] == run.looks[0]


def test_a_small_start_draws_a_hundredth_and_keeps_the_unit_narrow_without_a_norm() -> None:
    core = build_core(ModelConfig(hidden=(200,), initialisation="small"), 100, 2, torch.Generator())
    shrink(core, 0.01)
    assert float(core.get_submodule("linear1").get_parameter("weight").detach().std()) == pytest.approx(
        0.01, rel=0.02
    )
    widths = {
        (run.trial.start, run.trial.batch_norm): run.looks[0].unit[2] - run.looks[0].unit[0]
        for run in comparison().runs
    }
    assert widths["small", False] < 1e-3 < widths["small", True]


def test_a_run_that_diverges_is_a_result() -> None:
    found = diverged()
    assert {run.trial.rate for run in found.diverged} == {1e30}
    assert len(found.diverged) == 8
    assert all("try a lower --lr" in str(run.diverged) and run.best is None for run in found.diverged)
    summary = Summary.of(found)
    assert summary.setting(True, "usual", 1e30).score is None
    assert {face.with_norm.rate for face in summary.faces} == {0.002}
    assert math.isnan(summary.spreads[0].over_rates["usual"])


def test_steps_to_the_others_best_and_their_ratio_are_counted_by_seed() -> None:
    found = made(
        {
            (True, 0): [0.1, 0.8, 0.9, 0.9],
            (False, 0): [0.1, 0.2, 0.3, 0.8],
            (True, 1): [0.1, 0.5, 0.7, 0.9],
            (False, 1): [0.1, 0.2, 0.7, 0.6],
        }
    )
    face = Summary.of(found).best
    assert (face.reached[0].median, face.reached[0].times) == (1.5, 2)
    assert (face.reached[1].times, face.reached[1].of) == (0, 2)
    assert face.fewer
    assert face.fewer.mean == pytest.approx(math.sqrt(3 / 1 * 2 / 2))
    assert face.difference
    assert face.difference.mean == pytest.approx(0.15)
    assert face.test_difference
    assert face.test_difference.mean == pytest.approx(0.075)


def test_pairs_with_a_diverged_run_are_left_out_and_counted() -> None:
    found = made(
        {(True, 0): [0.1, 0.9], (False, 0): [0.1, 0.8], (True, 1): [0.1, 0.9], (False, 1): [0.1, math.nan]}
    )
    face = Summary.of(found).best
    assert face.difference
    assert face.difference.n == 1
    assert face.without.diverged == 1
    assert face.reached[0].of == 1


def test_the_best_of_equal_scores_has_the_lowest_loss() -> None:
    looks = (Look(1, 0.5, 0.9, 0.1), Look(2, 0.4, 0.9, 0.2), Look(3, 0.6, 0.9, 0.3))
    best = Run(Trial(True, "usual", 0.1, 0), looks).best
    assert best
    assert best.step == 2


def test_without_a_budget_runs_take_about_as_many_steps_as_said() -> None:
    asked = config()
    asked = replace(asked, loop={})
    splits = load(asked.data, 0)
    recipe = common(recipe_for(asked, splits), asked, len(splits.train))
    assert recipe.loop.patience is None
    assert total_steps(recipe.loop, len(splits.train)) == pytest.approx(STEPS, rel=0.02)


@pytest.mark.parametrize(("rows", "size"), [(2, 16), (33, 16), (34, 16), (9, 1), (10, "full")])
def test_the_budget_counts_the_steps_that_are_made(rows: int, size: int) -> None:
    config = LoopConfig(epochs=3, batch_size=size)
    expected = rows if size == 1 else len(list(batches(rows, config.batch_size_for(rows))))
    assert total_steps(config, rows) == 3 * expected


def test_a_trial_leaves_what_the_encoding_learns_as_it_was() -> None:
    asked = replace(config(), model={"hidden": (4,), "encoding": "bins-relu", "bins": 4})
    splits = load(asked.data, 0)
    bench = Bench.of(splits, recipe_for(asked, splits), 50)
    assert bench.preparation.encoding
    learn: nn.Module = bench.preparation.encoding.learn
    before = [value.clone() for value in learn.state_dict().values()]
    bench.run(Trial(True, "usual", 0.01, 0))
    after = learn.state_dict().values()
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_regression_is_compared_by_r_squared() -> None:
    found = compare(config("diabetes", epochs=6), Grid((0.02,), 2, ("usual",)))
    assert found.score == "R²"
    best = Summary.of(found).best.with_norm.score
    assert best
    assert 0.1 < best.mean < 1
    assert np.isfinite([look.validation for run in found.runs for look in run.looks]).all()


@pytest.mark.parametrize(
    ("rates", "seeds", "words"),
    [
        ((0.1,), 0, "--seeds is 0"),
        ((), 2, "--rates"),
        ((0.1, -1.0), 2, "--rates"),
        ((0.1, 0.1), 2, "--rates"),
    ],
    ids=["no-seeds", "no-rates", "negative", "twice"],
)
def test_a_grid_that_makes_no_sense_is_refused(rates: tuple[float, ...], seeds: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Grid(rates, seeds)


def test_rates_are_sorted() -> None:
    assert Grid(RATES[::-1], 1).rates == RATES
