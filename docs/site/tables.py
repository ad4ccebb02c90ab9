"""Pages that are tables: settings, metrics, metadata, reason codes."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from docs.site import markdown
from docs.site.http import kind
from docs.site.markdown import cell, code, table


def settings() -> str:
    """The fields of `Settings`, each a flag and a variable."""
    from service.settings import Settings

    rows = []
    for name, field in Settings.model_fields.items():
        flag = f"--{name.replace('_', '-')}"
        flag = f"{flag}, --no-{flag[2:]}" if field.annotation is bool and field.default else flag
        default = "" if field.default in (None, "", False) else code(str(field.default))
        rows.append((code(flag), code(f"FOLDSERVE_{name.upper()}"), default, cell(field.description)))
    text = "Of `foldserve serve`. A flag goes before its variable; an empty variable counts as not set.\n\n"
    return markdown.page(
        "Settings", "service/settings.py", text + table(("flag", "variable", "default", ""), rows)
    )


def metrics() -> str:
    """The families that `/metrics` answers, of a server that has counted nothing."""
    text = (
        "Labels and questions to ask of them are in the [guide](../metrics.md). Where there is `/proc` the "
        "`process_*` of Prometheus' own clients stand beside them.\n\n"
    )
    rows = [(code(name), kind, cell(told)) for name, kind, told in families()]
    return markdown.page("Metrics", "service/metrics.py", text + table(("name", "type", ""), rows))


def families() -> Iterator[tuple[str, str, str]]:
    """Name, type and text of each family, as the text format has them."""
    from service.counters import SLOTS
    from service.ledger import Ledger
    from service.metrics import Exposition

    told: dict[str, str] = {}
    _, text = Exposition(Ledger(SLOTS), {"asked": "", "device": "", "provider": ""}).render()
    for line in text.decode().splitlines():
        if line.startswith("# HELP"):
            _, _, name, words = line.split(" ", 3)
            told[name] = words
        elif line.startswith("# TYPE"):
            _, _, name, form = line.split(" ", 3)
            yield name, form, told[name]


def metadata() -> str:
    """The records of service/metadata.py."""
    from service.metadata import KEY, ModelMetadata

    schema = ModelMetadata.model_json_schema()
    text = (
        f"A file that foldserve wrote has one JSON object under the key `{KEY}` of its `metadata_props`. "
        "`foldserve inspect` shows it.\n\n"
    )
    for name, record in {"ModelMetadata": schema, **schema["$defs"]}.items():
        needed = record.get("required", ())
        rows = [
            (
                code(field),
                code(kind(found)),
                "" if field in needed else _default(found),
                cell(found.get("description")),
            )
            for field, found in record["properties"].items()
        ]
        text += f"## {name}\n\n{record.get('description', '')}\n\n"
        text += table(("field", "type", "default", ""), rows) + "\n"
    return markdown.page("Metadata of a model file", "service/metadata.py", text)


def _default(schema: dict[str, Any]) -> str:
    value = schema.get("default")
    return "none" if value is None else code(str(value))


def reasons() -> str:
    """The codes of `Reason`, each with the sentence below it in the source."""
    from training.folding import report

    text = (
        "Why a normalisation stays. The list is closed; `foldserve fold` prints the code with the missing "
        "fact, and the [algebra](../folding.md) says what would be needed.\n\n"
    )
    rows = [(code(value), cell(told)) for value, told in told_members(inspect.getsource(report.Reason))]
    return markdown.page(
        "Reason codes", "training/folding/report.py", text + table(("code", "why it stays"), rows)
    )


def told_members(source: str) -> Iterator[tuple[str, str]]:
    """Each member's value and the text that stands below it."""
    body = ast.parse(source).body[0].body  # type: ignore[attr-defined]
    for statement, below in pairwise(body):
        if isinstance(statement, ast.Assign) and isinstance(below, ast.Expr):
            yield ast.literal_eval(statement.value), ast.literal_eval(below.value)
