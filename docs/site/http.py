"""The doors of the server, from the OpenAPI document that it answers itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from docs.site import markdown
from docs.site.markdown import cell, code, table

_GROUPS = {"predict": "Predictions", "models": "Models", "health": "Health"}
_HEAD = """The document itself is at `/openapi.json` of a running server, with the features and examples of
the models that it serves, and readable at `/docs`. What every form means is told in [forms](../formats.md),
the Open Inference Protocol in [serving](../serving.md). `/metrics`, `/docs` and
`/openapi.json` are not listed.

"""


def page() -> str:
    """A table of each group, a section for each schema."""
    document = _document()
    groups: dict[str, list[tuple[str, str, Any]]] = {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append((path, method.upper(), operation))
    text = _HEAD
    for tag, found in groups.items():
        text += f"## {_GROUPS.get(tag, 'MLflow' if tag == 'mlflow' else tag.title())}\n\n"
        text += table(("request", "", "answers"), [_row(*operation) for operation in found]) + "\n"
    return markdown.page("HTTP", "the OpenAPI document", text + _schemas(document["components"]["schemas"]))


def _document() -> dict[str, Any]:
    """That of a server without models: every door in its general form."""
    from service.app import create_app
    from service.settings import Settings

    with TemporaryDirectory() as folder:
        found: dict[str, Any] = create_app(Settings(models_dir=Path(folder))).openapi()
        return found


def _row(path: str, method: str, operation: Mapping[str, Any]) -> tuple[str, str, str]:
    bodies = (operation.get("requestBody") or {}).get("content", {})
    headers = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "header"]
    text = cell((operation.get("description") or operation["summary"]).split("\n\n")[0])
    text += "".join(f" Header {code(name)}." for name in headers)
    text += f" Takes {', '.join(map(code, bodies))}." if bodies else ""
    return code(f"{method} {path}"), text, " ".join(operation["responses"])


def _schemas(schemas: Mapping[str, Any]) -> str:
    text = "## Answers\n\nThe objects of the answers, by the names that the document gives them.\n\n"
    for name, schema in sorted(schemas.items()):
        properties = schema.get("properties")
        if properties:
            text += f"### {name.split('__')[-1] if '__' in name else name}"
            text += f" ({name.split('__')[-2].replace('_', ' ')})\n\n" if "__" in name else "\n\n"
            text += table(("field", "type", ""), [_field(*item) for item in properties.items()]) + "\n"
    return text


def _field(name: str, schema: Mapping[str, Any]) -> tuple[str, str, str]:
    return code(name), code(kind(schema)), cell(schema.get("description"))


def kind(schema: Mapping[str, Any]) -> str:
    """A schema's type in a few words."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1].rsplit("__", 1)[-1]
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(kind(choice) for choice in schema[key]))
    if "const" in schema:
        return repr(schema["const"])
    if "enum" in schema:
        return " or ".join(map(repr, schema["enum"]))
    if schema.get("type") == "array":
        parts = schema.get("prefixItems")
        return f"list of {kind(schema['items'])}" if "items" in schema and not parts else "list"
    return str(schema.get("type", "any"))
