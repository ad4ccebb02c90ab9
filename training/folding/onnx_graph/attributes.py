"""Attributes of a node with their defaults."""

from __future__ import annotations

import onnx_ir as ir


def int_attribute(node: ir.Node, name: str, default: int) -> int:
    """An integer attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else int(attribute.as_int())


def float_attribute(node: ir.Node, name: str, default: float) -> float:
    """A float attribute, as the float32 that the file holds."""
    attribute = node.attributes.get(name)
    return default if attribute is None else float(attribute.as_float())


def ints_attribute(node: ir.Node, name: str) -> tuple[int, ...] | None:
    """A list of integers, or None when absent."""
    attribute = node.attributes.get(name)
    return None if attribute is None else tuple(attribute.as_ints())


def floats_attribute(node: ir.Node, name: str) -> tuple[float, ...]:
    """A list of floats, empty when absent."""
    attribute = node.attributes.get(name)
    return () if attribute is None else tuple(attribute.as_floats())


def string_attribute(node: ir.Node, name: str, default: str) -> str:
    """A text attribute."""
    attribute = node.attributes.get(name)
    return default if attribute is None else str(attribute.as_string())
