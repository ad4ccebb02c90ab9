"""One folder over a directory of models, in a process of its own, so that a crash is counted and not fatal.

    python folding_worker.py FOLDER MODELS RESULTS

Writes RESULTS/name.onnx, or RESULTS/name.error with the message. Models that have a result are passed over.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import onnx


def foldserve(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    from training.folding import fold_onnx

    return fold_onnx(model).model


def onnxruntime(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Its basic level, which holds its folds and stays within ONNX; the higher ones fold no more."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return onnx.load(path)


def onnxscript(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """Its optimizer and every rule about BatchNormalization and biases."""
    import onnx_ir as ir
    from onnxscript import optimizer, rewriter
    from onnxscript.rewriter.rules import common

    graph = ir.from_proto(model)
    optimizer.optimize(graph)
    telling = ("batchnorm", "conv_affine", "affine_conv", "matmul_add", "optional_bias")
    names = [n for n in dir(common) if any(part in n for part in telling) and not n.startswith("gemm_to")]
    chosen = [getattr(common, name) for name in names]
    rules = [
        rule for item in chosen for rule in getattr(item, "rules", [item]) if hasattr(rule, "try_rewrite")
    ]
    graph = rewriter.rewrite(graph, pattern_rewrite_rules=rules)
    optimizer.optimize(graph)
    return ir.to_proto(graph)


def onnxslim(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    import onnxslim as peer

    return peer.slim(model)


def onnxsim(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    import onnxsim as peer

    return peer.simplify(model)[0]


def onnxoptimizer(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    import onnxoptimizer as peer

    return peer.optimize(model, peer.get_fuse_and_elimination_passes())


FOLDERS: dict[str, Callable[[onnx.ModelProto, Path], onnx.ModelProto]] = {
    folder.__name__: folder
    for folder in (foldserve, onnxruntime, onnxscript, onnxslim, onnxsim, onnxoptimizer)
}


def main(folder: str, models: Path, results: Path) -> None:
    for source in sorted(models.glob("*.onnx")):
        result, error = results / source.name, results / f"{source.stem}.error"
        if result.exists() or error.exists():
            continue
        error.write_text("the process died")
        try:
            folded = FOLDERS[folder](onnx.load(source), results / "scratch.model")
            result.write_bytes(folded.SerializeToString())
            error.unlink()
        except Exception as failure:
            error.write_text(f"{type(failure).__name__}: {failure}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
