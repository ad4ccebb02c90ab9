"""The training loop: tensors and a network in, the network at its best out.

seeds, placement                one generator per purpose; one core per thread
rows, batches, losses           whole tensors, slices that cover every row once, what is minimised
schedules                       the learning rate of each step
stack, gradients                forward and backward passes, without autograd where that is possible
memory, groups, optimisers, averaging
                                where the weights are, and what a step does to them
spikes, snapshots, diagnosis    what happens when a step goes wrong
evaluation, history, checkpoints, watch
steps, fit                      the loop itself
range_finder                    a trial of all learning rates
"""

from training.loop.batches import batches, single_rows
from training.loop.evaluation import evaluate
from training.loop.fit import fit
from training.loop.history import Epoch, FitResult, Observer
from training.loop.range_finder import RateCurve, find_range, plot
from training.loop.rows import Rows
from training.loop.seeds import generator, member_seed
from training.loop.watch import Watch

__all__ = [
    "Epoch",
    "FitResult",
    "Observer",
    "RateCurve",
    "Rows",
    "Watch",
    "batches",
    "evaluate",
    "find_range",
    "fit",
    "generator",
    "member_seed",
    "plot",
    "single_rows",
]
