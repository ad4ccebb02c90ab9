from pathlib import Path

import httpx
import numpy as np
import pytest

from service.app import create_app
from service.settings import Settings
from tests import graphs
from tests.conftest import Serving

pytestmark = pytest.mark.anyio


async def test_live_always_ready_once_a_model_answers(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        assert (await client.get("/health/live")).status_code == 200
        assert (await client.get("/health/ready")).status_code == 503
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    (tmp_path / "hollow" / "1").mkdir(parents=True)
    async with serving(tmp_path) as client:
        answer = await client.get("/health/ready")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_a_server_that_is_told_to_end_is_not_ready_through_any_door(tmp_path: Path) -> None:
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    app = create_app(Settings(models_dir=tmp_path))
    app.state.draining = True
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        doors = ["/health/ready", "/v2/health/ready", "/ping", "/health"]
        answers = {door: await client.get(door) for door in doors}
        assert {answer.status_code for answer in answers.values()} == {503}
        assert answers["/v2/health/ready"].json() == {"error": "not ready: the server is shutting down"}
        assert (await client.get("/health/live")).status_code == 200
