"""Random modules put together from pieces: folded equals unfolded and nothing crashes."""

from typing import Any

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.training.folding.module_corpus import Written, fn, randomised
from tests.training.folding.test_module_corpus import row_error
from training.folding import fold_module

SETTINGS = settings(max_examples=5, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

ROWS = st.sampled_from(
    ["linear", "square", "norm", "written", "relu", "tanh", "dropout", "gain", "split", "double"]
)
IMAGES = st.sampled_from(
    ["conv", "padded", "depthwise", "norm", "relu", "max", "mean", "up", "turned", "shuffle"]
)


def row_piece(kind: str, width: int) -> tuple[nn.Module, int]:
    if kind in ("linear", "square"):
        outputs = width if kind == "square" else width + 2
        return nn.Linear(width, outputs, bias=kind == "square"), outputs
    made: dict[str, Any] = {
        "norm": lambda: nn.BatchNorm1d(width),
        "written": lambda: Written(width, shared=width % 2 == 0),
        "relu": nn.ReLU,
        "tanh": nn.Tanh,
        "dropout": nn.Dropout,
        "gain": lambda: fn(lambda m, h: h * m.gain - 1.5, gain=torch.randn(width)),
        "split": lambda: fn(lambda m, h: torch.cat([m.a(h), h.relu()[:, 1:]], 1), a=nn.Linear(width, 1)),
        "double": lambda: fn(
            lambda m, h: m.a(h) + m.b(h), a=nn.Linear(width, width), b=nn.BatchNorm1d(width)
        ),
    }
    return made[kind](), width


def image_piece(kind: str, width: int) -> tuple[nn.Module, int]:
    made: dict[str, Any] = {
        "conv": lambda: (nn.Conv2d(width, width + 1, 2), width + 1),
        "padded": lambda: (nn.Conv2d(width, width, 3, padding=1), width),
        "depthwise": lambda: (nn.Conv2d(width, 2 * width, 1, groups=width), 2 * width),
        "norm": lambda: (nn.BatchNorm2d(width), width),
        "relu": lambda: (nn.ReLU(inplace=True), width),
        "max": lambda: (nn.MaxPool2d(2, stride=1), width),
        "mean": lambda: (nn.AvgPool2d(3, stride=1, padding=1), width),
        "up": lambda: (nn.ConvTranspose2d(width, width, 2), width),
        "turned": lambda: (fn(lambda m, h: h.transpose(2, 3)), width),
        "shuffle": lambda: (
            nn.Sequential(nn.Conv2d(width, 4 * width, 1), nn.PixelShuffle(2), nn.AvgPool2d(2)),
            width,
        ),
    }
    return made[kind]()


def chain(kinds: list[str], width: int, piece: Any) -> nn.Module:
    parts = []
    for kind in kinds:
        part, width = piece(kind, width)
        parts.append(part)
    return nn.Sequential(*parts)


def check(module: nn.Module, *inputs: Tensor) -> None:
    folded = fold_module(module, inputs)
    for entry in folded.report.entries:
        assert (entry.reason is None) == (entry.direction != "left")
    for rows in (inputs, tuple(value[:1] for value in inputs)):
        assert row_error(module, folded.module, rows) < 1e-4, folded.report


@SETTINGS
@given(st.lists(ROWS, min_size=2, max_size=7), st.integers(0, 99))
def test_random_chains_over_rows(kinds: list[str], seed: int) -> None:
    torch.manual_seed(seed)
    check(randomised(chain(kinds, 4, row_piece)), torch.randn(4, 4))


@SETTINGS
@given(st.lists(IMAGES, min_size=2, max_size=6), st.integers(0, 99))
def test_random_chains_over_images(kinds: list[str], seed: int) -> None:
    torch.manual_seed(seed)
    check(randomised(chain(kinds, 3, image_piece)), torch.randn(2, 3, 8, 8))


@SETTINGS
@given(
    st.lists(ROWS, max_size=3),
    st.lists(ROWS, max_size=3),
    st.sampled_from(["cat", "add", "both"]),
    st.integers(0, 99),
)
def test_random_branches(left: list[str], right: list[str], join: str, seed: int) -> None:
    torch.manual_seed(seed)

    def forward(m: Any, h: Tensor) -> Tensor:
        a, b = m.a(h), m.b(h)
        if join == "cat":
            return m.tail(m.norm(torch.cat([a, b], 1)))
        y = m.norm(a + b)
        return m.tail(y) if join == "add" else m.tail(y) + y

    parts = [chain([k for k in kinds if k != "linear"], 4, row_piece) for kinds in (left, right)]
    width = 8 if join == "cat" else 4
    norm, tail = nn.BatchNorm1d(width), nn.Linear(width, 4)
    check(randomised(fn(forward, a=parts[0], b=parts[1], norm=norm, tail=tail)), torch.randn(3, 4))
