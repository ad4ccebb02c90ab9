"""Does Batch Normalization help here? Both sides trained under one budget, over rates, starts and seeds.

trials, pairs    one run and what was seen of it; differences over seeds
comparison       all runs
summary          what follows from them
wording, table, pictures, page   how it is shown
"""

from training.comparison.comparison import RATES, Comparison, Grid, compare
from training.comparison.summary import Summary

__all__ = ["RATES", "Comparison", "Grid", "Summary", "compare"]
