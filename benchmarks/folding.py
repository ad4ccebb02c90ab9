"""Folders side by side on the pattern corpus, and what folding costs.

    python benchmarks/folding.py [--quick]

Every folder gets the same graphs. A result is *invalid* if the checker or onnxruntime refuses it or the
interface changed, *wrong* if its numbers differ from a float64 reference, *folded* if no normalisation is
left and no more nodes run than a perfect folder leaves, and *left* otherwise. Nodes over constants alone do
not count: every runtime computes them once, when it loads the file. Peers live in benchmarks/.peers,
installed on first use. PyTorch modules are compared by `folding_modules`, in the same run.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import venv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from benchmarks.folding_modules import compare as compare_modules  # noqa: E402
from benchmarks.folding_modules import markdown  # noqa: E402
from tests.training.folding import reference  # noqa: E402
from tests.training.folding.corpus import Kind, Pattern, patterns  # noqa: E402
from tests.training.folding.test_corpus import session  # noqa: E402

PEERS = ("onnxruntime", "onnxscript", "onnxslim", "onnxsim", "onnxoptimizer")
OUTCOMES = ("folded", "left", "wrong", "invalid", "crashed")
COLOURS = ("#3b7d4f", "#c9c9c9", "#c0392b", "#e08e0b", "#4a4a4a")
RESULTS = ROOT / "results"


@dataclass(frozen=True)
class Verdict:
    """What one folder did with one pattern."""

    folder: str
    pattern: Pattern
    outcome: str
    detail: str = ""


def peer_python() -> Path:
    """The interpreter of the peers' environment, which is made on first use."""
    home = ROOT / ".peers"
    python = home / "bin" / "python"
    if not (home / "done").exists():
        venv.create(home, with_pip=True)
        wanted = ROOT / "peers" / "folding.txt"
        subprocess.run([python, "-m", "pip", "install", "-q", "-r", wanted], check=True)
        (home / "done").touch()
    return python


def fold_all(folder: str, models: Path, results: Path) -> None:
    """Run the worker until every model has a result: it is started again behind a model that killed it."""
    python = Path(sys.executable) if folder == "foldserve" else peer_python()
    command = [python, ROOT / "folding_worker.py", folder, models, results]
    for _ in range(1 + len(list(models.iterdir()))):
        ended = subprocess.run(command, cwd=ROOT.parent, env=_environment(), capture_output=True, check=False)
        if ended.returncode == 0:
            return


def _environment() -> dict[str, str]:
    import os

    return os.environ | {"PYTHONPATH": str(ROOT.parent), "OMP_NUM_THREADS": "1"}


def judge(folder: str, pattern: Pattern, original: onnx.ModelProto, results: Path) -> Verdict:
    """Look at one result."""
    path, error = results / f"{pattern.name}.onnx", results / f"{pattern.name}.error"
    if not path.exists() and folder == "onnxruntime" and not pattern.runs:
        return Verdict(folder, pattern, "left", "it has no kernel for these types or opsets")
    if not path.exists():
        return Verdict(folder, pattern, "crashed", error.read_text()[:200] if error.exists() else "no result")
    result = onnx.load(path)
    try:
        onnx.checker.check_model(result, full_check=True)
        if _interface(result) != _interface(original):
            return Verdict(folder, pattern, "invalid", "the interface changed")
        runner = session(result) if pattern.runs else None
    except Exception as failure:
        return Verdict(folder, pattern, "invalid", str(failure)[:200])
    feeds = reference.feeds(original)
    truth = reference.run(original, feeds)
    answer = runner.run(None, feeds) if runner is not None else _by_reference(result, feeds)
    if answer is None:
        return Verdict(folder, pattern, "invalid", "nothing can run it")
    if not _same(truth, answer, 10 * pattern.tolerance):
        return Verdict(folder, pattern, "wrong")
    standing = any(node.op_type in ("BatchNormalization", "Scaler") for node in result.graph.node)
    whole = not standing and (pattern.nodes is None or running_nodes(result) <= pattern.nodes)
    # Where nothing is to be done, having done nothing is what was wanted.
    wanted = pattern.kind not in (Kind.NOTHING, Kind.TRAP)
    return Verdict(folder, pattern, "folded" if whole and wanted else "left")


def running_nodes(model: onnx.ModelProto) -> int:
    """How many nodes depend on an input of the graph, subgraphs and functions counted whole."""
    graph = model.graph
    fed = {value.name for value in graph.input} - {tensor.name for tensor in graph.initializer}
    count = sum(len(function.node) for function in model.functions)
    for node in graph.node:
        inner = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
        if inner or fed & set(node.input):
            fed |= set(node.output)
            count += 1 + sum(len(body.node) for body in inner)
    return count


def _by_reference(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    try:
        return reference.run(model, feeds)
    except Exception:
        return None


def _interface(model: onnx.ModelProto) -> list[tuple[str, int]]:
    stored = {tensor.name for tensor in model.graph.initializer}
    values = [v for v in model.graph.input if v.name not in stored], model.graph.output
    return [(v.name, v.type.tensor_type.elem_type) for group in values for v in group]


def _same(truth: list[np.ndarray], answer: list[np.ndarray], tolerance: float) -> bool:
    for wanted, got in zip(truth, answer, strict=True):
        finite = np.isfinite(wanted)
        if wanted.shape != got.shape:
            return False
        if finite.all() and np.abs(wanted - got).max(initial=0) > tolerance * np.abs(wanted).max(
            initial=1e-6
        ):
            return False
    return True


def compare() -> list[Verdict]:
    """Every folder on every pattern."""
    corpus = patterns()
    verdicts: list[Verdict] = []
    with tempfile.TemporaryDirectory() as place:
        models = Path(place) / "models"
        models.mkdir()
        originals = {pattern.name: pattern.make() for pattern in corpus}
        for name, model in originals.items():
            (models / f"{name}.onnx").write_bytes(model.SerializeToString())
        for folder in ("foldserve", *PEERS):
            results = Path(place) / folder
            results.mkdir()
            fold_all(folder, models, results)
            verdicts += [judge(folder, p, originals[p.name], results) for p in corpus]
            print(folder, dict(Counter(v.outcome for v in verdicts if v.folder == folder)), flush=True)
    return verdicts


def table(verdicts: list[Verdict]) -> str:
    """Pattern class × folder, as markdown."""
    folders = list(dict.fromkeys(verdict.folder for verdict in verdicts))
    lines = ["| patterns | folder | " + " | ".join(OUTCOMES) + " |", "|---|---|" + "---|" * len(OUTCOMES)]
    for kind in Kind:
        for folder in folders:
            counts = Counter(v.outcome for v in verdicts if v.folder == folder and v.pattern.kind is kind)
            row = " | ".join(str(counts[outcome]) for outcome in OUTCOMES)
            lines.append(f"| {kind.value} ({counts.total()}) | {folder} | {row} |")
    return "\n".join(lines)


def picture(verdicts: list[Verdict], path: Path) -> None:
    """One bar for each folder: the patterns that fold exactly, then all patterns."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    folders = list(dict.fromkeys(verdict.folder for verdict in verdicts))
    exact = [v for v in verdicts if v.pattern.kind in (Kind.BACKWARD, Kind.FORWARD)]
    others = [v for v in verdicts if v.pattern.kind not in (Kind.BACKWARD, Kind.FORWARD)]
    figure, axes = plt.subplots(1, 2, figsize=(11, 3.2), sharey=True)
    titles = ("patterns that fold exactly", "patterns that fold in part or not at all")
    for axis, some, title in zip(axes, (exact, others), titles, strict=True):
        left = np.zeros(len(folders))
        for outcome, colour in zip(OUTCOMES, COLOURS, strict=True):
            counts = [sum(v.outcome == outcome for v in some if v.folder == folder) for folder in folders]
            axis.barh(folders, counts, left=left, color=colour, label=outcome)
            left += counts
        axis.set_title(title, fontsize=10)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].invert_yaxis()
    figure.legend(*axes[0].get_legend_handles_labels(), loc="lower center", ncols=5, frameon=False)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=150)


def cost(layers: int, width: int, external: bool) -> str:
    """Seconds and peak memory of one fold, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.onnx"
        _deep(layers, width, path, external)
        size = sum(file.stat().st_size for file in path.parent.iterdir())
        command = [sys.executable, __file__, "--fold", path, Path(place) / "folded.onnx"]
        ended = subprocess.run(command, env=_environment(), capture_output=True, text=True, check=True)
        seconds, peak, idle = map(float, ended.stdout.split())
    share = f"{(peak - idle) / size:.2f} × the model" if external else f"{peak / 1e6:.0f} MB"
    return f"| {layers:,} layers of {width}, {size / 1e6:,.0f} MB | {seconds:.2f} s | {share} |"


def _deep(layers: int, width: int, path: Path, external: bool) -> None:
    from tests.training.folding.corpus.build import Graph

    g = Graph()
    h = g.input("N", width)
    for _ in range(layers):
        weights = g.random.standard_normal((width, width), np.float32) / np.float32(width**0.5)
        h = g.node("Relu", g.bn(g.node("Gemm", h, g.tensor(weights), g.weights(width)), width))
    g.output(h, "N", width)
    onnx.save(g.model(), path, save_as_external_data=external, location="model.data")


def _fold_and_measure(source: Path, target: Path) -> None:
    from training.folding.onnx_graph import fold_file

    idle = _peak()
    start = time.perf_counter()
    fold_file(source, target)
    seconds = time.perf_counter() - start
    print(seconds, _peak(), idle)


def _peak() -> int:
    """Peak resident bytes since this program was started; getrusage would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def main() -> None:
    if sys.argv[1:2] == ["--fold"]:
        _fold_and_measure(Path(sys.argv[2]), Path(sys.argv[3]))
        return
    RESULTS.mkdir(exist_ok=True)
    costs = [cost(1000, 64, external=False)]
    if "--quick" not in sys.argv:
        costs.append(cost(16, 4096, external=True))
    costs_table = "\n".join(["| model | time | peak memory |", "|---|---|---|", *costs])
    print(costs_table, flush=True)
    verdicts = compare()
    modules = markdown(compare_modules())
    print(modules, flush=True)
    bad = [v for v in verdicts if v.outcome in ("wrong", "invalid", "crashed")]
    details = "\n".join(
        f"- {v.folder}, {v.pattern.name}: {v.outcome} {v.detail.splitlines()[:1]}" for v in bad
    )
    head = ("# Folding, side by side", "Written by `python benchmarks/folding.py`.")
    tables = ("## ONNX files", table(verdicts), "## PyTorch modules", modules, "## Cost of ours", costs_table)
    parts = (*head, *tables, "## Faults", details)
    text = "\n\n".join(parts) + "\n"
    (RESULTS / "folding.md").write_text(text, encoding="utf-8")
    picture(verdicts, RESULTS / "folding.png")
    print(table(verdicts))


if __name__ == "__main__":
    main()
