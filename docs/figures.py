"""Draws docs/pictures/concepts/*.svg from real runs: a network trained on digits, a server under load.

python -m docs.figures
"""

from __future__ import annotations

import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl
import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from torch import nn

mpl.use("Agg")
from matplotlib import pyplot as plt

from tests.processes import serve
from training.folding import fold_module
from training.folding.report import FoldReport

PICTURES = Path(__file__).resolve().parent / "pictures" / "concepts"
BLUE, ORANGE, GREEN, GREY = "#3f8fd0", "#e08a2c", "#2f9e83", "#808080"
"""Readable on white and on black alike; the ground is left to the page."""

STYLE = {
    "font.size": 9,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.titlecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "savefig.transparent": True,
    "svg.hashsalt": "foldserve",
    "svg.fonttype": "path",
}

CLIENTS, ASKED = 8, 4


@dataclass(frozen=True)
class Trained:
    """A network with Batch Normalization in eval mode, and rows that it was not trained on.

    Shape: rows (rows, 64).
    """

    network: nn.Sequential
    rows: torch.Tensor


def trained() -> Trained:
    """64 → 32 → 32 → 10 on digits, Linear → Batch Normalization → ReLU; a few seconds."""
    torch.manual_seed(0)
    table = load_digits()
    rows = torch.tensor(table.data, dtype=torch.float32)
    labels = torch.tensor(table.target)
    network = nn.Sequential(
        *(nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU()),
        *(nn.Linear(32, 32), nn.BatchNorm1d(32), nn.ReLU()),
        nn.Linear(32, 10),
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.005)
    for _ in range(15):
        for batch in torch.randperm(1200).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(rows[batch]), labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return Trained(network.eval(), rows[1200:])


def batch_norm(made: Trained) -> None:
    """What three units hand on, what Batch Normalization makes of it, and that this is a line."""
    norm = made.network[1]
    with torch.no_grad():
        before = made.network[0](made.rows)
        after = norm(before)
    spread = before.std(0).argsort()
    units = [int(spread[0]), int(spread[16]), int(spread[31])]
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
    for unit, colour in zip(units, (BLUE, ORANGE, GREEN), strict=True):
        style = {"color": colour, "alpha": 0.55, "bins": 30}
        axes[0].hist(before[:, unit].numpy(), **style)
        axes[1].hist(after[:, unit].numpy(), **style)
        axes[2].plot(before[:, unit], after[:, unit], ".", ms=2.5, color=colour, rasterized=True)
    axes[0].set(title="three units of the first layer", xlabel="W x + b", yticks=[])
    axes[1].set(title="after Batch Normalization", xlabel="s · (W x + b) + t", yticks=[])
    axes[2].set(title="one against the other", xlabel="before", ylabel="after")
    save(figure, "batch_norm")


def certificate(made: Trained) -> FoldReport:
    """Row errors against float64 of the network in float32, and of the folded one."""
    folded = fold_module(made.network, (made.rows[:4],))
    double = nn.Sequential(*made.network).to(torch.float64)
    with torch.no_grad():
        truth = double(made.rows.double()).numpy()
        made.network.to(torch.float32)
        answers = {"as trained": made.network(made.rows).numpy(), "folded": folded.module(made.rows).numpy()}
    figure, axis = plt.subplots(figsize=(6.4, 2.6), layout="constrained")
    edges = np.geomspace(2e-8, 2e-6, 36)
    for (name, found), colour in zip(answers.items(), (ORANGE, GREEN), strict=True):
        errors = np.abs(found - truth).max(1) / np.abs(truth).max(1)
        axis.hist(errors, edges, color=colour, alpha=0.55, label=f"{name}: mean {errors.mean():.2e}")
    axis.axvline(2.0**-23, color=GREY, lw=1, ls="--", label="ε of float32")
    axis.set(xscale="log", xlabel="error of a row: max|y − t| / max|t|, t in float64", yticks=[])
    axis.legend()
    save(figure, "certificate")
    return folded.report


@dataclass(frozen=True)
class Answer:
    """One request: when it was sent and answered, and how long it waited and ran, in ms."""

    client: int
    sent: float
    queue: float
    run: float
    total: float


def batching() -> list[Answer]:
    """Eight clients ask a heavy model again and again; a bar for each request."""
    with TemporaryDirectory() as name:
        place = Path(name) / "heavy" / "1" / "model.onnx"
        place.parent.mkdir(parents=True)
        onnx.save(heavy(), place)
        with serve(Path(name)) as server:
            answers = _ask(server.address)
    start = min(answer.sent for answer in answers)
    figure, axis = plt.subplots(figsize=(9, 2.6), layout="constrained")
    for answer in answers:
        rest = max(0.0, answer.total - answer.queue - answer.run)
        at = answer.sent - start + rest / 2
        axis.barh(answer.client, answer.queue, 0.3, left=at, color=GREY, alpha=0.5)
        axis.barh(answer.client, answer.run, 0.7, left=at + answer.queue, color=GREEN, alpha=0.85)
    axis.set(xlabel="milliseconds", ylabel="client", yticks=range(CLIENTS))
    axis.set_title(
        "thin: the row waits while another run computes; thick: it is computed, with those of the same run"
    )
    save(figure, "batching")
    return answers


def heavy() -> onnx.ModelProto:
    """256 → 4000 → 4000 → 4 with ReLU: some milliseconds a run, for one row or for ten."""
    random = np.random.default_rng(0)
    sizes = (256, 4000, 4000, 4)
    nodes, weights = [], []
    last = "x"
    for index, (rows, columns) in enumerate(pairwise(sizes)):
        weight = random.normal(0, rows**-0.5, (rows, columns)).astype(np.float32)
        weights.append(onnx.numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(onnx.helper.make_node("MatMul", [last, f"w{index}"], [f"h{index}"]))
        last = f"h{index}"
        if columns != sizes[-1]:
            nodes.append(onnx.helper.make_node("Relu", [last], [f"r{index}"]))
            last = f"r{index}"
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        nodes,
        "heavy",
        [onnx.helper.make_tensor_value_info("x", kind, ["N", sizes[0]])],
        [onnx.helper.make_tensor_value_info(last, kind, ["N", sizes[-1]])],
        weights,
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def _ask(address: str) -> list[Answer]:
    with ThreadPoolExecutor(CLIENTS) as threads:
        found = list(threads.map(_client, [address] * CLIENTS, range(CLIENTS)))
    return [answer for answers in found for answer in answers]


def _client(address: str, number: int) -> list[Answer]:
    """Ask a few times, the next as soon as the last is answered."""
    connection = HTTPConnection(address.removeprefix("http://"))
    connection.connect()
    body = json.dumps({"inputs": [[0.5] * 256]})
    # They come one after the other, so that the first runs are small.
    time.sleep(0.1 + number * 0.003)
    answers = []
    for _ in range(ASKED):
        sent = time.perf_counter() * 1e3
        connection.request("POST", "/predict", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read()
        total = time.perf_counter() * 1e3 - sent
        times = dict(re.findall(r"(\w+);dur=([\d.]+)", response.headers["server-timing"]))
        answers.append(Answer(number, sent, float(times["queue"]), float(times["run"]), total))
    connection.close()
    return answers


def save(figure: plt.Figure, name: str) -> None:
    """Without a date, so that the same run gives the same file."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """All three."""
    with mpl.rc_context(STYLE):
        made = trained()
        batch_norm(made)
        certificate(made)
        batching()


if __name__ == "__main__":
    main()
