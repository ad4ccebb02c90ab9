"""Health is answered while every core computes."""

from __future__ import annotations

import http.client
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests import graphs
from tests.processes import serve

LIMIT = 0.010
LOAD = """
import io, sys, time
import numpy as np
from tests.load import load

buffer = io.BytesIO()
np.save(buffer, np.ones((64, 512), "f4"))
with load(sys.argv[1], buffer.getvalue(), "application/x-npy", clients=4) as clients:
    while not clients.account.answered:
        time.sleep(0.01)
    print("busy", flush=True)
    sys.stdin.read()
print(clients.account.lost)
"""


def test_health_is_answered_within_ten_milliseconds_while_every_core_computes(tmp_path: Path) -> None:
    graphs.put(graphs.mlp(512, 2048, 2048, 100), tmp_path, "m")
    with serve(tmp_path) as server:
        command = [sys.executable, "-c", LOAD, f"{server.address}/predict"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as busy:
            assert busy.stdout
            assert busy.stdin
            assert busy.stdout.readline() == "busy\n"
            times = ask(server.address, 200)
            busy.stdin.close()
            assert busy.stdout.read() == "[]\n"
    assert statistics.median(times) < LIMIT


def ask(address: str, count: int) -> list[float]:
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        connection.request("GET", "/health/live")
        assert connection.getresponse().read() == b'{"status":"live"}'
        times.append(time.perf_counter() - start)
        time.sleep(0.005)
    connection.close()
    return times
