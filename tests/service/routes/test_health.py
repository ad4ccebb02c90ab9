from pathlib import Path

import numpy as np
import pytest

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
