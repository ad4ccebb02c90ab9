import re
from pathlib import Path

import pytest

from service.routes.page import POLICY
from tests.conftest import Serving

pytestmark = pytest.mark.anyio

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}


async def test_a_browser_gets_the_page_with_a_policy_that_allows_this_server_alone(
    tmp_path: Path, serving: Serving
) -> None:
    async with serving(tmp_path) as client:
        answer = await client.get("/", headers=BROWSER)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert answer.headers["content-security-policy"] == POLICY
        assert "unsafe" not in POLICY
        links = re.findall(r'(?:src|href)="([^"#]+)"', answer.text)
        assert not [link for link in links if ":" in link or link.startswith("/")]
        for link in links:
            assert (await client.get(f"/{link}")).status_code == 200
