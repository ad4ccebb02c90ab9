import re
import tomllib
from importlib.resources import files
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from service.app import create_app
from service.routes.page import POLICY, parts
from service.settings import Settings
from tests.conftest import Serving

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[3]
BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}
IMPORT = re.compile(
    r'^(?:import|export) [^"]*?from "(\./[^"]+|\.\./[^"]+)"|import\("([^"]+)"\)', re.MULTILINE
)


async def test_a_browser_gets_the_page_with_a_policy_that_allows_this_server_alone(
    tmp_path: Path, serving: Serving
) -> None:
    async with serving(tmp_path) as client:
        answer = await client.get("/", headers=BROWSER)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"] == POLICY
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in POLICY
        links = re.findall(r'(?:src|href)="([^"#]+)"', answer.text)
        assert not [link for link in links if ":" in link or link.startswith("/")]
        for link in links:
            assert (await client.get(f"/{link}")).status_code == 200


async def test_everybody_else_gets_where_the_doors_are(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        for headers in ({}, {"accept": "*/*"}, {"accept": "application/json"}):
            answer = await client.get("/", headers=headers)
            doors = answer.json()
            assert answer.headers["vary"] == "accept, accept-encoding"
            for path in ("models", "documentation", "openapi", "metrics"):
                assert (await client.get(f"/{doors[path]}")).status_code == 200
        assert (await client.get("/", headers={"accept": "image/png"})).status_code == 406
        assert (await client.post("/")).status_code == 405
    async with serving(tmp_path, metrics_port=9) as client:
        assert (await client.get("/")).json()["metrics"] is None


async def test_every_part_is_there_with_its_type_and_nothing_else_is(
    tmp_path: Path, serving: Serving
) -> None:
    media = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml", "html": "text/html"}
    async with serving(tmp_path) as client:
        for name in parts():
            answer = await client.get(f"/page/{name}")
            assert answer.headers["content-type"].startswith(media[name.rpartition(".")[2]])
            assert answer.headers["content-security-policy"] == POLICY
        for name in ("nothing.js", "", "..%2fdocs.html", "../docs.html", "%2e%2e/docs.html", "models"):
            assert (await client.get(f"/page/{name}")).status_code == 404, name


async def test_what_has_not_changed_is_not_sent_again(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        first = await client.get("/page/main.js")
        tag = first.headers["etag"]
        assert first.headers["cache-control"] == "no-cache"
        for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await client.get("/page/main.js", headers={"if-none-match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await client.get("/page/main.js", headers={"if-none-match": '"other"'})).status_code == 200
        head = await client.head("/page/main.js")
        assert (head.status_code, head.headers["etag"], head.content) == (200, tag, b"")
        assert (await client.get("/", headers=BROWSER)).headers["etag"] != tag


async def test_whoever_accepts_gzip_gets_the_same_bytes_in_far_fewer(
    tmp_path: Path, serving: Serving
) -> None:
    async with serving(tmp_path) as client:
        for path in ("/page/main.js", "/page/page.css", "/"):
            plain = await client.get(path, headers=BROWSER | {"accept-encoding": "identity"})
            packed = await client.get(path, headers=BROWSER | {"accept-encoding": "br, gzip"})
            assert "content-encoding" not in plain.headers
            assert packed.headers["content-encoding"] == "gzip"
            assert packed.content == plain.content
            assert int(packed.headers["content-length"]) < len(plain.content) / 1.8
            assert packed.headers["etag"] != plain.headers["etag"]
            assert packed.headers["content-type"] == plain.headers["content-type"]
            assert "accept-encoding" in plain.headers["vary"]


@pytest.mark.parametrize("accepted", ["", "identity", "deflate", "gzip;q=0", "gzip;q=0.5, identity"])
async def test_whoever_wants_no_gzip_gets_none(tmp_path: Path, serving: Serving, accepted: str) -> None:
    async with serving(tmp_path) as client:
        answer = await client.get("/page/main.js", headers={"accept-encoding": accepted})
        assert "content-encoding" not in answer.headers
        assert answer.content == files("service").joinpath("web", "page", "main.js").read_bytes()


async def test_each_form_has_a_tag_of_its_own(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        for accepted, other in (("gzip", "identity"), ("identity", "gzip")):
            tag = (await client.get("/page/main.js", headers={"accept-encoding": accepted})).headers["etag"]
            again = {"accept-encoding": accepted, "if-none-match": tag}
            answer = await client.get("/page/main.js", headers=again)
            assert (answer.status_code, answer.headers["etag"], answer.content) == (304, tag, b"")
            assert "content-encoding" not in answer.headers
            wrong = again | {"accept-encoding": other}
            assert (await client.get("/page/main.js", headers=wrong)).status_code == 200


async def test_a_file_is_read_once(tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(tmp_path) as client:
        for accepted in ("gzip", "identity"):
            headers = {"accept-encoding": accepted}
            first = await client.get("/page/main.js", headers=headers)
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", lambda _: pytest.fail("read again"))
                assert (await client.get("/page/main.js", headers=headers)).content == first.content


async def test_no_key_is_needed_for_the_page_and_one_for_all_it_asks(
    tmp_path: Path, serving: Serving
) -> None:
    (tmp_path / "keys").write_text("a-key-that-is-long-enough")
    async with serving(tmp_path, api_key_file=tmp_path / "keys") as client:
        for path in ("/", "/page/main.js", "/page/page.css"):
            assert (await client.get(path, headers=BROWSER)).status_code == 200
        for path in ("/page/nothing.js", "/page/", "/page/%2e%2e/docs.html", "/models", "/metrics", "/docs"):
            assert (await client.get(path)).status_code == 401, path


async def test_the_page_can_be_switched_off(tmp_path: Path, serving: Serving) -> None:
    (tmp_path / "keys").write_text("a-key-that-is-long-enough")
    async with serving(tmp_path, page=False) as client:
        for path in ("/", "/page/main.js"):
            answer = await client.get(path, headers=BROWSER)
            assert answer.status_code == 404
            assert "see /docs" in answer.json()["error"]
    async with serving(tmp_path, page=False, api_key_file=tmp_path / "keys") as client:
        assert (await client.get("/", headers=BROWSER)).status_code == 401


async def test_it_works_behind_a_prefix(tmp_path: Path) -> None:
    outer = FastAPI(openapi_url=None)
    app = create_app(Settings(models_dir=tmp_path))
    outer.mount("/ml/foldserve", app)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://test/ml/foldserve/") as client:
            page = await client.get("", headers=BROWSER)
            for link in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
                assert (await client.get(link)).status_code == 200, link
            doors = (await client.get("", headers={"accept": "application/json"})).json()
            assert (await client.get(doors["models"])).status_code == 200


def test_modules_import_only_what_is_there() -> None:
    folder = files("service").joinpath("web", "page")
    there = parts()
    for name in there:
        if not name.endswith(".js"):
            continue
        text = folder.joinpath(*name.split("/")).read_text()
        for found in IMPORT.findall(text):
            link = found[0] or found[1]
            target = (Path("/", name).parent / link).resolve().relative_to("/").as_posix()
            assert target in there, f"{name} imports {link}"
            assert "://" not in link


def test_nothing_is_ever_parsed_as_html_or_styled_in_the_markup() -> None:
    folder = files("service").joinpath("web", "page")
    closed = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    for name in parts():
        text = folder.joinpath(*name.split("/")).read_text()
        assert not closed.search(text), name
        if name.endswith(".html"):
            assert " style=" not in text
            assert not re.search(r"\son\w+=", text)


def test_the_wheel_holds_the_page() -> None:
    target = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]
    assert "service" in target["packages"]
    assert not {"exclude", "include", "only-include"} & set(target)
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert not [line for line in ignored if line.endswith((".js", ".css", ".html", ".svg"))]
