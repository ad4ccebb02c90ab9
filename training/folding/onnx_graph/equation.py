"""The equation of an Einsum, written out: implicit results and ellipses resolved to letters of their own."""

from __future__ import annotations

import string
from dataclasses import dataclass

import onnx_ir as ir

from training.folding.onnx_graph.attributes import string_attribute
from training.folding.onnx_graph.refused import Refused
from training.folding.onnx_graph.workspace import Workspace
from training.folding.report import Reason


@dataclass(frozen=True)
class Equation:
    """One letter per axis, for each operand and for the result."""

    operands: tuple[str, ...]
    result: str


def parse(workspace: Workspace, node: ir.Node) -> Equation:
    """The equation of a node.

    Raises:
        Refused: an operand has a letter twice, so that it is not a plain product of its axes.
    """
    text = string_attribute(node, "equation", "").replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    ranks = [workspace.rank(value) for value in node.inputs]
    free = "".join(letter for letter in string.ascii_letters if letter not in text)
    operands = tuple(_without_ellipsis(term, rank, free) for term, rank in zip(terms, ranks, strict=True))
    if any(
        len(set(term)) != len(term) or len(term) != rank for term, rank in zip(operands, ranks, strict=True)
    ):
        raise Refused(Reason.NO_LINEAR_NEIGHBOUR, f"{node.name} takes a diagonal")
    longest = max(
        (rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=True) if "..." in term), default=0
    )
    dots = free[:longest][::-1]
    return Equation(operands, right.replace("...", dots) if arrow else dots + _implicit(terms))


def _without_ellipsis(term: str, rank: int, free: str) -> str:
    """An ellipsis covers the axes not named, aligned at its end as broadcasting is."""
    if "..." not in term:
        return term
    return term.replace("...", free[: rank - len(term) + 3][::-1])


def _implicit(terms: list[str]) -> str:
    letters = "".join(terms).replace(".", "")
    return "".join(sorted(letter for letter in set(letters) if letters.count(letter) == 1))
