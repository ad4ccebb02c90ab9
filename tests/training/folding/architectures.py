"""Small forms of a dozen known architectures, each with its inputs and the normalisations it must keep.

Residual networks (He et al. 2016), inverted residuals (Sandler et al. 2018), dense blocks (Huang et al.),
U-Net (Ronneberger et al. 2015), Mixer (Tolstikhin et al. 2021), PointNet (Qi et al. 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from tests.training.folding.module_corpus import fn, randomised

Case = tuple[nn.Module, tuple[Any, ...], int]


def conv(inputs: int, outputs: int, kernel: int = 3, **options: Any) -> nn.Sequential:
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False, **options)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


def images(channels: int = 3, size: int = 12) -> tuple[Tensor]:
    return (torch.randn(2, channels, size, size),)


def resnet_block() -> Case:
    def forward(m: Any, x: Tensor) -> Tensor:
        return (m.second(m.first(x)) + m.short(x)).relu()

    short = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2, bias=False), nn.BatchNorm2d(8))
    second = conv(8, 8)[:2]
    return fn(forward, first=conv(3, 8, stride=2), second=second, short=short), images(), 0


def bottleneck() -> Case:
    parts = {"a": conv(8, 4, 1), "b": conv(4, 4, groups=2), "c": conv(4, 8, 1)[:2]}
    return fn(lambda m, x: (m.c(m.b(m.a(x))) + x).relu(), **parts), images(8), 0


def inverted_residual() -> Case:
    expand = nn.Sequential(nn.Conv2d(4, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
    depthwise = nn.Sequential(
        nn.Conv2d(16, 16, 3, padding=1, groups=16, bias=False), nn.BatchNorm2d(16), nn.ReLU6()
    )
    project = nn.Sequential(nn.Conv2d(16, 4, 1, bias=False), nn.BatchNorm2d(4))
    net = nn.Sequential(expand, depthwise, project)
    return fn(lambda m, x: x + m.net(x), net=net), images(4), 0


def squeeze_excite() -> Case:
    gate = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 2, 1), nn.SiLU(), nn.Conv2d(2, 8, 1), nn.Sigmoid()
    )
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU())

    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.body(x)
        return m.last(y * m.gate(y))

    return fn(forward, body=body, gate=gate, last=conv(8, 8)), images(), 0


def dense_block() -> Case:
    """Pre-activation: the norms over what is re-used stay, the one between the two convolutions goes."""

    def layer(inputs: int) -> nn.Sequential:
        first = [nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 8, 1, bias=False)]
        return nn.Sequential(*first, nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1, bias=False))

    def forward(m: Any, x: Tensor) -> Tensor:
        x = torch.cat([x, m.a(x)], 1)
        return torch.cat([x, m.b(x)], 1)

    return fn(forward, a=layer(6), b=layer(10)), images(6), 2


def cnn_1d() -> Case:
    blocks = [nn.Conv1d(2, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)]
    blocks += [
        nn.Conv1d(8, 8, 3, padding=1),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
    ]
    return nn.Sequential(*blocks, nn.BatchNorm1d(8), nn.Linear(8, 3)), (torch.randn(3, 2, 20),), 0


def unet_block() -> Case:
    def forward(m: Any, x: Tensor) -> Tensor:
        across = m.down(x)
        return m.merge(torch.cat([m.up(m.bottom(across)), across], 1))

    bottom = nn.Sequential(nn.MaxPool2d(2), conv(8, 16))
    up = nn.Sequential(nn.ConvTranspose2d(16, 8, 2, stride=2), nn.BatchNorm2d(8), nn.ReLU())
    return fn(forward, down=conv(3, 8), bottom=bottom, up=up, merge=conv(16, 4)), images(), 0


def mixer() -> Case:
    """Tokens × channels: the norms over channels sit between a transpose and its way back."""

    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.embed(x)
        y = y + m.tokens(m.first(y.transpose(1, 2))).transpose(1, 2)
        return m.head(m.second((y + m.channels(y)).transpose(1, 2)).mean(2))

    def block(width: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    parts = {"embed": nn.Linear(5, 8), "first": nn.BatchNorm1d(8), "second": nn.BatchNorm1d(8)}
    parts |= {"tokens": block(6), "channels": block(8), "head": nn.Linear(8, 3)}
    return fn(forward, **parts), (torch.randn(2, 6, 5),), 1


def autoencoder() -> Case:
    encoder = nn.Sequential(
        nn.Linear(12, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3), nn.BatchNorm1d(3)
    )
    decoder = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 12), nn.Sigmoid())
    return nn.Sequential(encoder, decoder), (torch.randn(4, 12),), 0


def conv_autoencoder() -> Case:
    encoder = nn.Sequential(conv(3, 8, stride=2), conv(8, 4, stride=2))
    up = [nn.ConvTranspose2d(4, 8, 4, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
    return nn.Sequential(encoder, *up, nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)), images(), 0


def pointnet() -> Case:
    layers = [nn.Conv1d(3, 8, 1), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 16, 1), nn.BatchNorm1d(16)]
    head = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 2))
    return (
        fn(lambda m, x: m.head(m.net(x).amax(2)), net=nn.Sequential(*layers), head=head),
        (torch.randn(2, 3, 9),),
        0,
    )


def wide_and_deep() -> Case:
    """Embeddings beside normalised numbers, into one MLP."""

    def forward(m: Any, x: Tensor, index: Tensor) -> Tensor:
        return m.deep(torch.cat([m.norm(x), m.table(index)], 1)) + m.wide(x)

    deep = nn.Sequential(nn.Linear(9, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))
    parts = {"norm": nn.BatchNorm1d(5), "table": nn.Embedding(7, 4), "deep": deep, "wide": nn.Linear(5, 1)}
    return fn(forward, **parts), (torch.randn(4, 5), torch.tensor([0, 3, 6, 2])), 0


def temporal_convolution() -> Case:
    """Causal: padded on the left only, cut on the right."""

    def forward(m: Any, x: Tensor) -> Tensor:
        y = m.bn(m.conv(nn.functional.pad(x, (4, 0)))).relu()
        return y + m.short(x)

    parts = {"conv": nn.Conv1d(3, 6, 3, dilation=2), "bn": nn.BatchNorm1d(6), "short": nn.Conv1d(3, 6, 1)}
    return fn(forward, **parts), (torch.randn(2, 3, 15),), 0


BUILDERS: tuple[Callable[[], Case], ...] = (
    resnet_block,
    bottleneck,
    inverted_residual,
    squeeze_excite,
    dense_block,
    cnn_1d,
    unet_block,
    mixer,
    autoencoder,
    conv_autoencoder,
    pointnet,
    wide_and_deep,
    temporal_convolution,
)


def built(builder: Callable[[], Case]) -> Case:
    torch.manual_seed(0)
    module, inputs, left = builder()
    return randomised(module), inputs, left
