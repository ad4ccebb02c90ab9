"""Small ONNX files made with onnx alone, for tests of the service: nothing of the training package."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.metadata import KEY

FLOAT, DOUBLE, INT64, STRING = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.STRING
BOOL, HALF = TensorProto.BOOL, TensorProto.FLOAT16
CITIES = ["Oslo", "Köln", "北京"]

_PLAIN = frozenset(
    [
        "BOOL",
        "UINT8",
        "UINT16",
        "UINT32",
        "UINT64",
        "INT8",
        "INT16",
        "INT32",
        "INT64",
        "FLOAT16",
        "FLOAT",
        "DOUBLE",
        "STRING",
    ]
)


def linear(
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    *,
    rows: int | str = "N",
    dtype: int = FLOAT,
    softmax: bool = False,
    properties: dict[str, str] | None = None,
) -> onnx.ModelProto:
    """y = x·weight + bias, optionally through Softmax. Shape: weight (features, outputs)."""
    numpy_dtype = helper.tensor_dtype_to_np_dtype(dtype)
    constants = [
        numpy_helper.from_array(weight.astype(numpy_dtype), "W"),
        numpy_helper.from_array(bias.astype(numpy_dtype), "b"),
    ]
    nodes = [helper.make_node("Gemm", ["x", "W", "b"], ["z" if softmax else "y"])]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["z"], ["y"], axis=-1))
    model = _model(
        nodes,
        [helper.make_tensor_value_info("x", dtype, [rows, weight.shape[0]])],
        [helper.make_tensor_value_info("y", dtype, [rows, weight.shape[1]])],
        constants,
    )
    helper.set_model_props(model, properties or {})
    return model


def mlp(*widths: int) -> onnx.ModelProto:
    """Gemm and Relu, again and again; the weights are small random numbers."""
    random = np.random.default_rng(0)
    nodes, constants = [], []
    for layer, (d_in, d_out) in enumerate(pairwise(widths)):
        weight = random.normal(0, d_in**-0.5, (d_in, d_out)).astype(np.float32)
        constants.append(numpy_helper.from_array(weight, f"W{layer}"))
        nodes.append(helper.make_node("Gemm", [f"h{layer}", f"W{layer}"], [f"z{layer}"]))
        nodes.append(helper.make_node("Relu", [f"z{layer}"], [f"h{layer + 1}"]))
    return _model(
        nodes,
        [helper.make_tensor_value_info("h0", FLOAT, ["N", widths[0]])],
        [helper.make_tensor_value_info(f"h{len(widths) - 1}", FLOAT, ["N", widths[-1]])],
        constants,
    )


def identity(dtype: int, shape: Sequence[int | str | None], inputs: int = 1) -> onnx.ModelProto:
    """Each input handed through to an output of its own."""
    names = [(f"x{index}", f"y{index}") for index in range(inputs)]
    return _model(
        [helper.make_node("Identity", [x], [y]) for x, y in names],
        [helper.make_tensor_value_info(x, dtype, shape) for x, _ in names],
        [helper.make_tensor_value_info(y, dtype, shape) for _, y in names],
        [],
    )


def of_all_datatypes() -> onnx.ModelProto:
    """An input and an output of every datatype that onnxruntime hands through, each of rank 2."""
    kinds = {name: value for name, value in TensorProto.DataType.items() if name in _PLAIN}
    names = {f"in_{name.lower()}": (f"out_{name.lower()}", kind) for name, kind in kinds.items()}
    return _model(
        [helper.make_node("Identity", [x], [y]) for x, (y, _) in names.items()],
        [helper.make_tensor_value_info(x, kind, ["N", "M"]) for x, (_, kind) in names.items()],
        [helper.make_tensor_value_info(y, kind, ["N", "M"]) for y, kind in names.values()],
        [],
    )


def one_input_per_column() -> onnx.ModelProto:
    """What skl2onnx makes of a data frame: a number, a double, an integer, a truth value and a text go in, a
    label and its probabilities come out; unknown cities count as none."""
    nodes = [
        helper.make_node("LabelEncoder", ["city"], ["place"], domain="ai.onnx.ml", **_encoding(CITIES)),
        *(helper.make_node("Cast", [name], [f"{name}_f"], to=FLOAT) for name in ("score", "vip", "place")),
        helper.make_node("Cast", ["visits"], ["visits_v"], to=FLOAT),
        helper.make_node("Reshape", ["visits_v", "column"], ["visits_f"]),
        helper.make_node("Concat", ["age", "score_f", "visits_f", "vip_f", "place_f"], ["all"], axis=1),
        helper.make_node("Gemm", ["all", "W"], ["z"]),
        helper.make_node("Softmax", ["z"], ["probabilities"], axis=-1),
        helper.make_node("ArgMax", ["z"], ["best"], axis=1, keepdims=0),
        helper.make_node(
            "LabelEncoder", ["best"], ["label"], domain="ai.onnx.ml",
            keys_int64s=[0, 1], values_strings=["no", "yes"],
        ),
    ]  # fmt: skip
    weight = np.array([[0.5, -0.5], [-1, 1], [0.1, 0.2], [0, 1], [0.3, -0.2]], np.float32)
    model = _model(
        nodes,
        [
            helper.make_tensor_value_info("age", FLOAT, [None, 1]),
            helper.make_tensor_value_info("score", DOUBLE, [None, 1]),
            helper.make_tensor_value_info("visits", INT64, [None]),
            helper.make_tensor_value_info("vip", BOOL, [None, 1]),
            helper.make_tensor_value_info("city", STRING, [None, 1]),
        ],
        [
            helper.make_tensor_value_info("label", STRING, [None]),
            helper.make_tensor_value_info("probabilities", FLOAT, [None, 2]),
        ],
        [numpy_helper.from_array(weight, "W"), numpy_helper.from_array(np.array([-1, 1]), "column")],
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    return model


def numeric_and_categorical(properties: dict[str, str], known: Sequence[str] = CITIES) -> onnx.ModelProto:
    """What `foldserve train` makes of a mixed table: numbers in one input, texts in another. A missing number
    counts as 100, a missing text as 10, an unknown one as −1."""
    texts = ["", *known]
    nodes = [
        helper.make_node("IsNaN", ["numeric"], ["gaps"]),
        helper.make_node("Where", ["gaps", "hundred", "numeric"], ["numbers"]),
        helper.make_node("LabelEncoder", ["categorical"], ["place"], domain="ai.onnx.ml", **_encoding(texts)),
        helper.make_node("Cast", ["place"], ["places"], to=FLOAT),
        helper.make_node("Concat", ["numbers", "places"], ["all"], axis=1),
        helper.make_node("Gemm", ["all", "W"], ["z"]),
        helper.make_node("Softmax", ["z"], ["probabilities"], axis=-1),
    ]
    weight = np.array([[0.01, 0.02], [-0.1, 0.1], [0.3, -0.2]], np.float32)
    model = _model(
        nodes,
        [
            helper.make_tensor_value_info("numeric", FLOAT, ["N", 2]),
            helper.make_tensor_value_info("categorical", STRING, ["N", 1]),
        ],
        [helper.make_tensor_value_info("probabilities", FLOAT, ["N", 2])],
        [
            numpy_helper.from_array(weight, "W"),
            numpy_helper.from_array(np.array(100, np.float32), "hundred"),
        ],
    )
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
    helper.set_model_props(model, properties)
    return model


def _encoding(texts: list[str]) -> dict[str, Any]:
    return {"keys_strings": texts, "values_int64s": list(range(len(texts))), "default_int64": -1}


def lookup() -> onnx.ModelProto:
    """y = table[i], which has no result for an index beyond the table. Shape: table (N,), i (K,)."""
    return _model(
        [helper.make_node("Gather", ["table", "i"], ["y"])],
        [
            helper.make_tensor_value_info("table", FLOAT, ["N"]),
            helper.make_tensor_value_info("i", INT64, ["K"]),
        ],
        [helper.make_tensor_value_info("y", FLOAT, ["K"])],
        [],
    )


def make_external(tensor: onnx.TensorProto, location: str) -> None:
    """Let a tensor's data be in a file of their own."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def put(model: onnx.ModelProto, folder: Path, name: str, version: int | str = 1) -> Path:
    """Write a model where a server finds it."""
    path = folder / name / str(version) / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def metadata_property(document: str) -> dict[str, str]:
    """The property that holds a file's metadata."""
    return {KEY: document}


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    constants: list[onnx.TensorProto],
) -> onnx.ModelProto:
    graph = helper.make_graph(nodes, "test", inputs, outputs, constants)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
