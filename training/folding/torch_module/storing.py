"""At the end of a fold: unused parts are dropped, new constants rounded once and stored under good names."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.fx import GraphModule

from training.folding.torch_module.constants import Constants, NewConstant


def store(module: GraphModule, constants: Constants) -> dict[str, NewConstant]:
    """Gives every new constant that is used its tensor and its name.

    A new value takes the name of the one it replaces where that is used no more; equal values share one
    tensor, as the layers that used one weight did.

    Returns:
        the new constants by the names they are stored under.
    """
    _drop_unused(module)
    stored: dict[str, NewConstant] = {}
    placed: dict[str, str] = {}
    for node in module.graph.nodes:
        if node.op != "get_attr" or node.target not in constants.new:
            continue
        if node.target not in placed:
            placed[node.target] = _place(module, constants.new[node.target], stored)
        node.target = placed[node.target]
    module.recompile()
    return stored


def _place(module: GraphModule, new: NewConstant, stored: dict[str, NewConstant]) -> str:
    """The name of the parameter that holds a new constant: one that is there and equal, or one of its own."""
    tensor = new.stored()
    for name, other in stored.items():
        if other.hint == new.hint and torch.equal(module.get_parameter(name), tensor):
            return name
    name = _free_name(module, new.hint)
    *path, last = name.split(".")
    owner: nn.Module = module
    for part in path:
        if part not in owner._modules:
            owner.add_module(part, nn.Module())
        owner = owner.get_submodule(part)
    owner.register_parameter(last, nn.Parameter(tensor, requires_grad=new.trainable))
    stored[name] = new
    return name


def _drop_unused(module: GraphModule) -> None:
    for node in reversed(module.graph.nodes):
        if not node.users and node.op in ("get_attr", "call_function") and not node.is_impure():
            module.graph.erase_node(node)
    used = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
    called = {str(node.target) for node in module.graph.nodes if node.op == "call_module"}
    for prefix, child in list(module.named_modules(remove_duplicate=False)):
        for name in [*child._parameters, *child._buffers]:
            if (f"{prefix}.{name}" if prefix else name) not in used:
                delattr(child, name)
    _drop_empty(module, "", called)


def _drop_empty(module: nn.Module, prefix: str, called: set[str]) -> None:
    for name, child in list(module.named_children()):
        path = f"{prefix}{name}"
        _drop_empty(child, f"{path}.", called)
        holds = child._parameters or child._buffers or child._modules or _plain_tensors(child)
        if path not in called and not holds and type(child) is nn.Module:
            delattr(module, name)


def _plain_tensors(module: nn.Module) -> bool:
    return any(isinstance(value, torch.Tensor) for value in vars(module).values())


def _free_name(module: GraphModule, hint: str) -> str:
    name, number = hint.replace("[", "_").replace("]", ""), 1
    while _exists(module, name):
        number += 1
        name = f"{hint}_{number}"
    return name


def _exists(module: nn.Module, name: str) -> bool:
    owner: Any = module
    for part in name.split("."):
        if not hasattr(owner, part):
            return False
        owner = getattr(owner, part)
    return True
