"""Modules with normalisations, each a small function with its class: what an exact folder does with it.

backward, forward: every normalisation can be folded exactly; partial: all but one subtraction;
nothing: algebra allows no fold; trap: a folder that compares sizes or forgets a use gives wrong numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

Case = tuple[nn.Module, tuple[Any, ...]]


@dataclass(frozen=True)
class Pattern:
    """One module of the corpus.

    Attributes:
        name: the name of the function that builds it.
        kind: backward, forward, partial, nothing or trap.
        build: makes the module in eval mode and its example inputs.
        left: how many normalisations stay.
    """

    name: str
    kind: str
    build: Callable[[], Case]
    left: int


PATTERNS: list[Pattern] = []


def pattern(kind: str, left: int = 0) -> Callable[[Callable[[], Case]], Callable[[], Case]]:
    def register(make: Callable[[], Case]) -> Callable[[], Case]:
        def build() -> Case:
            torch.manual_seed(0)
            module, inputs = make()
            return randomised(module), inputs

        PATTERNS.append(Pattern(make.__name__, kind, build, left))
        return make

    return register


def randomised(module: nn.Module) -> nn.Module:
    """Statistics and parameters that no shortcut survives, in eval mode."""
    norms = (nn.modules.batchnorm._NormBase, Written)
    for child in module.modules():
        if isinstance(child, norms) and child.running_mean is not None:
            child.running_mean.normal_()
            child.running_var.uniform_(0.3, 2.0)
            if child.weight is not None:
                nn.init.normal_(child.weight)
                nn.init.normal_(child.bias)
    return module.eval()


def x(*shape: int) -> tuple[Tensor]:
    return (torch.randn(*shape),)


class Parts(nn.Module):
    """Named parts: modules, parameters and buffers."""

    def __init__(self, **parts: Any) -> None:
        super().__init__()
        for name, part in parts.items():
            if isinstance(part, nn.Module):
                self.add_module(name, part)
            elif isinstance(part, nn.Parameter):
                self.register_parameter(name, part)
            else:
                self.register_buffer(name, part)


def fn(forward: Callable[..., Any], **parts: Any) -> nn.Module:
    """A module of these parts with this forward; a class of its own, so that tracers see its inputs."""
    kind: type[nn.Module] = type("Fn", (Parts,), {"forward": forward})
    return kind(**parts)


class Written(nn.Module):
    """The normalisation of training/model.py: written out, moments per feature or shared by all."""

    def __init__(self, features: int, shared: bool = False, inverse: bool = False) -> None:
        super().__init__()
        shape = () if shared else (features,)
        self.register_buffer("running_mean", torch.zeros(shape))
        self.register_buffer("running_var", torch.ones(shape))
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.eps = 1e-5
        self.inverse = inverse

    def forward(self, h: Tensor) -> Tensor:
        if self.inverse:
            return (h - self.running_mean) * torch.rsqrt(
                self.running_var + self.eps
            ) * self.weight + self.bias
        return (h - self.running_mean) / torch.sqrt(self.running_var + self.eps) * self.weight + self.bias


class Halved(nn.BatchNorm1d):
    """A subclass with its own forward."""

    def forward(self, h: Tensor) -> Tensor:
        return super().forward(h) * 0.5


def seq(*modules: nn.Module) -> nn.Module:
    return nn.Sequential(*modules)


# --- backward -----------------------------------------------------------------------------------------------


@pattern("backward")
def linear() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def linear_without_bias() -> Case:
    return seq(nn.Linear(5, 7, bias=False), nn.BatchNorm1d(7), nn.ReLU()), x(4, 5)


@pattern("backward")
def linear_one_row() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.Tanh()), x(1, 5)


@pattern("backward")
def linear_square() -> Case:
    return seq(nn.Linear(6, 6), nn.BatchNorm1d(6)), x(6, 6)


@pattern("backward")
def affine_false() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7, affine=False)), x(4, 5)


@pattern("backward")
def momentum_none() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7, momentum=None, eps=1e-3)), x(4, 5)


@pattern("backward")
def subclass() -> Case:
    return seq(nn.Linear(5, 7), Halved(7)), x(4, 5)


@pattern("backward")
def sync_batch_norm() -> Case:
    return nn.SyncBatchNorm.convert_sync_batchnorm(seq(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))), x(2, 3, 6, 6)


@pattern("backward")
def functional() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        return F.batch_norm(m.fc(h), m.mean, m.var, m.weight, m.shift, False, 0.1, 1e-3)

    parts = {
        "mean": torch.randn(7),
        "var": torch.rand(7) + 0.5,
        "weight": torch.randn(7),
        "shift": torch.randn(7),
    }
    return fn(forward, fc=nn.Linear(5, 7), **parts), x(4, 5)


@pattern("backward")
def functional_without_parameters() -> Case:
    parts = {"mean": torch.randn(7), "var": torch.rand(7) + 0.5}
    return fn(lambda m, h: F.batch_norm(m.fc(h), m.mean, m.var), fc=nn.Linear(5, 7), **parts), x(4, 5)


@pattern("backward")
def functional_linear() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        return m.bn(F.linear(h, m.matrix))

    return fn(forward, matrix=nn.Parameter(torch.randn(7, 5)), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def matmul() -> Case:
    return fn(
        lambda m, h: m.bn(h @ m.matrix), matrix=nn.Parameter(torch.randn(5, 7)), bn=nn.BatchNorm1d(7)
    ), x(4, 5)


@pattern("backward")
def matmul_add() -> Case:
    parts = {"matrix": nn.Parameter(torch.randn(5, 7)), "b": nn.Parameter(torch.randn(7))}
    return fn(lambda m, h: m.bn(m.b + h @ m.matrix), bn=nn.BatchNorm1d(7), **parts), x(4, 5)


@pattern("backward")
def addmm() -> Case:
    parts = {"matrix": nn.Parameter(torch.randn(5, 7)), "b": nn.Parameter(torch.randn(7))}
    forward = lambda m, h: m.bn(torch.addmm(m.b, h, m.matrix, beta=0.5, alpha=2.0))  # noqa: E731
    return fn(forward, bn=nn.BatchNorm1d(7), **parts), x(4, 5)


@pattern("backward")
def einsum() -> Case:
    forward = lambda m, h: m.bn(torch.einsum("bi,oi->bo", h, m.matrix))  # noqa: E731
    return fn(forward, matrix=nn.Parameter(torch.randn(7, 5)), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def bmm_per_group() -> Case:
    """One matrix for each of 3 groups, normalised over groups × features."""

    def forward(m: Any, h: Tensor) -> Tensor:
        y = torch.einsum("bgi,gio->bgo", h, m.matrix)
        return m.bn(y.flatten(1))

    return fn(forward, matrix=nn.Parameter(torch.randn(3, 5, 4)), bn=nn.BatchNorm1d(12)), x(4, 3, 5)


@pattern("backward")
def conv1d() -> Case:
    return seq(nn.Conv1d(3, 6, 3, padding=1), nn.BatchNorm1d(6)), x(4, 3, 9)


@pattern("backward")
def conv2d() -> Case:
    return seq(nn.Conv2d(3, 6, 3, padding=1, stride=2), nn.BatchNorm2d(6), nn.ReLU(inplace=True)), x(
        4, 3, 8, 8
    )


@pattern("backward")
def conv2d_grouped_dilated() -> Case:
    return seq(nn.Conv2d(4, 6, 3, groups=2, dilation=2, bias=False), nn.BatchNorm2d(6)), x(2, 4, 9, 9)


@pattern("backward")
def conv2d_depthwise() -> Case:
    return seq(nn.Conv2d(4, 8, 3, groups=4, padding="same"), nn.BatchNorm2d(8)), x(2, 4, 7, 7)


@pattern("backward")
def conv2d_circular() -> Case:
    return seq(nn.Conv2d(3, 6, 3, padding=1, padding_mode="circular"), nn.BatchNorm2d(6)), x(2, 3, 6, 6)


@pattern("backward")
def conv3d() -> Case:
    return seq(nn.Conv3d(2, 4, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(4)), x(2, 2, 4, 5, 5)


@pattern("backward")
def conv_transpose1d() -> Case:
    return seq(nn.ConvTranspose1d(4, 6, 3, stride=2), nn.BatchNorm1d(6)), x(2, 4, 5)


@pattern("backward")
def conv_transpose2d_grouped() -> Case:
    layer = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
    return seq(layer, nn.BatchNorm2d(6)), x(2, 4, 5, 5)


@pattern("backward")
def conv_transpose2d_square_groups() -> Case:
    return seq(nn.ConvTranspose2d(4, 4, 2, groups=2, bias=False), nn.BatchNorm2d(4)), x(2, 4, 5, 5)


@pattern("backward")
def conv_transpose3d() -> Case:
    return seq(nn.ConvTranspose3d(2, 3, 2), nn.BatchNorm3d(3)), x(2, 2, 3, 3, 3)


@pattern("backward")
def through_dropout_identity() -> Case:
    return seq(nn.Linear(5, 7), nn.Identity(), nn.Dropout(0.5), nn.BatchNorm1d(7), nn.Dropout(0.1)), x(4, 5)


@pattern("backward")
def through_flatten_of_one_pixel() -> Case:
    return seq(nn.Conv2d(3, 6, 4), nn.Flatten(), nn.BatchNorm1d(6)), x(4, 3, 4, 4)


@pattern("backward")
def through_transpose() -> Case:
    """Linear on (N, L, D), normalised over D after a transpose: the classic layout of sequence models."""
    return fn(lambda m, h: m.bn(m.fc(h).transpose(1, 2)), fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(
        4, 7, 5
    )


@pattern("backward")
def through_transpose_and_back() -> Case:
    forward = lambda m, h: m.bn(m.fc(h).transpose(1, 2)).transpose(1, 2).contiguous()  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 3, 5)


@pattern("backward")
def through_view_to_rows() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.bn(y.reshape(-1, 7)).view(y.shape)

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 3, 5)


@pattern("backward")
def through_unflatten() -> Case:
    """(N, C·L) seen as (N, C, L): each channel's scale repeats over L rows of W."""
    return seq(nn.Linear(5, 12), nn.Unflatten(1, (3, 4)), nn.BatchNorm1d(3)), x(4, 5)


@pattern("backward")
def through_reshape_to_image() -> Case:
    forward = lambda m, h: m.bn(m.fc(h).view(h.size(0), 4, 3, 3))  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 36), bn=nn.BatchNorm2d(4)), x(4, 5)


@pattern("backward")
def through_squeeze_unsqueeze() -> Case:
    forward = lambda m, h: m.bn(m.fc(h).unsqueeze(-1)).squeeze(-1)  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def through_permute() -> Case:
    """Channels last: a pointwise layer, then NHWC → NCHW."""
    forward = lambda m, h: m.bn(m.fc(h).permute(0, 3, 1, 2))  # noqa: E731
    return fn(forward, fc=nn.Linear(3, 6), bn=nn.BatchNorm2d(6)), x(2, 6, 6, 3)


@pattern("backward")
def through_average_pool() -> Case:
    return seq(nn.Conv2d(3, 6, 3), nn.AvgPool2d(2), nn.BatchNorm2d(6)), x(2, 3, 8, 8)


@pattern("backward")
def through_global_pool() -> Case:
    return seq(nn.Conv2d(3, 6, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(6)), x(2, 3, 8, 8)


@pattern("backward")
def through_mean() -> Case:
    return fn(lambda m, h: m.bn(m.conv(h).mean((2, 3))), conv=nn.Conv2d(3, 6, 3), bn=nn.BatchNorm1d(6)), x(
        2, 3, 8, 8
    )


@pattern("backward")
def through_upsample() -> Case:
    return seq(nn.Conv2d(3, 6, 1), nn.Upsample(scale_factor=2), nn.BatchNorm2d(6)), x(2, 3, 4, 4)


@pattern("backward")
def through_pixel_shuffle() -> Case:
    return seq(nn.Conv2d(3, 8, 3), nn.PixelShuffle(2), nn.BatchNorm2d(2)), x(2, 3, 6, 6)


@pattern("backward")
def through_max_pool_positive() -> Case:
    module = seq(nn.Conv2d(3, 6, 3), nn.MaxPool2d(2), nn.BatchNorm2d(6, affine=False))
    return module, x(2, 3, 8, 8)


@pattern("backward")
def through_channel_shuffle() -> Case:
    return seq(nn.Conv2d(4, 6, 3), nn.ChannelShuffle(2), nn.BatchNorm2d(6)), x(2, 4, 6, 6)


@pattern("backward")
def through_cast() -> Case:
    forward = lambda m, h: m.bn(m.fc(h).double().float())  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def through_per_channel_affine() -> Case:
    parts = {"gain": nn.Parameter(torch.randn(7)), "offset": nn.Parameter(torch.randn(7))}
    forward = lambda m, h: m.bn(m.fc(h) * m.gain + m.offset)  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7), **parts), x(4, 5)


@pattern("backward")
def through_chunk() -> Case:
    """Half of the linear output is normalised, the other half used as it is."""

    def forward(m: Any, h: Tensor) -> Tensor:
        a, b = m.fc(h).chunk(2, dim=1)
        return m.bn(a) * torch.sigmoid(b)

    return fn(forward, fc=nn.Linear(5, 8), bn=nn.BatchNorm1d(4)), x(4, 5)


@pattern("backward")
def concat() -> Case:
    forward = lambda m, h: m.bn(torch.cat([m.a(h), m.b(h)], 1))  # noqa: E731
    return fn(forward, a=nn.Linear(5, 3), b=nn.Linear(5, 4), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def concat_with_embedding() -> Case:
    def forward(m: Any, h: Tensor, index: Tensor) -> Tensor:
        return m.bn(torch.cat([m.a(h), m.table(index)], 1))

    parts = {"a": nn.Linear(5, 3), "table": nn.Embedding(10, 4), "bn": nn.BatchNorm1d(7)}
    return fn(forward, **parts), (torch.randn(4, 5), torch.tensor([1, 2, 3, 9]))


@pattern("backward")
def residual_of_two() -> Case:
    forward = lambda m, h: m.bn(m.a(h) + m.b(h))  # noqa: E731
    return fn(forward, a=nn.Conv2d(3, 6, 3, padding=1), b=nn.Conv2d(3, 6, 1), bn=nn.BatchNorm2d(6)), x(
        2, 3, 6, 6
    )


@pattern("backward")
def difference_of_two() -> Case:
    forward = lambda m, h: m.bn(torch.sub(m.a(h), m.b(h), alpha=2))  # noqa: E731
    return fn(forward, a=nn.Linear(5, 7), b=nn.Linear(5, 7, bias=False), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def sum_broadcast() -> Case:
    """One term has a row for each sample, the other one for each place."""

    def forward(m: Any, h: Tensor) -> Tensor:
        return m.bn((m.a(h) + m.b(h.mean(1, keepdim=True))).transpose(1, 2))

    return fn(forward, a=nn.Linear(5, 7), b=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 3, 5)


@pattern("backward")
def positional_table() -> Case:
    """Linear, plus a table over positions and channels, then a norm over channels."""

    def forward(m: Any, h: Tensor) -> Tensor:
        return m.bn((m.fc(h) + m.table).transpose(1, 2))

    parts = {"fc": nn.Linear(5, 7), "table": nn.Parameter(torch.randn(3, 7)), "bn": nn.BatchNorm1d(7)}
    return fn(forward, **parts), x(4, 3, 5)


@pattern("backward")
def weight_norm() -> Case:
    return seq(parametrizations.weight_norm(nn.Linear(5, 7)), nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def spectral_norm() -> Case:
    return seq(parametrizations.spectral_norm(nn.Conv2d(3, 6, 3)), nn.BatchNorm2d(6)), x(2, 3, 6, 6)


class Squared(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight**2


@pattern("backward")
def own_parametrization() -> Case:
    layer = nn.Linear(5, 7)
    parametrize.register_parametrization(layer, "weight", Squared())
    return seq(layer, nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def layer_used_twice() -> Case:
    """Each use has its own normalisation: the weight is copied, never changed in place."""
    forward = lambda m, h: m.b(m.fc(m.a(m.fc(h)).relu()))  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 5), a=nn.BatchNorm1d(5), b=nn.BatchNorm1d(5)), x(4, 5)


@pattern("backward")
def norm_used_twice() -> Case:
    forward = lambda m, h: m.bn(m.b(m.bn(m.a(h)).relu()))  # noqa: E731
    return fn(forward, a=nn.Linear(5, 7), b=nn.Linear(7, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def siamese() -> Case:
    forward = lambda m, a, b: m.tower(a) - m.tower(b)  # noqa: E731
    tower = seq(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.ReLU())
    return fn(forward, tower=tower), (torch.randn(4, 5), torch.randn(4, 5))


@pattern("backward")
def tied_weights() -> Case:
    """The decoder multiplies with the encoder's weight: only the encoder may see the fold."""
    forward = lambda m, h: F.linear(m.bn(m.fc(h)).relu(), m.fc.weight.t())  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def weight_is_an_output_too() -> Case:
    forward = lambda m, h: (m.bn(m.fc(h)), m.fc.weight * 2)  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def written_out() -> Case:
    return seq(nn.Linear(5, 7), Written(7), nn.ReLU(), nn.Linear(7, 2)), x(4, 5)


@pattern("backward")
def written_out_with_rsqrt() -> Case:
    return seq(nn.Linear(5, 7), Written(7, inverse=True), nn.ReLU()), x(4, 5)


@pattern("backward")
def written_out_shared_moments() -> Case:
    return seq(nn.Linear(5, 7), Written(7, shared=True), nn.ReLU()), x(4, 5)


@pattern("backward")
def written_out_over_images() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.conv(h)
        y = (y - m.mean.view(1, -1, 1, 1)) / (m.var.view(1, -1, 1, 1) + 1e-5).sqrt()
        return y * m.gain[None, :, None, None] + m.offset[None, :, None, None]

    parts = {
        "mean": torch.randn(6),
        "var": torch.rand(6) + 0.5,
        "gain": torch.randn(6),
        "offset": torch.randn(6),
    }
    return fn(forward, conv=nn.Conv2d(3, 6, 3), **parts), x(2, 3, 6, 6)


@pattern("backward")
def frozen_scale_and_shift() -> Case:
    """FrozenBatchNorm of detection models: scale and shift computed in forward from four buffers."""

    def forward(m: Any, h: Tensor) -> Tensor:
        scale = m.gain * (m.var + 1e-5).rsqrt()
        shift = m.offset - m.mean * scale
        return m.conv(h) * scale.reshape(1, -1, 1, 1) + shift.reshape(1, -1, 1, 1)

    parts = {
        "mean": torch.randn(6),
        "var": torch.rand(6) + 0.5,
        "gain": torch.randn(6),
        "offset": torch.randn(6),
    }
    return fn(forward, conv=nn.Conv2d(3, 6, 3), **parts), x(2, 3, 6, 6)


@pattern("backward")
def output_scaling() -> Case:
    parts = {"mean": torch.tensor([3.0]), "scale": torch.tensor([12.5])}
    return fn(lambda m, h: m.net(h) * m.scale + m.mean, net=nn.Linear(5, 1), **parts), x(4, 5)


@pattern("backward")
def two_norms_in_a_row() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7), nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def shape_of_the_linear_output() -> Case:
    """The linear output is asked for its shape; that is not a use of its values."""

    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.bn(y).view(y.shape[0], y.shape[1], 1)

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def branch_on_shape() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.bn(m.fc(h))
        return y.relu() if h.shape[0] > 5 else y.tanh()

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def branch_on_one_row() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.bn(m.fc(h))
        return y * 2 + 1 if h.shape[0] == 1 else y.relu()

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def branch_on_rank() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        return m.bn(m.fc(h)) if h.dim() == 2 else m.bn(m.fc(h).transpose(1, 2))

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 3, 5)


@pattern("backward")
def hook_changes_the_output() -> Case:
    layer, norm = nn.Linear(5, 7), nn.BatchNorm1d(7)
    norm.register_forward_hook(lambda m, args, out: out * 2 + 1)
    return seq(layer, norm), x(4, 5)


@pattern("backward")
def bfloat16() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7)).bfloat16(), (torch.randn(4, 5).bfloat16(),)


@pattern("backward")
def float64() -> Case:
    return seq(nn.Conv1d(3, 6, 3), nn.BatchNorm1d(6)).double(), (torch.randn(4, 3, 8).double(),)


@pattern("backward")
def dict_in_dict_out() -> Case:
    def forward(m: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"y": m.bn(m.fc(batch["x"])), "z": batch["z"]}

    inputs = ({"x": torch.randn(4, 5), "z": torch.randn(4, 2)},)
    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), inputs


@pattern("backward")
def numbers_and_none_as_inputs() -> Case:
    def forward(m: Any, h: Tensor, mask: Tensor | None, times: int) -> Tensor:
        y = m.bn(m.fc(h))
        return y * times if mask is None else y * mask

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), (torch.randn(4, 5), None, 3)


@pattern("backward")
def in_place_after() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.bn(m.fc(h))
        y.add_(1.0)
        y[:, 0] = 0.0
        return y

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("backward")
def bilinear() -> Case:
    forward = lambda m, a, b: m.bn(m.product(a, b))  # noqa: E731
    parts = {"product": nn.Bilinear(3, 4, 5), "bn": nn.BatchNorm1d(5)}
    return fn(forward, **parts), (torch.randn(4, 3), torch.randn(4, 4))


@pattern("backward")
def constant_operand() -> Case:
    parts = {"row": nn.Parameter(torch.randn(1, 5)), "bn": nn.BatchNorm1d(5)}
    return fn(lambda m, h: h * m.bn(m.row), **parts), x(4, 5)


@pattern("backward")
def instance_norm_with_statistics() -> Case:
    norm = nn.InstanceNorm2d(6, affine=True, track_running_stats=True)
    return seq(nn.Conv2d(3, 6, 3), norm), x(2, 3, 6, 6)


@pattern("backward")
def unpooled_depth_to_space() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.conv(h)
        n, _, height, width = y.shape
        y = y.view(n, 2, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        return m.bn(y.reshape(n, 2, 2 * height, 2 * width))

    return fn(forward, conv=nn.Conv2d(3, 8, 3), bn=nn.BatchNorm2d(2)), x(2, 3, 6, 6)


@pattern("backward")
def standardised_weight() -> Case:
    """Weight standardisation: the weight is a function of parameters alone."""

    def forward(m: Any, h: Tensor) -> Tensor:
        w = m.conv.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / w.std((1, 2, 3), keepdim=True)
        return m.bn(F.conv2d(h, w, m.conv.bias))

    return fn(forward, conv=nn.Conv2d(3, 6, 3), bn=nn.BatchNorm2d(6)), x(2, 3, 6, 6)


@pattern("backward")
def stacked() -> Case:
    forward = lambda m, h: m.bn(torch.stack([m.a(h), m.b(h)], 1))  # noqa: E731
    return fn(forward, a=nn.Linear(5, 7), b=nn.Linear(5, 7), bn=nn.BatchNorm1d(2)), x(4, 5)


@pattern("backward")
def mixed_precision() -> Case:
    """The layer in bfloat16, the norm's parameters in float32."""
    return seq(nn.Linear(5, 7).bfloat16(), nn.BatchNorm1d(7)), (torch.randn(4, 5).bfloat16(),)


@pattern("backward")
def zero_scale() -> Case:
    class Dead(nn.BatchNorm1d):
        def forward(self, h: Tensor) -> Tensor:
            return super().forward(h) * torch.tensor([0.0, 1.0, 0.0, 2.0, 1.0, 1.0, 1.0])

    return seq(nn.Linear(5, 7), Dead(7)), x(4, 5)


# --- forward ------------------------------------------------------------------------------------------------


@pattern("forward")
def norm_first() -> Case:
    return seq(nn.BatchNorm1d(5), nn.Linear(5, 7), nn.ReLU()), x(4, 5)


@pattern("forward")
def norm_after_activation() -> Case:
    return seq(
        nn.Linear(5, 7), nn.ReLU(), nn.BatchNorm1d(7), nn.Dropout(0.2), nn.Linear(7, 3, bias=False)
    ), x(4, 5)


@pattern("forward")
def input_standardiser() -> Case:
    parts = {"mean": torch.randn(5), "scale": torch.rand(5) + 0.5}
    return fn(lambda m, h: m.net((h - m.mean) / m.scale), net=nn.Linear(5, 7), **parts), x(4, 5)


@pattern("forward")
def input_standardiser_in_double() -> Case:
    parts = {"mean": torch.randn(5).double(), "scale": (torch.rand(5) + 0.5).double()}
    forward = lambda m, h: m.net(((h - m.mean) / m.scale).float())  # noqa: E731
    return fn(forward, net=nn.Linear(5, 7), **parts), x(4, 5)


@pattern("forward")
def before_convolution() -> Case:
    return seq(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, groups=3)), x(2, 3, 6, 6)


@pattern("forward")
def before_convolution_grouped() -> Case:
    return seq(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, groups=2, dilation=2)), x(2, 4, 9, 9)


@pattern("forward")
def before_pointwise_transposed() -> Case:
    return seq(nn.Tanh(), nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 6, 1, groups=2)), x(2, 4, 5, 5)


@pattern("forward")
def before_reflecting_convolution() -> Case:
    return seq(nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect")), x(2, 3, 6, 6)


@pattern("forward")
def flatten_then_linear() -> Case:
    return seq(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 5)), x(
        2, 3, 6, 6
    )


@pattern("forward")
def global_pool_then_linear() -> Case:
    module = seq(nn.ReLU(), nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 5))
    return module, x(2, 3, 6, 6)


@pattern("forward")
def max_pool_then_linear() -> Case:
    module = seq(nn.ReLU(), nn.BatchNorm2d(3, affine=False), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 5))
    return module, x(2, 3, 6, 6)


@pattern("forward")
def two_consumers() -> Case:
    def forward(m: Any, h: Tensor) -> tuple[Tensor, Tensor]:
        y = m.bn(h.relu())
        return m.a(y), m.b(y)

    return fn(forward, bn=nn.BatchNorm1d(5), a=nn.Linear(5, 3), b=nn.Linear(5, 4)), x(4, 5)


@pattern("forward")
def concat_then_linear() -> Case:
    def forward(m: Any, h: Tensor, index: Tensor) -> Tensor:
        return m.fc(torch.cat([m.table(index), m.bn(h)], 1))

    parts = {"table": nn.Embedding(10, 4), "bn": nn.BatchNorm1d(5), "fc": nn.Linear(9, 3)}
    return fn(forward, **parts), (torch.randn(4, 5), torch.tensor([1, 2, 3, 9]))


@pattern("forward")
def concat_with_itself() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.bn(h.relu())
        return m.fc(torch.cat([y, h, y * 2], 1))

    return fn(forward, bn=nn.BatchNorm1d(5), fc=nn.Linear(15, 3)), x(4, 5)


@pattern("forward")
def transpose_then_linear() -> Case:
    forward = lambda m, h: m.fc(m.bn(h).transpose(1, 2))  # noqa: E731
    return fn(forward, bn=nn.BatchNorm1d(5), fc=nn.Linear(5, 7)), x(4, 5, 5)


@pattern("forward")
def linear_over_the_other_axis_scalar() -> Case:
    """One scale and shift for all commutes with every linear layer, whatever its axis."""
    forward = lambda m, h: m.fc(h * 0.5 + 1.0)  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 7)), x(4, 3, 5)


@pattern("forward")
def written_out_then_linear() -> Case:
    return seq(nn.ReLU(), Written(5, shared=True), nn.Linear(5, 3)), x(4, 5)


@pattern("forward")
def norm_then_einsum() -> Case:
    forward = lambda m, h: torch.einsum("bci,gco->bgio", m.bn(h), m.matrix)  # noqa: E731
    return fn(forward, bn=nn.BatchNorm1d(3), matrix=nn.Parameter(torch.randn(2, 3, 4))), x(4, 3, 5)


@pattern("forward")
def norm_then_split() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        a, b = m.bn(h.relu()).split([2, 3], dim=1)
        return m.a(a) + m.b(b)

    return fn(forward, bn=nn.BatchNorm1d(5), a=nn.Linear(2, 7), b=nn.Linear(3, 7)), x(4, 5)


# --- partial ------------------------------------------------------------------------------------------------


@pattern("partial")
def before_zero_padding() -> Case:
    return seq(nn.ReLU(), nn.BatchNorm2d(3), nn.Conv2d(3, 6, 3, padding=1)), x(2, 3, 6, 6)


@pattern("partial")
def before_transposed_convolution() -> Case:
    return seq(nn.ReLU(), nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 6, 3, stride=2)), x(2, 3, 5, 5)


@pattern("partial")
def large_mean() -> Case:
    class Far(nn.BatchNorm1d):
        def forward(self, h: Tensor) -> Tensor:
            return F.batch_norm(h, self.running_mean + 500.0, self.running_var, self.weight, self.bias)

    return seq(Far(64), nn.Linear(64, 3)), (torch.randn(4, 64) + 500.0,)


# --- nothing ------------------------------------------------------------------------------------------------


@pattern("nothing", left=1)
def nothing_linear() -> Case:
    return seq(nn.ReLU(), nn.BatchNorm1d(5), nn.ReLU()), x(4, 5)


@pattern("nothing", left=1)
def alone() -> Case:
    return nn.BatchNorm1d(5), x(4, 5)


@pattern("nothing", left=1)
def output_also_used() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.bn(y).relu() + y

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("nothing", left=1)
def output_also_returned() -> Case:
    def forward(m: Any, h: Tensor) -> tuple[Tensor, Tensor]:
        y = m.fc(h)
        return m.bn(y), y

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(4, 5)


@pattern("nothing", left=1)
def residual_with_the_input() -> Case:
    forward = lambda m, h: m.bn(m.fc(h) + h)  # noqa: E731
    return fn(forward, fc=nn.Linear(5, 5), bn=nn.BatchNorm1d(5)), x(4, 5)


@pattern("nothing", left=1)
def without_statistics() -> Case:
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7, track_running_stats=False)), x(4, 5)


# --- traps --------------------------------------------------------------------------------------------------


@pattern("trap", left=1)
def same_size_wrong_axis() -> Case:
    """Linear on (N, C, D), normalised over axis 1, where C equals the number of its outputs."""
    return seq(nn.Linear(5, 7), nn.BatchNorm1d(7)), x(4, 7, 5)


@pattern("trap", left=1)
def concat_over_the_other_axis() -> Case:
    """The concat is as wide as the norm has channels, along the axis that is not normalised."""
    forward = lambda m, h: m.bn(torch.cat([m.a(h), m.b(h)], 2))  # noqa: E731
    return fn(forward, a=nn.Linear(5, 3), b=nn.Linear(5, 4), bn=nn.BatchNorm1d(7)), x(2, 7, 5)


@pattern("trap", left=2)
def two_norms_of_one_layer() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.a(y) * m.b(y)

    return fn(forward, fc=nn.Linear(5, 7), a=nn.BatchNorm1d(7), b=nn.BatchNorm1d(7)), x(4, 5)


@pattern("trap", left=1)
def square_transposed_away() -> Case:
    forward = lambda m, h: m.bn(m.conv(h).transpose(1, 2))  # noqa: E731
    return fn(forward, conv=nn.Conv1d(6, 6, 1), bn=nn.BatchNorm1d(6)), x(4, 6, 6)


@pattern("trap", left=1)
def constant_over_the_width() -> Case:
    """A vector of C numbers on a Conv output broadcasts over W, not over channels."""
    gain = {"gain": torch.randn(6)}
    return fn(lambda m, h: m.conv(h) * m.gain, conv=nn.Conv2d(3, 6, 1), **gain), x(2, 3, 6, 6)


@pattern("trap", left=1)
def forward_wrong_axis() -> Case:
    return seq(nn.ReLU(), nn.BatchNorm1d(5), nn.Linear(5, 3)), x(4, 5, 5)


@pattern("trap", left=1)
def max_pool_negative() -> Case:
    return seq(nn.Conv2d(3, 6, 3), nn.MaxPool2d(2), nn.BatchNorm2d(6), nn.ReLU()), x(2, 3, 8, 8)


@pattern("trap", left=1)
def activation_between() -> Case:
    return seq(nn.Linear(5, 7), nn.ReLU(), nn.BatchNorm1d(7)), x(4, 5)


@pattern("trap", left=1)
def flattened_over_pixels() -> Case:
    """A norm over every pixel of every channel cannot go into a convolution, which shares its weight."""
    return seq(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.BatchNorm1d(64), nn.ReLU()), x(2, 3, 6, 6)


@pattern("trap", left=1)
def padded_after_convolution() -> Case:
    return seq(nn.Conv2d(3, 4, 3), nn.ZeroPad2d(1), nn.BatchNorm2d(4), nn.ReLU()), x(2, 3, 6, 6)


@pattern("trap", left=1)
def hook_between() -> Case:
    layer = nn.Linear(5, 7)
    layer.register_forward_hook(lambda m, args, out: out.relu())
    return seq(layer, nn.BatchNorm1d(7)), x(4, 5)


@pattern("trap", left=1)
def same_layer_twice_summed() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.bn(torch.cat([y, y.relu()], 1))

    return fn(forward, fc=nn.Linear(5, 4), bn=nn.BatchNorm1d(8)), x(4, 5)


@pattern("trap", left=1)
def infinite_statistics() -> Case:
    class Broken(nn.BatchNorm1d):
        def forward(self, h: Tensor) -> Tensor:
            return F.batch_norm(h, self.running_mean, self.running_var * float("inf"), self.weight, self.bias)

    return seq(nn.Linear(5, 7), Broken(7)), x(4, 5)


@pattern("trap", left=1)
def norm_in_a_branch_on_shape() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return m.bn(y) + y.relu() if h.shape[0] > 5 else y

    return fn(forward, fc=nn.Linear(5, 7), bn=nn.BatchNorm1d(7)), x(8, 5)


@pattern("trap", left=1)
def computed_statistics() -> Case:
    def forward(m: Any, h: Tensor) -> Tensor:
        y = m.fc(h)
        return F.batch_norm(y, m.mean, m.var, weight=h.mean(0)[:1].expand(7))

    return fn(forward, fc=nn.Linear(5, 7), mean=torch.randn(7), var=torch.rand(7) + 0.5), x(4, 5)
