"""The soak in short: what `make soak` does for ten minutes is tried for some seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_nothing_is_lost_while_models_are_swapped_workers_killed_and_clients_hang_up() -> None:
    command = [sys.executable, "-m", "tests.soak", "--seconds", "12", "--kill-every", "5"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    counts = re.search(r"^sent (\d+), answered (\d+), lost 0, wrong 0$", ended.stdout, re.MULTILINE)
    assert counts, ended.stdout
    assert int(counts[2]) > int(counts[1]) / 2 > 50
    assert re.search(r"\b[2-9] workers killed, exit code 0", ended.stdout)
