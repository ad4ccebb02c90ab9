"""Moving an affine into the weights and bias of one linear operator: two formulas, on any axes.

Behind it: y = s·(W x + b) + t gives W' = s·W and b' = s·b + t.
Before it: y = W (s·x + t) + b gives W' = W·s and b' = b + W t.
"""

from __future__ import annotations

import math

import numpy as np

from training.folding.affine import amplification
from training.folding.onnx_graph.bias import Edit, OwnBias
from training.folding.onnx_graph.linear import AxisMap, Linear
from training.folding.onnx_graph.quantised import rescale
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.spread import Spread, still
from training.folding.onnx_graph.weights import Step, cut
from training.folding.onnx_graph.workspace import Workspace
from training.folding.precise import Array, Precise
from training.folding.report import Reason

_AMP_OUTPUTS = 256
"""Outputs of a layer by which its amplification is judged; a larger layer is sampled evenly."""

_AMP_GROUPS = 16
"""Groups of a grouped layer that are looked at."""


def absorb_after(workspace: Workspace, linear: Linear, after: Spread) -> list[Edit]:
    """Take over an affine on the result.

    Raises:
        Refused: it varies along an axis that the weights or the bias do not carry, or leaves the dtype.
    """
    where = f"the weights of {linear.name} do not carry"
    scale = _on_view(linear, linear.out, after.scale, where)
    if isinstance(linear.bias, OwnBias):
        step = Step(linear.view, scale, _on_view(linear, linear.out, after.shift, where))
        edits, _ = _weight_edits(workspace, linear, step)
        return edits
    bias = linear.bias.read(workspace, linear) * after.scale + after.shift
    edits, largest = _weight_edits(workspace, linear, Step(linear.view, scale))
    return [*linear.bias.edits(workspace, linear, bias, largest), *edits]


def absorb_before(
    workspace: Workspace, linear: Linear, before: Spread, amp_limit: float
) -> tuple[list[Edit], float]:
    """Take over an affine on the data operand; also says how much that amplifies rounding.

    Raises:
        Refused: as `absorb_after`; or a shift misses some outputs; or the amplification is too high.
    """
    where = f"the weights of {linear.name} do not carry"
    scale = _on_view(linear, linear.into, before.scale, where)
    if before.shift.is_zero:
        return _weight_edits(workspace, linear, Step(linear.view, scale))[0], 1.0
    if linear.obstacle:
        raise Refused(Reason.ZERO_PADDING, f"{linear.name} {linear.obstacle}")
    shift = _on_view(linear, linear.into, before.shift, where)
    bias = linear.bias.read(workspace, linear) + _on_result(linear, _contract(linear, shift))
    amp = _amplification(linear, before, scale, bias)
    if amp > amp_limit:
        raise Refused(Reason.AMP, f"amp {amp:.3g} is above the limit of {amp_limit:g}", amp)
    edits, largest = _weight_edits(workspace, linear, Step(linear.view, scale))
    return [*linear.bias.edits(workspace, linear, bias, largest), *edits], amp


def _weight_edits(workspace: Workspace, linear: Linear, step: Step) -> tuple[list[Edit], float]:
    if step.scale.is_one and step.shift is None:
        return [], linear.weights.check_range()
    weights = linear.weights.then(step)
    largest = weights.check_range()
    quantised = rescale(workspace, linear.node, linear.operand, step)
    if quantised is not None:
        return quantised, largest
    return [lambda: workspace.set_weights(linear.node, linear.operand, weights)], largest


def _on_view(linear: Linear, axes: AxisMap, array: Precise, where: str) -> Precise:
    """An array over the axes of a tensor, laid out over the weights instead."""
    array = still(array, [axis for axis in range(len(array.shape)) if axis not in axes], where)
    for axis, carriers in axes.items():
        if array.shape[axis] not in (1, math.prod(linear.view[k] for k in carriers)):
            raise Refused(
                Reason.OTHER_AXIS, f"axis {axis} of {linear.name} is shorter than the normalisation"
            )
    carried = [(k, array.shape[axis] != 1) for axis in sorted(axes) for k in axes[axis]]
    sizes = [linear.view[k] if varies else 1 for k, varies in carried]
    order = np.argsort([k for k, _ in carried])
    layout = [1] * len(linear.view)
    for (k, _), size in zip(carried, sizes, strict=True):
        layout[k] = size
    return array.map(lambda part: part.reshape(sizes).transpose(order).reshape(layout))


def _on_result(linear: Linear, array: Precise) -> Precise:
    """An array over the weights with the summed axes gone, laid out over the result."""
    carriers = [k for axis in sorted(linear.out) for k in linear.out[axis]]
    rest = [k for k in range(len(linear.view)) if k not in carriers]
    layout = [1] * linear.rank
    for axis, held in linear.out.items():
        layout[axis] = math.prod(array.shape[k] for k in held)
    return array.map(lambda part: part.transpose([*carriers, *rest]).reshape(layout))


def _contract(linear: Linear, shift: Precise) -> Precise:
    """α · Σ W t over the summed axes, which keep size 1; a block of weights at a time."""
    sizes = tuple(1 if k in linear.summed else size for k, size in enumerate(linear.view))
    total = Precise.of(np.zeros(sizes))
    for place, block in linear.weights.blocks(linear.view):
        at = tuple(slice(0, 1) if k in linear.summed else where for k, where in enumerate(place))
        products = block * cut(shift, place)
        part = products.sum(linear.summed).reshape(total.hi[at].shape)
        new = total.at(at) + part
        total.hi[at], total.lo[at] = new.hi, new.lo
    return total * Precise.of(linear.gain)


def _amplification(linear: Linear, before: Spread, scale: Precise, bias: Precise) -> float:
    """`affine.amplification` of the folded layer, evenly sampled; for groups, that of the worst."""
    inputs, outputs = _axes_by_role(linear)
    place = _sample(linear, outputs)
    weights = linear.weights.then(Step(linear.view, scale)).part(linear.view, place).hi * linear.gain
    order = [*inputs[0], *outputs, *inputs[1]]
    groups = math.prod(linear.view[k] for k in inputs[0])
    per_group = math.prod(linear.view[k] for k in inputs[1])
    matrices = weights.transpose(order).reshape(groups, -1, per_group)
    mean = _statistic(linear, before.mean, order, matrices.shape)
    deviation = _statistic(linear, before.deviation, order, matrices.shape)
    deviation = np.where(np.isnan(deviation), _guessed_deviation(matrices), deviation)
    offsets = _offsets(linear, bias, place, order).reshape(matrices.shape[:2])
    chosen = range(0, groups, -(-groups // _AMP_GROUPS))
    return max(amplification(matrices[g], offsets[g], mean[g], deviation[g]) for g in chosen)


def _axes_by_role(linear: Linear) -> tuple[tuple[list[int], list[int]], list[int]]:
    """The view's axes: those shared by input and result (groups), those summed over, the rest."""
    carried = {k for held in linear.into.values() for k in held}
    summed = list(linear.summed)
    shared = [k for k in range(len(linear.view)) if k in carried and k not in summed]
    return (shared, summed), [k for k in range(len(linear.view)) if k not in summed and k not in shared]


def _sample(linear: Linear, outputs: list[int]) -> tuple[slice, ...]:
    place = [slice(None)] * len(linear.view)
    if outputs:
        longest = max(outputs, key=lambda k: linear.view[k])
        place[longest] = slice(None, None, max(1, linear.view[longest] // _AMP_OUTPUTS))
    return tuple(place)


def _statistic(linear: Linear, values: Array, order: list[int], shape: tuple[int, ...]) -> Array:
    """A statistic of the data, one number for each input of each group."""
    others = tuple(axis for axis in range(values.ndim) if axis not in linear.into)
    laid = _on_view(linear, linear.into, Precise.of(values.mean(axis=others, keepdims=True)), "")
    _, outputs = _axes_by_role(linear)
    full = [1 if k in outputs else linear.view[k] for k in range(len(linear.view))]
    return np.broadcast_to(laid.hi, full).transpose(order).reshape(shape[0], shape[2])


def _offsets(linear: Linear, bias: Precise, place: tuple[slice, ...], order: list[int]) -> Array:
    """The bias, one number for each sampled output."""
    others = tuple(axis for axis in range(len(bias.shape)) if axis not in linear.out)
    laid = _on_view(linear, linear.out, Precise.of(bias.hi.mean(axis=others, keepdims=True)), "")
    full = [1 if k in linear.summed else size for k, size in enumerate(linear.view)]
    return np.asarray(np.broadcast_to(laid.hi, full)[place].transpose(order))


def _guessed_deviation(matrices: Array) -> Array:
    """Where nothing is known of x: a quarter of what would give a trained layer's usual sums of about 1."""
    column = np.sqrt(np.square(matrices).mean(axis=1) * matrices.shape[2])
    return np.where(column > 0, 0.25 / np.where(column > 0, column, 1.0), 1.0)
