"""GET /: the page for people, and for programs where the doors are. All of it is static files of the package.

The files are the same for everybody and tell nothing of what is served, so that they need no key: a browser
could not send one with an address that is typed in. What the page then asks for needs one as ever.
Each file is read, hashed and compressed once, when somebody first asks for it.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from service.routes.compression import wanted
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
    "vary": "accept, accept-encoding",
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
    headers = {"vary": _HEADERS["vary"]}
    return Response(doors.model_dump_json(), media_type=JSON, headers=headers)


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


class _Form(NamedTuple):
    """A file in the form in which it goes out."""

    body: bytes
    headers: dict[str, str]


@cache
def _form(name: str, is_packed: bool) -> _Form:
    """A file of the page, as it is or compressed; the tags differ, as the bytes do."""
    body = _root().joinpath(*name.split("/")).read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:32]
    headers = {**_HEADERS, "etag": f'"{tag}"'}
    if is_packed:
        # As well as it goes, for it is done once; without a time, so that all processes send the same bytes.
        body = gzip.compress(body, 9, mtime=0)
        headers |= {"etag": f'"{tag}-gzip"', "content-encoding": "gzip"}
    return _Form(body, headers)


def _answer(request: Request, name: str) -> Response:
    """A file, or nothing when whoever asks has it already."""
    accepted = request.headers.getlist("accept-encoding")
    form = _form(name, wanted(",".join(accepted)) == "gzip")
    if _has(request.headers.getlist("if-none-match"), form.headers["etag"]):
        known = {key: value for key, value in form.headers.items() if key != "content-encoding"}
        return Response(status_code=304, headers=known)
    return Response(form.body, media_type=_MEDIA[name.rpartition(".")[2]], headers=form.headers)


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
