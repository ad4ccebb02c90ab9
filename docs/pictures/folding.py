"""Draws docs/pictures/folding.png: one graph before and after folding.

python docs/pictures/folding.py
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import onnx

mpl.use("Agg")
from matplotlib import pyplot as plt

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.training.folding.corpus.build import Graph  # noqa: E402
from training.folding import fold_onnx  # noqa: E402

LINEAR, NORMAL, OTHER = "#cfe3d4", "#f3d9b1", "#e6e6e6"
COLOURS = {"Gemm": LINEAR, "Conv": LINEAR, "MatMul": LINEAR, "Scaler": NORMAL, "BatchNormalization": NORMAL}


def model() -> onnx.ModelProto:
    """A table model: standardised numbers joined with an embedding, two layers, each normalised."""
    g = Graph(ml=True)
    numbers = g.node("Scaler", g.input("N", 4), domain="ai.onnx.ml", offset=[0.5], scale=[2.0])
    table = g.node("Gather", g.weights(9, 3), g.input("N", dtype=int))
    h = g.node("Gemm", g.node("Concat", numbers, table, axis=1), g.weights(7, 8), g.weights(8))
    h = g.node("Relu", g.bn(h, 8))
    h = g.bn(g.node("Dropout", g.node("MatMul", h, g.weights(8, 2))), 2)
    g.output(h, "N", 2)
    return g.model()


def draw(axis: plt.Axes, graph: onnx.GraphProto, title: str) -> None:
    """Nodes in the order of the file, the embedding beside the numbers."""
    side = {"Gather"}
    places: dict[str, tuple[float, float]] = {}
    height = 0.0
    for node in graph.node:
        beside = node.op_type in side
        height += 0.0 if beside and height else 1.0
        places[node.output[0]] = (1.6 if beside else 0.0, -height)
        x, y = places[node.output[0]]
        box = {"boxstyle": "round,pad=0.35", "fc": COLOURS.get(node.op_type, OTHER), "ec": "#555555"}
        axis.text(x, y, node.op_type, ha="center", va="center", fontsize=9, bbox=box, zorder=3)
    for node in graph.node:
        for name in node.input:
            if name in places:
                axis.annotate(
                    "", places[node.output[0]], places[name], arrowprops={"arrowstyle": "-|>", "shrinkB": 12}
                )
    axis.set_title(f"{title}: {len(graph.node)} nodes", fontsize=10)
    axis.set_xlim(-1.2, 2.6)
    axis.set_ylim(-9.5, -0.4)
    axis.axis("off")


def main() -> None:
    before = model()
    figure, axes = plt.subplots(1, 2, figsize=(7, 5.5))
    draw(axes[0], before.graph, "before")
    draw(axes[1], fold_onnx(before).model.graph, "after")
    figure.tight_layout()
    figure.savefig(HERE / "folding.png", dpi=120)


if __name__ == "__main__":
    main()
