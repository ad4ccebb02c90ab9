import io
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from service.routes.documentation import ASSETS
from tests.conftest import Serving
from tests.end_to_end.test_every_door import people, table

pytestmark = pytest.mark.anyio


async def test_the_page_and_all_it_asks_for_come_from_this_server(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        page = (await client.get("/docs")).text
        wanted = re.findall(r'(?:src|href)="([^"]+)"', page)
        assert [link for link in wanted if ":" in link] == ["data:,"]
        for link in wanted[1:]:
            answer = await client.get(f"/{link}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(("text/javascript", "text/css"))
        script = (await client.get("/docs/docs.js")).text
        assert "openapi.json" in script
        assert "http" not in script
        for path in ("/docs/nothing.js", "/docs/..%2f..%2fapp.py", "/docs/NOTICE", "/redoc"):
            assert (await client.get(path)).status_code == 404


def test_the_package_holds_the_page_with_the_licence_of_what_is_not_ours() -> None:
    web = files("service") / "web"
    assert all(web.joinpath(*place.split("/")).is_file() for place, _ in ASSETS.values())
    assert "SmartBear" in web.joinpath("swagger-ui", "NOTICE").read_text()
    assert "Apache License" in web.joinpath("swagger-ui", "LICENSE").read_text()


async def test_example_tables_can_be_fetched_and_sent(tmp_path: Path, serving: Serving) -> None:
    people(tmp_path / "a").parents[1].rename(tmp_path / "people")
    table(tmp_path / "b").parents[1].rename(tmp_path / "table")
    async with serving(tmp_path) as client:
        csv = (await client.get("/models/people/examples/rows.csv")).text
        assert csv == 'age,score,visits,vip,city\n0,0,0,false,"text"\n'
        parquet = (await client.get("/models/people/examples/rows.parquet")).content
        assert pl.read_parquet(io.BytesIO(parquet)).columns == ["age", "score", "visits", "vip", "city"]
        npy = (await client.get("/models/table/examples/rows.npy")).content
        assert np.load(io.BytesIO(npy)).tolist() == [[0, 0]]
        for path in ("people/examples/rows.npy", "people/examples/x", "nobody/examples/rows.csv"):
            assert (await client.get(f"/models/{path}")).status_code == 404
