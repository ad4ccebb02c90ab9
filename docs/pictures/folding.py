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
from matplotlib.patches import FancyBboxPatch

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))

from tests.training.folding.corpus.build import Graph  # noqa: E402
from training.folding import fold_onnx  # noqa: E402

LINEAR, NORMAL, OTHER = "#d5e8db", "#f6dfb8", "#eeeeee"
COLOURS = {"Gemm": LINEAR, "MatMul": LINEAR, "Scaler": NORMAL, "BatchNormalization": NORMAL}
WIDTH, HEIGHT = 2.5, 0.62


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


def places(graph: onnx.GraphProto) -> dict[str, tuple[float, float]]:
    """Where the result of each node stands: one below the other, the embedding beside the numbers."""
    found: dict[str, tuple[float, float]] = {}
    row = 0
    for node in graph.node:
        if node.op_type == "Gather":
            found[node.output[0]] = (3.0, 0.0)
            row = max(row, 1)
        else:
            found[node.output[0]] = (0.0, -float(row))
            row += 1
    return found


def draw(axis: plt.Axes, graph: onnx.GraphProto, title: str, taken: dict[str, list[str]]) -> None:
    """Boxes with arrows from edge to edge; beside a layer, what it took."""
    where = places(graph)
    for node in graph.node:
        x, y = where[node.output[0]]
        colour = COLOURS.get(node.op_type, OTHER)
        corner = (x - WIDTH / 2, y - HEIGHT / 2)
        style = "round,pad=0,rounding_size=0.12"
        axis.add_patch(FancyBboxPatch(corner, WIDTH, HEIGHT, boxstyle=style, fc=colour, ec="#777777", lw=0.8))
        axis.text(x, y, node.op_type, ha="center", va="center", fontsize=9)
        words = "\n".join(f"+ {kind}" for kind in taken.get(node.name.removesuffix("_gemm"), ()))
        axis.text(x + WIDTH / 2 + 0.15, y, words, ha="left", va="center", fontsize=8, color="#a06a10")
        for source in (where[name] for name in node.input if name in where):
            start = (source[0], source[1] - HEIGHT / 2)
            end = (x + (0.6 if source[0] > x else 0.0), y + HEIGHT / 2)
            axis.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#777777", "lw": 0.9})
    axis.set_title(f"{title}: {len(graph.node)} nodes", fontsize=10, loc="left", x=0.12)
    axis.set_xlim(-1.6, 4.6)
    axis.set_ylim(-7.6, 0.6)
    axis.set_aspect("equal")
    axis.axis("off")


def main() -> None:
    """Fold the model and draw both graphs."""
    before = model()
    folded = fold_onnx(before)
    taken: dict[str, list[str]] = {}
    for entry in folded.report.entries:
        taken.setdefault(entry.into or "", []).append(entry.kind)
    figure, axes = plt.subplots(1, 2, figsize=(8, 5.2))
    draw(axes[0], before.graph, "before", {})
    draw(axes[1], folded.model.graph, "after", taken)
    figure.tight_layout()
    figure.savefig(HERE / "folding.png", dpi=130)


if __name__ == "__main__":
    main()
