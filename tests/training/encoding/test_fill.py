import numpy as np
import pytest
import torch

from training.encoding import Fill
from training.errors import ConfigError

NAN = float("nan")


def test_missing_numbers_become_the_value_of_their_column_and_are_flagged_in_column_order() -> None:
    fill = Fill(np.array([1.5, 2.5, 3.5], np.float32), [0, 2])
    given = torch.tensor([[NAN, 8.0, NAN], [7.0, 9.0, NAN]])
    assert fill(given).tolist() == [[1.5, 8.0, 3.5, 1.0, 1.0], [7.0, 9.0, 3.5, 0.0, 1.0]]
    assert (fill.width, fill.flags) == (5, 2)


def test_a_column_that_training_saw_complete_gets_its_value_and_no_flag() -> None:
    fill = Fill(np.array([1.5, 2.5], np.float32), [1])
    assert fill(torch.tensor([[NAN, 4.0]])).tolist() == [[1.5, 4.0, 0.0]]


def test_where_nothing_may_be_missing_the_numbers_pass_untouched() -> None:
    fill = Fill(np.zeros(2, np.float32), accepts_missing=False)
    given = torch.tensor([[1.0, 2.0]])
    assert fill(given) is given
    assert fill.width == 2


def test_a_flagged_column_contradicts_that_nothing_may_be_missing() -> None:
    with pytest.raises(ConfigError, match=r"columns \[1\] lacked values"):
        Fill(np.zeros(2, np.float32), [1], accepts_missing=False)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_float64_stays_float64(dtype: torch.dtype) -> None:
    fill = Fill(np.array([1.0], np.float32), [0])
    assert fill(torch.tensor([[NAN], [0.1]], dtype=dtype)).dtype == dtype
