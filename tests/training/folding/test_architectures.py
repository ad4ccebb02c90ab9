"""Graphs this project did not make: what torch exports for architectures that people use."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest

from tests.training.folding.test_corpus import assert_same_numbers, assert_sound
from training.folding import Reason, fold_onnx

torch = pytest.importorskip("torch")
nn = torch.nn


def _conv(inner: int, outer: int, size: int = 3, **options: Any) -> Any:
    return nn.Conv2d(inner, outer, size, padding=size // 2, bias=False, **options)


class ResNetBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(8, 8), nn.BatchNorm2d(8), nn.ReLU(), _conv(8, 8), nn.BatchNorm2d(8))
        self.skip = nn.Sequential(_conv(8, 8, 1), nn.BatchNorm2d(8))

    def forward(self, x: Any) -> Any:
        return torch.relu(self.body(x) + self.skip(x))


class InvertedResidual(nn.Module):
    """MobileNet: expand, depthwise, project, add."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(8, 16, 1),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            _conv(16, 16, groups=16),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            _conv(16, 8, 1),
            nn.BatchNorm2d(8),
        )

    def forward(self, x: Any) -> Any:
        return x + self.body(x)


class PreActivation(nn.Module):
    """DenseNet: normalise, activate, convolve, join. The first of each two cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU(), _conv(8, 4), nn.BatchNorm2d(4), nn.ReLU())
        self.second = nn.Sequential(nn.BatchNorm2d(12), nn.ReLU(), _conv(12, 4))

    def forward(self, x: Any) -> Any:
        x = torch.cat([x, self.first(x)], dim=1)
        return torch.cat([x, self.second(x)], dim=1)


class UNetBlock(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(_conv(8, 12), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2))
        self.up = nn.Sequential(nn.ConvTranspose2d(12, 8, 2, stride=2), nn.BatchNorm2d(8), nn.ReLU())
        self.join = nn.Sequential(_conv(16, 8), nn.BatchNorm2d(8))

    def forward(self, x: Any) -> Any:
        return self.join(torch.cat([x, self.up(self.down(x))], dim=1))


class Mixer(nn.Module):
    """MLP-Mixer with BatchNorm for LayerNorm: over channels of (N, L, D), reached by a transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6))
        self.channels = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.norm = nn.BatchNorm1d(8)
        self.final = nn.BatchNorm1d(8)

    def forward(self, x: Any) -> Any:
        x = x + self.tokens(self.norm(x.transpose(1, 2))).transpose(1, 2)
        return self.final(self.channels(x).transpose(1, 2))


def _mlp(*sizes: int, first: bool = False) -> Any:
    layers: list[Any] = [nn.BatchNorm1d(sizes[0])] if first else []
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.BatchNorm1d(outer), nn.ReLU(), nn.Dropout(0.1)]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 3))


def _conv1d() -> Any:
    return nn.Sequential(
        nn.Conv1d(8, 12, 3),
        nn.BatchNorm1d(12),
        nn.ReLU(),
        nn.Conv1d(12, 6, 3, dilation=2),
        nn.BatchNorm1d(6),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
        nn.Linear(6, 2),
    )


def _conv3d() -> Any:
    return nn.Sequential(nn.Conv3d(8, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2))


def _autoencoder() -> Any:
    return nn.Sequential(
        *(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2), nn.BatchNorm1d(2)),
        *(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 8), nn.BatchNorm1d(8)),
    )


def _squeeze_excite() -> Any:
    return nn.Sequential(
        _conv(8, 8),
        nn.BatchNorm2d(8),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(8),
        nn.Linear(8, 4),
    )


IMAGE, LINE, ROW, VOLUME = (2, 8, 8, 8), (2, 8, 16), (4, 8), (2, 8, 4, 4, 4)
ARCHITECTURES: dict[str, tuple[Callable[[], Any], tuple[int, ...], int]] = {
    "resnet": (ResNetBlock, IMAGE, 0),
    "mobilenet": (InvertedResidual, IMAGE, 0),
    "densenet": (PreActivation, IMAGE, 2),
    "unet": (UNetBlock, IMAGE, 0),
    "mixer": (Mixer, (2, 6, 8), 1),
    "mlp": (lambda: _mlp(8, 16, 12), ROW, 0),
    "mlp_normalised_first": (lambda: _mlp(8, 16, first=True), ROW, 0),
    "conv1d": (_conv1d, LINE, 0),
    "conv3d": (_conv3d, VOLUME, 0),
    "autoencoder": (_autoencoder, ROW, 0),
    "pooled": (_squeeze_excite, IMAGE, 0),
}


def _settled(module: Any) -> Any:
    """With statistics as if it had been trained."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(part.running_mean, std=0.5)
            nn.init.uniform_(part.running_var, 0.5, 2.0)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.5)
    return module.eval()


def _exported(module: Any, shape: tuple[int, ...]) -> onnx.ModelProto:
    """As torch sees it, before any optimisation that might fold on its own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module, (torch.zeros(shape),), dynamo=True, optimize=False, verbose=False, opset_version=18
        )
    model: onnx.ModelProto = program.model_proto
    return model


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_architecture(name: str) -> None:
    make, shape, left = ARCHITECTURES[name]
    model = _exported(_settled(make()), shape)
    normalisations = sum(node.op_type == "BatchNormalization" for node in model.graph.node)
    assert normalisations, [node.op_type for node in model.graph.node]
    folded = fold_onnx(model)
    assert_sound(model, folded)
    assert_same_numbers(model, folded.model, tolerance=1e-4)
    remaining = sum(node.op_type == "BatchNormalization" for node in folded.model.graph.node)
    assert remaining == left, folded.report
    made = {name for node in folded.model.graph.node for name in node.output}
    read = {name for node in folded.model.graph.node for name in node.input}
    assert made <= read | {info.name for info in folded.model.graph.output}, "dead nodes are left"
    for entry in folded.report.entries:
        if entry.kind == "BatchNormalization" and entry.direction == "left":
            assert entry.reason in (Reason.NO_LINEAR_NEIGHBOUR, Reason.OUTPUT_ALSO_USED, Reason.OTHER_AXIS)


def test_mean_row_error_is_no_worse_than_unfolded() -> None:
    """In float32, against float64: the fold may cost at most a tenth."""
    from tests.training.folding import reference
    from tests.training.folding.test_corpus import session

    for seed in range(5):
        torch.manual_seed(seed)
        model = _exported(_settled(_mlp(8, 64, 32)), (256, 8))
        folded = fold_onnx(model).model
        feeds = reference.feeds(model, seed)
        truth = reference.run(model, feeds)[0]
        size = np.abs(truth).max(axis=1)
        errors = [
            float((np.abs(session(m).run(None, feeds)[0] - truth).max(axis=1) / size).mean())
            for m in (model, folded)
        ]
        assert errors[1] <= 1.10 * errors[0], errors
