import torch
from torch import nn

from tests.training.loop.tables import core
from training.loop.devices import lower_precision
from training.model import BatchNorm


def test_in_lower_precision_products_are_rounded_and_statistics_are_not() -> None:
    """On the CPU, which autocasts as a GPU does; a stack has products of its own there."""
    network, seen = core(moments="all"), list[torch.dtype]()
    for layer in network:
        if isinstance(layer, (nn.Linear, BatchNorm)):
            layer.register_forward_hook(lambda _, __, out: seen.append(out.dtype))
    with lower_precision(network, torch.device("cpu")):
        network(torch.randn(16, 3))
    assert seen == [torch.bfloat16, torch.float32, torch.bfloat16]
    assert network[1].running_mean.dtype == torch.float32
    assert not any(layer._forward_pre_hooks for layer in network)
