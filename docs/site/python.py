"""The Python API, from signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

from docs.site import markdown

PUBLIC = (
    ("training", ("MLPClassifier", "MLPRegressor"), ("fit", "predict", "predict_proba", "score", "to_onnx")),
    ("training.folding", ("fold_onnx", "FoldedModel", "fold_module", "FoldedModule"), ()),
    ("training.folding", ("FoldReport", "FoldEntry", "FoldError", "Reason"), ()),
    ("training.folding.onnx_graph", ("fold_file", "FoldedFile"), ()),
    ("training.folding", ("Affine", "into_previous", "into_next", "amplification", "to_float32"), ()),
    ("training.verify", ("verify", "Verification", "OutputDifference"), ()),
    ("training.pipeline", ("run",), ()),
    ("training.config", ("RunConfig", "DataConfig", "ModelConfig", "LoopConfig"), ()),
    ("service.offline", ("predict_file", "Predictions"), ("frame",)),
    ("service.app", ("create_app",), ()),
    ("service.settings", ("Settings",), ()),
)
"""Modules, what of them is for others, and the methods of it that are shown."""

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields):$", re.MULTILINE)
_ENTRY = re.compile(r"^    (\S[^:]*): (.*)$")


def page() -> str:
    """A section for each name."""
    parts = []
    for module, names, methods in PUBLIC:
        parts += [_named(module, getattr(import_module(module), name), name, methods) for name in names]
    return markdown.page("Python", "signatures and docstrings", "\n".join(parts))


def _named(module: str, thing: Any, name: str, methods: tuple[str, ...]) -> str:
    text = f"## {name}\n\n```text\nfrom {module} import {name}\n```\n\n"
    # An enumeration's members and a settings class's fields have pages of their own.
    listed = name in ("Reason", "Settings")
    text += "" if listed else _signature(thing, name)
    text += _told(inspect.getdoc(thing) or "")
    for method in methods:
        found = inspect.getattr_static(thing, method, None)
        if found is not None and _is_ours(found):
            text += f"### {name}.{method}\n\n{_signature(found, method)}{_told(inspect.getdoc(found) or '')}"
    return text


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).startswith(("training", "service"))


def _signature(thing: Any, name: str) -> str:
    """A line for each parameter, where one line does not hold them all."""
    try:
        found = inspect.signature(thing)
    except (ValueError, TypeError):
        return ""
    parameters = [_plain(str(p)) for p in _given(found)]
    back = "" if found.return_annotation in (found.empty, None, "None") else f" -> {_kind(found)}"
    line = f"{name}({', '.join(parameters)}){back}"
    if len(line) > 90:
        line = f"{name}(\n" + "".join(f"    {p},\n" for p in parameters) + f"){back}"
    return f"```py\n{line}\n```\n\n"


def _plain(parameter: str) -> str:
    """Annotations are texts in these modules; here they stand without their quotes."""
    name, colon, rest = parameter.partition(": ")
    return name + colon + re.sub(r"^(['\"])(.*?)\1(?= = |$)", r"\2", rest)


def _given(found: inspect.Signature) -> list[Any]:
    """The parameters without `self`, and the star that says: by name only."""
    given: list[Any] = []
    for parameter in found.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in given:
            given.append("*")
        given.append(parameter)
    return given


def _kind(found: inspect.Signature) -> str:
    kind = found.return_annotation
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))


def _told(docstring: str) -> str:
    """A docstring as Markdown: its sections as lists."""
    lines: list[str] = []
    inside = False
    for line in docstring.splitlines():
        if _SECTION.match(line):
            lines += [f"**{line[:-1]}**", ""]
            inside = True
        elif inside and (entry := _ENTRY.match(line)):
            lines.append(f"- `{entry[1]}`: {entry[2]}")
        elif inside and line.startswith("    "):
            lines.append("    " + line.strip())
        else:
            inside = inside and not line
            lines.append(line)
    return "\n".join(lines).strip() + "\n\n"
