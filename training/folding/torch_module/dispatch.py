"""Several graphs as one module: each call goes to the first whose conditions its shapes meet."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn
from torch.utils import _pytree as pytree

from training.folding.torch_module.guards import Guard


class Dispatch(nn.Module):
    """The folded form of a module that branches on a shape.

    Attributes:
        graphs: one folded graph for each branch, with its guard as `_guard`.
        otherwise: what takes every other shape, or None when none is known to exist.
    """

    def __init__(self, graphs: list[nn.Module], otherwise: nn.Module | None, names: tuple[str, ...]) -> None:
        super().__init__()
        _share(graphs)
        self.graphs = nn.ModuleList(graphs)
        self.otherwise = otherwise
        self._names = names

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The result of the first graph that stands for these inputs."""
        args = args + tuple(kwargs[name] for name in self._names[len(args) :] if name in kwargs)
        leaves = tuple(pytree.tree_leaves(args))
        for graph in self.graphs:
            guard = graph._guard
            assert isinstance(guard, Guard)  # noqa: S101 - what every captured graph carries
            if not any(True for _ in guard.failures(leaves)):
                return graph(*args)
        if self.otherwise is None:
            raise ValueError("no graph of the folded module stands for inputs of these shapes")
        return self.otherwise(*args)


def _share(graphs: list[nn.Module]) -> None:
    """Equal parameters of several graphs become one."""
    first: dict[tuple[object, ...], nn.Parameter] = {}
    for graph in graphs:
        for child in graph.modules():
            for name, value in child._parameters.items():
                if value is not None:
                    key = (
                        value.dtype,
                        value.device,
                        value.shape,
                        value.detach().double().cpu().numpy().tobytes(),
                    )
                    child._parameters[name] = first.setdefault(key, value)


def argument_names(module: nn.Module) -> tuple[str, ...]:
    """The names of a module's inputs, in order."""
    return tuple(inspect.signature(module.forward).parameters)
