"""One way to train, in a process of its own: python training_worker.py WAY TABLE THREADS CLOCK

TABLE is an .npz with X (rows, features) in float32 and y (rows,). For every line "epoch" on standard input
one epoch is trained, and its seconds are written as one line of JSON. Between two epochs the process waits,
and costs nothing. No validation, no logs, no checkpoints: of every package the training loop alone.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable

THREADS = sys.argv[3]
for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
    os.environ[f"{name}_NUM_THREADS"] = THREADS
# Some machines choose an older kernel for OpenBLAS, which would slow scikit-learn.
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import numpy as np  # noqa: E402

if sys.argv[4] == "cpu":
    # This project's loop takes its own time, so that the clock itself is exchanged.
    time.perf_counter = time.process_time

BATCH = 256
RATE = 1e-3
X, y = (np.load(sys.argv[2])[name] for name in ("X", "y"))


def wait() -> None:
    """Until the next epoch is asked for."""
    if sys.stdin.readline().strip() != "epoch":
        os._exit(0)


def tell(seconds: float, **more: object) -> None:
    """How long the epoch took."""
    print(json.dumps({"seconds": seconds, **more}), flush=True)


def timed(epoch: Callable[[], object]) -> None:
    """One epoch after another, each when it is asked for."""
    print(json.dumps({"ready": True}), flush=True)
    while True:
        wait()
        start = time.perf_counter()
        epoch()
        tell(time.perf_counter() - start)


def network() -> object:
    """784 → 256 → 128 → 10 with Batch Normalization, as torch's documentation would write it."""
    from torch import nn

    return nn.Sequential(
        *(nn.Linear(784, 256, bias=False), nn.BatchNorm1d(256), nn.ReLU()),
        *(nn.Linear(256, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU()),
        nn.Linear(128, 10),
    )


def bare() -> None:
    """The matrix products of an epoch, forward and backward, and nothing else."""
    import torch

    from training.loop.placement import spread_threads

    rows = torch.from_numpy(X)
    shapes = [(784, 256), (256, 128), (128, 10)]
    weights = [torch.randn(out, into) for into, out in shapes]

    def products(batch: torch.Tensor, inner: list[torch.Tensor], back: list[torch.Tensor]) -> None:
        ins = [batch, *inner]
        for values, weight in zip(ins, weights, strict=True):
            torch.mm(values, weight.t())
        for number in (2, 1, 0):
            torch.mm(back[number].t(), ins[number])
            if number:
                torch.mm(back[number], weights[number])

    def made(size: int) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        inner = [torch.randn(size, 256), torch.randn(size, 128)]
        return inner, [torch.randn(size, 256), torch.randn(size, 128), torch.randn(size, 10)]

    whole, last = made(BATCH), made(len(rows) % BATCH or BATCH)

    def epoch() -> None:
        for batch in rows.split(BATCH):
            products(batch, *(whole if len(batch) == BATCH else last))

    # What the machine can do, so its threads are placed as this project's loop places them.
    with spread_threads():
        timed(epoch)


def foldserve(precision: str = "float32") -> None:
    """This project's loop with its defaults; the network is its own, without dropout, as the others'."""
    import torch

    from training.config import LoopConfig, ModelConfig
    from training.loop import Epoch, Rows, fit
    from training.model import build_core

    core = build_core(ModelConfig(dropout=0.0), X.shape[1], 10, torch.Generator().manual_seed(0))
    rows = Rows((torch.from_numpy(X),), torch.from_numpy(y))
    held_out = rows.take(torch.arange(10_000))
    print(json.dumps({"ready": True}), flush=True)
    wait()

    def epoch(done: Epoch) -> None:
        tell(done.training_seconds, validated=done.seconds)
        wait()

    config = LoopConfig(
        epochs=10_000, batch_size=BATCH, learning_rate=RATE, patience=None, precision=precision
    )
    fit(core, rows, held_out, "classification", config, epoch)


def foldserve_bf16() -> None:
    """The same with the products of wide layers in bfloat16, which people have to ask for."""
    foldserve("bf16")


def loader() -> None:
    """The loop of torch's tutorials: a DataLoader over a TensorDataset, AdamW as it comes."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=RATE)  # type: ignore[attr-defined]
    criterion = torch.nn.CrossEntropyLoss()
    batches = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), BATCH, shuffle=True)

    def epoch() -> None:
        for inputs, targets in batches:
            optimiser.zero_grad()
            criterion(model(inputs), targets).backward()  # type: ignore[operator]
            optimiser.step()

    timed(epoch)


def lightning() -> None:
    """A LightningModule as its documentation has it, and the trainer's own mode for measuring speed, which
    leaves out bar, logger, checkpoints and summary. Rows in memory need no loader processes."""
    import logging

    import lightning as L  # noqa: N812
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = network()

        def training_step(self, batch, index):  # type: ignore[no-untyped-def]
            inputs, targets = batch
            return torch.nn.functional.cross_entropy(self.model(inputs), targets)

        def configure_optimizers(self):  # type: ignore[no-untyped-def]
            return torch.optim.AdamW(self.parameters(), lr=RATE)

    class Clock(L.Callback):
        def on_train_epoch_start(self, *_: object) -> None:
            wait()
            self.start = time.perf_counter()

        def on_train_epoch_end(self, *_: object) -> None:
            tell(time.perf_counter() - self.start)

    trainer = L.Trainer(max_epochs=-1, accelerator="cpu", callbacks=[Clock()], barebones=True)
    batches = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(y)), BATCH, shuffle=True)
    print(json.dumps({"ready": True}), flush=True)
    trainer.fit(Module(), batches)


def skorch() -> None:
    """A NeuralNetClassifier without validation and without its printed log. Its loader takes rows from the
    array that it is given; loader processes would copy rows that are in memory already."""
    import torch
    from skorch import NeuralNetClassifier

    net = NeuralNetClassifier(
        network(),
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.AdamW,
        lr=RATE,
        batch_size=BATCH,
        max_epochs=1,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks__print_log=None,
        verbose=0,
    )
    net.initialize()
    timed(lambda: net.partial_fit(X, y))


def _sklearn(rows: np.ndarray) -> None:
    from sklearn.neural_network import MLPClassifier

    model = MLPClassifier((256, 128), batch_size=BATCH, learning_rate_init=RATE, random_state=0)
    classes = np.unique(y)
    timed(lambda: model.partial_fit(rows, y, classes=classes))


def sklearn() -> None:
    """MLPClassifier, which has no Batch Normalization; partial_fit is one pass over the rows. It computes in
    the precision of its input, and this is that of its own example on MNIST: whole numbers / 255.0."""
    _sklearn(X.astype(np.float64))


def sklearn_float32() -> None:
    """The same with input in float32, as all others have it."""
    _sklearn(X)


SEED = 0
STEP_RATE = 3e-3


def small() -> object:
    """2 × 208 with Batch Normalization, the same first weights for everybody."""
    import torch

    from training.config import ModelConfig
    from training.model import build_core

    return build_core(
        ModelConfig(hidden=(208, 208), dropout=0.0), X.shape[1], 1, torch.Generator().manual_seed(SEED)
    )


def steps_foldserve() -> None:
    """This project's loop on a table; its losses are told too."""
    import torch

    from training.config import LoopConfig
    from training.loop import Epoch, Rows, fit

    rows = Rows((torch.from_numpy(X),), torch.from_numpy(y))
    print(json.dumps({"ready": True}), flush=True)
    wait()

    def epoch(done: Epoch) -> None:
        tell(done.training_seconds, loss=done.train_loss)
        wait()

    config = LoopConfig(
        epochs=10_000,
        batch_size=BATCH,
        learning_rate=STEP_RATE,
        patience=None,
        schedule="constant",
        warm_up=0.0,
    )
    fit(small(), rows, rows.take(torch.arange(100)), "regression", config, epoch)  # type: ignore[arg-type]


def _steps_loader(fused: bool | None) -> None:
    """A DataLoader over the same rows in the same order, with AdamW as torch makes it."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    from training.loop import generator

    model = small()
    model.train()  # type: ignore[attr-defined]
    decayed = [p for p in model.parameters() if p.ndim > 1]  # type: ignore[attr-defined]
    rest = [p for p in model.parameters() if p.ndim < 2]  # type: ignore[attr-defined]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=STEP_RATE, fused=fused)
    rows = TensorDataset(torch.from_numpy(X), torch.from_numpy(y)[:, None])
    order = generator(SEED, "order")
    print(json.dumps({"ready": True}), flush=True)
    while True:
        wait()
        start = time.perf_counter()
        total = 0.0
        for inputs, targets in DataLoader(
            rows, BATCH, sampler=torch.randperm(len(rows), generator=order).tolist()
        ):
            optimiser.zero_grad()
            loss = torch.nn.functional.mse_loss(model(inputs), targets)  # type: ignore[operator]
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(inputs)
        tell(time.perf_counter() - start, loss=total / len(rows))


def steps_loader() -> None:
    """AdamW as it comes: one tensor after another."""
    _steps_loader(None)


def steps_loader_fused() -> None:
    """AdamW with fused=True, the kernel that this project uses: the losses are to be the same bits."""
    _steps_loader(True)


ALL = (
    *(bare, foldserve, foldserve_bf16, loader, lightning, skorch, sklearn, sklearn_float32),
    *(steps_foldserve, steps_loader, steps_loader_fused),
)
WAYS = {way.__name__: way for way in ALL}

if __name__ == "__main__":
    if not sys.argv[1].startswith("sklearn"):
        import torch

        torch.set_num_threads(int(THREADS))
    WAYS[sys.argv[1]]()
