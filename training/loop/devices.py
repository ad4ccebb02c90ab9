"""Where training computes, and how precisely."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from training.config import LoopConfig
from training.errors import ConfigError
from training.statistics import NORMALISATIONS


def choose(config: LoopConfig) -> torch.device:
    """The device that was asked for; "auto" takes a GPU where there is one.

    Raises:
        ConfigError: there is no GPU, or bfloat16 is asked for where nothing computes in it.
    """
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("--device is cuda, but this machine shows torch no GPU: use --device cpu")
    device = torch.device("cuda" if available and config.device != "cpu" else "cpu")
    if config.precision == "bf16" and device.type == "cpu" and not has_bfloat16():
        raise ConfigError(
            "--precision is bf16, but this processor has no instructions for bfloat16 (AVX512_BF16, AMX or "
            "ARM's): leave it at float32, or train on a GPU"
        )
    return device


def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16; without that it is slower than float32."""
    known = torch.cpu.get_capabilities()
    return any(found is True for name, found in known.items() if name.endswith("bf16"))


@contextmanager
def lower_precision(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Linear layers in bfloat16; normalisations see float32, so that their statistics are not rounded."""

    def widen(_: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(a.float() if isinstance(a, Tensor) else a for a in arguments)

    handles = [
        layer.register_forward_pre_hook(widen)
        for layer in network.modules()
        if isinstance(layer, NORMALISATIONS)
    ]
    try:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    finally:
        for handle in handles:
            handle.remove()
