import math

import numpy as np
import pytest
from scipy import stats

from training.comparison.pairs import estimate, paired, ratio

ONE = [0.91, 0.93, 0.90, 0.95, 0.92]
OTHER = [0.90, 0.90, 0.91, 0.92, 0.88]


def test_paired_differences_are_scipys() -> None:
    found = paired(ONE, OTHER)
    reference = stats.ttest_rel(ONE, OTHER)
    interval = reference.confidence_interval(0.95)
    assert found
    assert found.n == 5
    assert found.mean == pytest.approx(np.mean(np.subtract(ONE, OTHER)))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.tells == (reference.pvalue < 0.05)


def test_a_pair_without_a_number_is_left_out() -> None:
    assert paired([*ONE, math.nan, 0.9], [*OTHER, 0.5, math.nan]) == paired(ONE, OTHER)
    assert paired([math.nan], [0.5]) is None


def test_one_value_has_no_interval() -> None:
    found = estimate([0.5])
    assert found
    assert (found.mean, found.n) == (0.5, 1)
    assert math.isnan(found.low)
    assert not found.tells


def test_ratios_are_compared_by_logarithms() -> None:
    found = ratio([40.0, 90.0, 20.0], [20.0, 30.0, 20.0])
    reference = stats.ttest_1samp(np.log([2.0, 3.0, 1.0]), 0.0).confidence_interval(0.95)
    assert found
    assert found.mean == pytest.approx(6 ** (1 / 3))
    assert (found.low, found.high) == pytest.approx((math.exp(reference.low), math.exp(reference.high)))
