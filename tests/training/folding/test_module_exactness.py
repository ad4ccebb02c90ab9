"""Every stored parameter is the number of its type that is nearest to the exact result."""

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from training.folding import fold_module

DIGITS = 10**60


def root(value: Fraction) -> Fraction:
    """A square root to 60 digits."""
    return Fraction(isqrt(value.numerator * DIGITS**2 // value.denominator), DIGITS)


def exact(tensor: Tensor) -> list[Fraction]:
    return [Fraction(value) for value in tensor.detach().double().flatten().tolist()]


def scales_and_shifts(norm: nn.BatchNorm1d) -> tuple[list[Fraction], list[Fraction]]:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    parts = zip(*map(exact, (norm.weight, norm.bias, norm.running_mean, norm.running_var)), strict=True)
    scales, shifts = [], []
    for gamma, beta, mean, var in parts:
        scale = gamma / root(var + Fraction(norm.eps))
        scales.append(scale)
        shifts.append(beta - scale * mean)
    return scales, shifts


def is_nearest(stored: float, wanted: Fraction, dtype: type) -> bool:
    value = dtype(stored)
    around = [np.nextafter(value, dtype(-np.inf)), value, np.nextafter(value, dtype(np.inf))]
    return min(around, key=lambda number: abs(Fraction(float(number)) - wanted)) == value


def badly_scaled(features: int) -> nn.BatchNorm1d:
    """Means up to 1e3, deviations down to 1e-4: biases cancel by many orders of magnitude."""
    norm = nn.BatchNorm1d(features)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    norm.running_mean.copy_(torch.randn(features) * torch.logspace(-2, 3, features))
    norm.running_var.copy_(torch.logspace(0, -8, features))
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


@pytest.mark.parametrize("seed", range(3))
def test_backward_folds_store_the_nearest_float32(seed: int) -> None:
    torch.manual_seed(seed)
    layer, norm = nn.Linear(24, 32), badly_scaled(32)
    assert norm.running_mean is not None
    layer.bias.data.copy_(norm.running_mean)  # b ≈ μ, the worst case for s·b + t
    folded = fold_module(nn.Sequential(layer, norm).eval(), (torch.randn(4, 24) * 1e-3,)).module
    scales, shifts = scales_and_shifts(norm)
    weight, bias = exact(layer.weight), exact(layer.bias)
    got = dict(folded.named_parameters())
    for row in range(32):
        assert is_nearest(got["0.bias"][row].item(), scales[row] * bias[row] + shifts[row], np.float32)
        for column in range(24):
            wanted = scales[row] * weight[row * 24 + column]
            assert is_nearest(got["0.weight"][row, column].item(), wanted, np.float32)


def test_forward_folds_store_the_nearest_float32() -> None:
    torch.manual_seed(0)
    norm, layer = nn.BatchNorm1d(24), nn.Linear(24, 16)
    assert norm.running_mean is not None
    norm.running_mean.normal_()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    folded = fold_module(nn.Sequential(nn.ReLU(), norm, layer).eval(), (torch.randn(4, 24),)).module
    scales, shifts = scales_and_shifts(norm)
    weight, bias = exact(layer.weight), exact(layer.bias)
    got = dict(folded.named_parameters())
    for row in range(16):
        columns = weight[row * 24 : row * 24 + 24]
        added = sum((w * t for w, t in zip(columns, shifts, strict=True)), Fraction(0))
        assert is_nearest(got["2.bias"][row].item(), bias[row] + added, np.float32)
        for column in range(24):
            wanted = scales[column] * columns[column]
            assert is_nearest(got["2.weight"][row, column].item(), wanted, np.float32)


def test_float16_is_rounded_once() -> None:
    torch.manual_seed(0)
    layer, norm = nn.Linear(8, 12).half(), nn.BatchNorm1d(12).half()
    nn.init.normal_(norm.weight)
    folded = fold_module(nn.Sequential(layer, norm).eval(), (torch.randn(4, 8).half(),)).module
    scales, _ = scales_and_shifts(norm)
    weight = exact(layer.weight)
    for i, stored in enumerate(dict(folded.named_parameters())["0.weight"].flatten().tolist()):
        assert is_nearest(stored, scales[i // 8] * weight[i], np.float16)


def test_bfloat16_is_rounded_once() -> None:
    """Through float32 this value would round to the even neighbour first, then the wrong way."""
    from training.folding.torch_module.rounding import rounded, wide

    value = 1 + 2.0**-8 + 2.0**-30
    assert rounded(wide([value]), torch.bfloat16).item() == 1 + 2.0**-7
    assert rounded(wide([1 + 2.0**-8]), torch.bfloat16).item() == 1.0


def test_subnormals_are_flushed() -> None:
    layer, norm = nn.Linear(3, 3), nn.BatchNorm1d(3)
    norm.weight.data.copy_(torch.tensor([1e-39, 1.0, 1e-38]))
    folded = fold_module(nn.Sequential(layer, norm).eval(), (torch.randn(4, 3),)).module
    tiny = torch.finfo(torch.float32).tiny
    stored = torch.cat([parameter.flatten() for parameter in folded.parameters()])
    assert ((stored == 0) | (stored.abs() >= tiny)).all()
    assert (stored[:3] == 0).all()


@pytest.mark.parametrize("model", ["realistic", "badly scaled"])
def test_folding_backward_is_as_accurate_as_not_folding(model: str) -> None:
    """Mean row error of folded ÷ unfolded ≤ 1.10 in float32."""
    torch.manual_seed(1)
    layers: list[nn.Module] = []
    for _ in range(3):
        norm = nn.BatchNorm1d(64) if model == "realistic" else badly_scaled(64)
        layer = nn.Linear(64, 64)
        assert norm.running_mean is not None
        if model == "badly scaled":
            layer.bias.data.copy_(norm.running_mean)
        layers += [layer, norm, nn.ReLU()]
    module = nn.Sequential(*layers).eval()
    rows = torch.randn(512, 64)
    folded = fold_module(module, (rows[:4],)).module
    with torch.no_grad():
        errors = []
        for candidate in (folded, module):
            got = candidate(rows).double()
            errors.append(got)
        truth = nn.Sequential(*layers).double()(rows.double())
        size = truth.abs().max(dim=1).values
        folded_error, error = (((e - truth).abs().max(dim=1).values / size).mean().item() for e in errors)
    assert folded_error <= 1.10 * error
