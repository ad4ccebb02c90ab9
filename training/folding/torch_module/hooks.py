"""Hooks of a module: those that change what passes are traced like any code; those that watch go on watching.

A graph calls no hooks. A hook that returns something is part of what the graph computes; one that returns
nothing is there for its side effect, and the module it watches has to stay a module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from training.folding.torch_module.twin import Inputs, run, twin


def watched(module: nn.Module, inputs: Inputs) -> frozenset[str]:
    """The names of the submodules that a hook watches; "" is the module itself."""
    if not any(_kept(child) for child in module.modules()):
        return frozenset()
    probe = twin(module)
    seen: set[str] = set()
    for name, child in probe.named_modules():
        if child._backward_hooks or child._backward_pre_hooks:
            seen.add(name)
        for hooks in (child._forward_hooks, child._forward_pre_hooks):
            for key, hook in list(hooks.items()):
                if not _of_torch(hook):
                    hooks[key] = _recorded(hook, name, seen)
    run(probe, inputs)
    return frozenset(seen)


def without_hooks(module: nn.Module, names: frozenset[str]) -> nn.Module:
    """A copy in which the hooks of these submodules are gone, for runs that nobody should watch."""
    silent = twin(module)
    for name in names:
        child = silent.get_submodule(name)
        for hooks in _kept(child):
            for key in [key for key, hook in hooks.items() if not _of_torch(hook)]:
                del hooks[key]
    return silent


def _kept(child: nn.Module) -> list[Any]:
    kinds = (child._forward_hooks, child._forward_pre_hooks, child._backward_hooks, child._backward_pre_hooks)
    return [hooks for hooks in kinds if hooks]


def _of_torch(hook: object) -> bool:
    """The hooks of torch's own old-style weight_norm and spectral_norm compute a weight."""
    return type(hook).__module__.startswith("torch.")


def _recorded(hook: Callable[..., Any], name: str, seen: set[str]) -> Callable[..., Any]:
    def recorder(*args: Any, **kwargs: Any) -> Any:
        result = hook(*args, **kwargs)
        if result is None:
            seen.add(name)
        return result

    return recorder
