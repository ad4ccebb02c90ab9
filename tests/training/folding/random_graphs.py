"""Random graphs out of the pieces that folding knows, and some that it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import onnx

from tests.training.folding.corpus.build import Graph


@dataclass
class State:
    """The graph so far: its last value, that value's shape, and earlier values to come back to."""

    g: Graph
    value: str
    shape: tuple[int, ...]
    earlier: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)

    def to(self, value: str, *shape: int) -> None:
        self.earlier.append((self.value, self.shape))
        self.value, self.shape = value, shape

    def pick(self, *choices: int) -> int:
        return int(self.g.random.choice(choices))


Piece = Callable[[State], None]


def conv(s: State) -> None:
    if len(s.shape) < 3 or min(s.shape[2:]) < 3:
        return
    rank, channels = len(s.shape) - 2, s.shape[1]
    out, group, pad = s.pick(2, 4, 6), s.pick(1, 2) if channels % 2 == 0 else 1, s.pick(0, 0, 1)
    w = s.g.weights(out, channels // group, *(3,) * rank)
    bias = [s.g.weights(out)] if s.pick(0, 1) else []
    h = s.g.node("Conv", s.value, w, *bias, group=group, pads=[pad] * 2 * rank)
    s.to(h, s.shape[0], out, *(n - 2 + 2 * pad for n in s.shape[2:]))


def gemm(s: State) -> None:
    if len(s.shape) != 2:
        return
    out, flip = s.pick(2, 4, 6), s.pick(0, 1)
    w = s.g.weights(*((out, s.shape[1]) if flip else (s.shape[1], out)))
    bias = [[], [s.g.weights(out)], [s.g.weights(s.shape[0], 1)]][s.pick(0, 1, 2)]
    h = s.g.node("Gemm", s.value, w, *bias, transB=flip, alpha=[1.0, 0.5][s.pick(0, 1)])
    s.to(h, s.shape[0], out)


def matmul(s: State) -> None:
    out = s.pick(2, 4, 6)
    h = s.g.node("MatMul", s.value, s.g.weights(s.shape[-1], out))
    if s.pick(0, 1):
        h = s.g.node("Add", h, s.g.weights(out))
    s.to(h, *s.shape[:-1], out)


def matmul_left(s: State) -> None:
    out = s.pick(2, 4)
    s.to(s.g.node("MatMul", s.g.weights(out, s.shape[-2]), s.value), *s.shape[:-2], out, s.shape[-1])


def batch_norm(s: State) -> None:
    s.to(s.g.bn(s.value, s.shape[1], positive=bool(s.pick(0, 1))), *s.shape)


def written_out(s: State) -> None:
    """One to four operators with constants along one axis, right or wrong."""
    axis = s.pick(*range(len(s.shape)))
    layout = [n if k == axis else 1 for k, n in enumerate(s.shape)]
    h = s.value
    for op in ("Sub", "Div", "Mul", "Add")[s.pick(0, 1, 2) :]:
        values = s.g.random.uniform(0.5, 1.5, layout)
        h = s.g.node(op, h, s.g.tensor(values if s.pick(0, 1) else values.reshape(-1)[0]))
    s.to(h, *s.shape)


def unary(s: State) -> None:
    op = ("Relu", "Identity", "Dropout", "Sigmoid", "Identity", "Dropout")[s.pick(*range(6))]
    s.to(s.g.node(op, s.value), *s.shape)


def flatten(s: State) -> None:
    axis = s.pick(1, -1)
    cut = axis % len(s.shape)
    shape = (int(np.prod(s.shape[:cut])), int(np.prod(s.shape[cut:])))
    s.to(s.g.node("Flatten", s.value, axis=axis), *shape)


def transpose(s: State) -> None:
    order = [int(k) for k in s.g.random.permutation(len(s.shape))]
    s.to(s.g.node("Transpose", s.value, perm=order), *(s.shape[k] for k in order))


def reshape(s: State) -> None:
    axis = s.pick(*range(len(s.shape)))
    if s.shape[axis] % 2 or len(s.shape) > 4:
        return
    shape = (*s.shape[:axis], s.shape[axis] // 2, 2, *s.shape[axis + 1 :])
    s.to(s.g.node("Reshape", s.value, s.g.ints(*shape)), *shape)


def unsqueeze(s: State) -> None:
    if len(s.shape) > 3:
        return
    axis = s.pick(*range(len(s.shape) + 1))
    s.to(s.g.node("Unsqueeze", s.value, s.g.ints(axis)), *s.shape[:axis], 1, *s.shape[axis:])


def squeeze(s: State) -> None:
    if 1 in s.shape and len(s.shape) > 2:
        axis = s.shape.index(1)
        s.to(s.g.node("Squeeze", s.value, s.g.ints(axis)), *s.shape[:axis], *s.shape[axis + 1 :])


def pool(s: State) -> None:
    if len(s.shape) != 4 or min(s.shape[2:]) < 2:
        return
    op = ("MaxPool", "AveragePool")[s.pick(0, 1)]
    pads = [s.pick(0, 1)] * 4
    count = {"count_include_pad": s.pick(0, 1)} if op == "AveragePool" else {}
    h = s.g.node(op, s.value, kernel_shape=[2, 2], pads=pads, **count)
    s.to(h, *s.shape[:2], *(n - 1 + 2 * pads[0] for n in s.shape[2:]))


def global_pool(s: State) -> None:
    if len(s.shape) > 2:
        s.to(s.g.node("GlobalAveragePool", s.value), *s.shape[:2], *(1 for _ in s.shape[2:]))


def join(s: State) -> None:
    """Add, subtract or concatenate with an earlier value of the same shape."""
    same = [value for value, shape in s.earlier if shape == s.shape and value != s.value]
    if not same:
        return
    other = same[s.pick(*range(len(same)))]
    axis = s.pick(*range(len(s.shape)))
    if s.pick(0, 1) and int(np.prod(s.shape)) < 500:
        grown = tuple(2 * n if k == axis else n for k, n in enumerate(s.shape))
        s.to(s.g.node("Concat", s.value, other, axis=axis), *grown)
    else:
        s.to(s.g.node(("Add", "Sub")[s.pick(0, 1)], other, s.value), *s.shape)


def branches(s: State) -> None:
    """Two layers on the same value, joined."""
    start, shape = s.value, s.shape
    layer = conv if len(shape) == 4 else matmul
    layer(s)
    first, one = s.value, s.shape
    s.value, s.shape = start, shape
    layer(s)
    if s.value == start:
        return
    if s.shape == one and s.pick(0, 1):
        s.to(s.g.node("Add", first, s.value), *one)
    elif (*s.shape[:1], *s.shape[2:]) == (*one[:1], *one[2:]):
        s.to(s.g.node("Concat", first, s.value, axis=1), one[0], one[1] + s.shape[1], *one[2:])


def tap(s: State) -> None:
    """The value is also an output of the graph."""
    if s.value not in {info.name for info in s.g.outputs} | {info.name for info in s.g.inputs}:
        s.g.output(s.value, *s.shape)


def share(s: State) -> None:
    """The next node uses a copy of a tensor under a second name, through Identity."""
    if s.g.stored:
        tensor = s.g.stored[s.pick(*range(len(s.g.stored)))]
        copy = s.g.node("Identity", tensor.name)
        for node in s.g.nodes[:-1]:
            for k, name in enumerate(node.input):
                if name == tensor.name and node.op_type in ("Conv", "Gemm", "BatchNormalization"):
                    position = s.g.nodes.index(node)
                    s.g.nodes.insert(position, s.g.nodes.pop())
                    node.input[k] = copy
                    return


PIECES: tuple[Piece, ...] = (
    conv,
    gemm,
    matmul,
    matmul_left,
    batch_norm,
    batch_norm,
    batch_norm,
    written_out,
    written_out,
    unary,
    flatten,
    transpose,
    reshape,
    unsqueeze,
    squeeze,
    pool,
    global_pool,
    join,
    branches,
    tap,
    share,
)


def build(pieces: list[Piece], seed: int, rank: int) -> onnx.ModelProto:
    """A model of these pieces in this order; what does not fit is passed over."""
    g = Graph(opset=17, seed=seed)
    shape = {2: (4, 6), 3: (2, 4, 6), 4: (2, 4, 6, 6)}[rank]
    state = State(g, g.input(*shape), shape)
    for piece in pieces:
        piece(state)
    if state.value in {info.name for info in g.inputs}:
        unary(state)
    if state.value not in {info.name for info in g.outputs}:
        g.output(state.value, *state.shape)
    return g.model()
