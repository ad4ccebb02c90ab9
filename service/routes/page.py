"""GET /: the page for people, and for programs where the doors are. All of it is static files of the package.

The files are the same for everybody and tell nothing of what is served, so that they need no key: a browser
could not send one with an address that is typed in. What the page then asks for needs one as ever.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from service.routes.negotiation import JSON, choose
from service.settings import Settings

HTML = "text/html"
_FOLDER = "page"
_MEDIA = {
    "html": HTML,
    "js": "text/javascript",
    "css": "text/css",
    "svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What the page may load and whom it may ask: this server alone, and nothing that stands inside the HTML."""

_HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    # The modules name each other without versions: asked again each time, and answered in a few bytes.
    "cache-control": "no-cache",
    "vary": "accept",
}

router = APIRouter(include_in_schema=False)


class Doors(BaseModel):
    """Where the doors are, from here."""

    name: str = "foldserve"
    models: str = "models"
    documentation: str = "docs"
    openapi: str = "openapi.json"
    metrics: str | None = "metrics"
    """None when they have a port of their own."""


@router.api_route("/", methods=["GET", "HEAD"])
async def front(request: Request) -> Response:
    """The page for a browser; for everybody else where the doors are."""
    accept = ",".join(request.headers.getlist("accept")).encode("latin-1")
    if choose(accept, (JSON, HTML)) == HTML:
        return _answer(request, "index.html")
    settings: Settings = request.app.state.settings
    doors = Doors(metrics="metrics" if settings.metrics_port is None else None)
    return Response(doors.model_dump_json(), media_type=JSON, headers={"vary": "accept"})


@router.api_route(f"/{_FOLDER}/{{name:path}}", methods=["GET", "HEAD"])
async def part(request: Request, name: str) -> Response:
    """What the page consists of."""
    if name not in parts():
        raise HTTPException(404)
    return _answer(request, name)


@cache
def parts() -> frozenset[str]:
    """The files of the page, by their paths below its folder."""
    return frozenset(_walk(_root(), ""))


def open_paths(settings: Settings) -> frozenset[str]:
    """What of the page is answered without a key."""
    return frozenset({"/", *(f"/{_FOLDER}/{name}" for name in parts())}) if settings.page else frozenset()


def _answer(request: Request, name: str) -> Response:
    """A file, or nothing when whoever asks has it already."""
    body = _root().joinpath(*name.split("/")).read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {**_HEADERS, "etag": tag}
    if _has(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=_MEDIA[name.rpartition(".")[2]], headers=headers)


def _has(given: Iterable[str], tag: str) -> bool:
    """Whether one of the tags is this one; a proxy that compresses makes it a weak one."""
    tags = [each.strip().removeprefix("W/") for line in given for each in line.split(",")]
    return tag in tags or "*" in tags


def _walk(folder: Traversable, prefix: str) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _MEDIA:
            yield prefix + entry.name


def _root() -> Traversable:
    return files("service").joinpath("web", _FOLDER)
