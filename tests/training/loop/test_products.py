"""Products in bfloat16: factors are rounded, and nothing else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from training.config import ModelConfig
from training.loop.products import LinearInBfloat16, fits_bfloat16
from training.loop.stack import Stack
from training.model import Residual

ROUNDING = 2.0**-8
"""Of a result that leaves the product in bfloat16."""


def rounded(values: Tensor) -> Tensor:
    """As the product sees them, in float64."""
    return values.detach().bfloat16().double()


def assert_close(ours: Tensor, exact: Tensor) -> None:
    """Row by row, against the largest of the row."""
    error = (ours.detach().double() - exact).abs().amax(1) / exact.abs().amax(1)
    assert float(error.max()) <= ROUNDING


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 2, 53])
def test_outputs_and_gradients_are_those_of_rounded_factors(rows: int, bias: bool) -> None:
    torch.manual_seed(rows)
    layer, x, g = nn.Linear(80, 64, bias=bias), torch.randn(rows, 80), torch.randn(rows, 64)
    step = LinearInBfloat16(layer)
    y, gx = step.forward(x), step.backward(g, further=True)
    shift = layer.bias.detach().double() if bias else 0.0
    assert_close(y - shift, rounded(x) @ rounded(layer.weight).t())
    assert_close(gx, rounded(g) @ rounded(layer.weight))
    assert layer.weight.grad is not None
    assert_close(layer.weight.grad, rounded(g).t() @ rounded(x))
    if bias:
        assert layer.bias.grad is not None
        torch.testing.assert_close(layer.bias.grad, g.sum(0))
    assert y.dtype == gx.dtype == layer.weight.grad.dtype == torch.float32


def test_a_weight_that_moved_is_rounded_anew() -> None:
    layer, x = nn.Linear(64, 64), torch.randn(4, 64)
    step = LinearInBfloat16(layer)
    step.forward(x)
    with torch.no_grad():
        layer.weight.mul_(2.0).add_(0.1)
    moved = step.forward(x) - layer.bias.detach()
    assert_close(moved, rounded(x) @ rounded(layer.weight).t())


@pytest.mark.parametrize(
    ("layer", "fits"),
    [
        (nn.Linear(64, 64), True),
        (nn.Linear(784, 10), False),
        (nn.Linear(8, 256), False),
        (nn.Linear(64, 64, dtype=torch.float64), False),
    ],
    ids=["wide", "head", "few-numbers", "float64"],
)
def test_only_wide_layers_of_float32_are_rounded(layer: nn.Linear, fits: bool) -> None:
    assert fits_bfloat16(layer) is fits


def test_layers_beside_a_shortcut_are_rounded_too_and_only_on_demand() -> None:
    draws = torch.Generator().manual_seed(0)
    inner = Residual(64, 96, ModelConfig(dropout=0.0), draws)
    x = torch.randn(32, 64, generator=draws)

    def answer(precision: str) -> Tensor:
        stack = Stack.of([inner], precision)  # type: ignore[arg-type]
        assert stack is not None
        with torch.no_grad():
            return stack.forward(x.clone())

    plain, lower = answer("float32"), answer("bf16")
    assert torch.equal(plain, inner(x).detach())
    assert not torch.equal(plain, lower)
    assert float((plain - lower).abs().max()) < 0.05
