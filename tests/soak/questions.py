"""What is asked, and what the two versions of each model would answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from service.session import Session
from tests.soak.wire import Answer, post

Array = NDArray[np.float32]
Judge = Callable[[Answer], str | None]
"""The fault of an answer, or None."""


@dataclass(frozen=True)
class Question:
    """A request and what its answer must be.

    Attributes:
        kind: what it is called in the tally.
        refusals: the statuses besides 200 that are right for it.
        bad: whether it must be refused.
    """

    kind: str
    request: bytes
    rows: int
    judge: Judge
    refusals: frozenset[int] = frozenset({503})
    bad: bool = False


def network(sizes: Sequence[int], seed: int) -> onnx.ModelProto:
    """Linear layers with ReLU between them. Shape: x (N, sizes[0]) → y (N, sizes[-1])."""
    generator = np.random.default_rng(seed)
    nodes, constants, name = [], [], "x"
    for index, (wide, out) in enumerate(pairwise(sizes)):
        last = index == len(sizes) - 2
        weight = generator.normal(0, wide**-0.5, (wide, out)).astype(np.float32)
        constants += [
            numpy_helper.from_array(weight, f"W{index}"),
            numpy_helper.from_array(weight[0], f"b{index}"),
        ]
        gemm = "y" if last else f"z{index}"
        nodes.append(helper.make_node("Gemm", [name, f"W{index}", f"b{index}"], [gemm]))
        if not last:
            nodes.append(helper.make_node("Relu", [gemm], [f"h{index}"]))
            name = f"h{index}"
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", sizes[0]])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", sizes[-1]])]
    graph = helper.make_graph(nodes, "soak", inputs, outputs, constants)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def questions(versions: dict[str, list[Path]]) -> list[Question]:
    """All that will be asked, over and over; `versions` holds the files that take turns under each name."""
    asked: list[Question] = []
    generator = np.random.default_rng(7)
    for name, files in versions.items():
        sessions = [Session(file) for file in files]
        wide = sessions[0].inputs[0].shape[1]
        assert wide is not None
        for rows in (1, 1, 1, 4, 64) if name == "light" else (1, 1, 3, 8):
            x = generator.normal(size=(rows, wide)).astype(np.float32)
            answers = [session.run({"x": x})[0] for session in sessions]
            asked += _of_one(name, x, answers)
    asked += _bad(next(iter(versions)))
    return asked


def _of_one(name: str, x: Array, answers: list[Array]) -> list[Question]:
    rows, shape = len(x), list(x.shape)
    body = orjson.dumps({"inputs": x}, option=orjson.OPT_SERIALIZE_NUMPY)
    path = f"/models/{name}/predict"
    tensor = {"name": "x", "datatype": "FP32", "shape": shape, "parameters": {"binary_data_size": x.nbytes}}
    header = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    length = {"inference_header_content_length": str(len(header))}
    infer = post(f"/v2/models/{name}/infer", header + x.tobytes(), "application/octet-stream", **length)
    lines = ",".join(f"f{i}" for i in range(shape[1])) + "\n"
    table = lines + "\n".join(",".join(f"{v:.9g}" for v in row) for row in x)
    late = post(path, body, x_request_timeout_ms="3")
    return [
        Question(f"{name} json", post(path, body), rows, _json(answers)),
        Question(f"{name} binary", infer, rows, _binary(answers)),
        Question(f"{name} csv", post(path, table.encode(), "text/csv"), rows, _json(answers)),
        Question(f"{name} 3 ms", late, rows, _json(answers), frozenset({503, 504})),
    ]


def _bad(name: str) -> list[Question]:
    bodies = [b"{", b'{"inputs": [[1]]}', b'{"inputs": [[NaN]]}', b"\xff", b"[" * 500]
    path = f"/models/{name}/predict"
    refused = frozenset({400, 422})
    return [Question("bad", post(path, body), 0, lambda _: None, refused, bad=True) for body in bodies]


def _json(answers: list[Array]) -> Judge:
    def judge(answer: Answer) -> str | None:
        got = np.array(json.loads(answer.body)["predictions"], np.float32)
        return _compared(got, answers)

    return judge


def _binary(answers: list[Array]) -> Judge:
    def judge(answer: Answer) -> str | None:
        start = int(answer.headers["inference-header-content-length"])
        return _compared(np.frombuffer(answer.body[start:], np.float32).reshape(answers[0].shape), answers)

    return judge


def _compared(got: NDArray[Any], answers: list[Array]) -> str | None:
    if any(got.tobytes() == answer.tobytes() for answer in answers):
        return None
    distance = min(float(np.abs(got - answer).max()) for answer in answers if answer.shape == got.shape)
    return f"equals neither version; the nearer one is {distance:.3g} away"
