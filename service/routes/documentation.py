"""GET /openapi.json, /docs and the example tables: all from this server, nothing from another."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from starlette.exceptions import HTTPException

from service.openapi.document import OpenApi
from service.openapi.sample import FILES, read_sample
from service.payloads import formats
from service.repository import Repository
from service.routes.negotiation import JSON

_SCRIPT, _STYLE = "text/javascript", "text/css"
ASSETS = {
    "docs.js": ("docs.js", _SCRIPT),
    "swagger-ui-bundle.js": ("swagger-ui/swagger-ui-bundle.js", _SCRIPT),
    "swagger-ui.css": ("swagger-ui/swagger-ui.css", _STYLE),
}
"""What the page asks for: its place in the package and its media type."""

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
async def document(request: Request) -> Response:
    """The OpenAPI document of what is served now."""
    openapi: OpenApi = request.app.openapi
    return Response(openapi.body(), media_type=JSON)


@router.get("/docs", include_in_schema=False)
async def page() -> Response:
    """The document for people."""
    return Response(_read("docs.html"), media_type="text/html")


@router.get("/docs/{asset}", include_in_schema=False)
async def asset(asset: str) -> Response:
    """What the page consists of."""
    if asset not in ASSETS:
        raise HTTPException(404)
    place, media = ASSETS[asset]
    return Response(_read(place), media_type=media, headers={"cache-control": "max-age=3600"})


@router.get(
    "/models/{name}/examples/{file}",
    tags=["models"],
    response_class=Response,
    responses={200: {"content": {form: {"schema": {"type": "string"}} for form in FILES.values()}}},
)
def example(request: Request, name: str, file: Annotated[str, Path(examples=list(FILES))]) -> Response:
    """Rows that the model takes, as a table: rows.csv, rows.arrow, rows.parquet or rows.npy."""
    repository: Repository = request.app.state.repository
    model = repository.find(name)
    form = FILES.get(file)
    if form is None or (form == formats.NPY and not model.door.signature.table):
        raise HTTPException(404)
    sample = read_sample(model)
    if sample is None:
        raise HTTPException(404)
    return Response(sample.body(form), media_type=form)


def _read(place: str) -> bytes:
    return files("service").joinpath("web", *place.split("/")).read_bytes()
