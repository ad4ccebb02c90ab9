"""A table in, typed splits out: files, the division of their rows, and the moments of numbers."""

from training.data.division import Labelled, split_frame
from training.data.loading import load
from training.data.moments import Moments
from training.data.splits import Split, Splits

__all__ = ["Labelled", "Moments", "Split", "Splits", "load", "split_frame"]
