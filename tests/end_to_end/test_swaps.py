"""Models exchanged under load, in a real process: nothing is lost, nothing is half, nothing is kept.

`SWAPS`, `RELOADS` and `REQUESTS` in the environment set other counts than those of the normal suite.
"""

from __future__ import annotations

import http.client
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import onnx
import pytest

from service.session import Session
from tests import graphs
from tests.processes import Server, serve
from tests.service.repository.files import publish

SWAPS = int(os.environ.get("SWAPS", "200"))
RELOADS = int(os.environ.get("RELOADS", "200"))
REQUESTS = int(os.environ.get("REQUESTS", "2000"))
CLIENTS = 4
FEATURES, OUTPUTS = 512, 512
ROWS = np.random.default_rng(0).standard_normal((256, FEATURES), np.float32)
SIZES = (1, 7, 256)
"""One row runs at once, the largest request goes through the batcher."""


def version(seed: int) -> onnx.ModelProto:
    generator = np.random.default_rng(seed)
    weight = generator.standard_normal((FEATURES, OUTPUTS), np.float32) / 16
    return graphs.linear(weight, generator.standard_normal(OUTPUTS, np.float32))


class Client:
    """One connection that is kept."""

    def __init__(self, server: Server) -> None:
        address = urlsplit(server.address)
        self._connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def post(self, path: str, body: bytes = b"", kind: str = "application/json") -> tuple[int, bytes]:
        self._connection.request("POST", path, body, {"content-type": kind})
        answer = self._connection.getresponse()
        return answer.status, answer.read()

    def predict(self, rows: int) -> bytes:
        """The bits of the answer: 4 bytes a number."""
        return self.ask(NPY[rows])[-rows * OUTPUTS * 4 :]

    def ask(self, body: bytes) -> bytes:
        """The answer to rows in npy, in npy."""
        form = {"content-type": "application/x-npy", "accept": "application/x-npy"}
        self._connection.request("POST", "/predict", body, form)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return content

    def load(self) -> None:
        status, answer = self.post("/v2/repository/models/m/load")
        assert status == 200, answer


def npy(rows: np.ndarray) -> bytes:
    import io

    file = io.BytesIO()
    np.save(file, rows)
    return file.getvalue()


NPY = {size: npy(ROWS[:size]) for size in SIZES}


class Load:
    """Clients that ask without a pause, and what they were answered."""

    def __init__(self, server: Server, wanted: dict[int, dict[bytes, str]]) -> None:
        self._server = server
        self._wanted = wanted
        self._stop = threading.Event()
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=[n]) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join(60)

    def _ask(self, number: int) -> None:
        mine: Counter[str] = Counter()
        try:
            with Client(self._server) as client:
                while not self._stop.is_set():
                    size = SIZES[(number + mine.total()) % len(SIZES)]
                    mine[self._wanted[size].get(client.predict(size), "neither")] += 1
        except Exception as error:
            self.faults.append(repr(error))
        self.answers += mine


def expected(folder: Path, models: dict[str, onnx.ModelProto]) -> dict[int, dict[bytes, str]]:
    """The bits of every possible answer, by rows, and whose they are."""
    wanted: dict[int, dict[bytes, str]] = {size: {} for size in SIZES}
    for name, model in models.items():
        session = Session(publish(model, folder, name))
        for size in SIZES:
            wanted[size][session.run({"x": ROWS[:size]})[0].tobytes()] = name
    return wanted


@pytest.mark.parametrize("workers", [1, 2])
def test_swaps_under_load_lose_no_request_and_mix_no_versions(tmp_path: Path, workers: int) -> None:
    models = {"even": version(0), "odd": version(1)}
    wanted = expected(tmp_path / "kept", models)
    bits = {name: key for key, name in wanted[1].items()}
    folder = tmp_path / "models"
    publish(models["even"], folder)
    options = ["--watch-interval", "0.02", "--repository-api", "--workers", str(workers)]
    with serve(folder, *options) as server, Client(server) as client:
        load = Load(server, wanted)
        swaps = SWAPS if workers == 1 else SWAPS // 10
        with load.running():
            for number in range(1, swaps + 1):
                name = "odd" if number % 2 else "even"
                # Every fourth swap is a new version, the one before is removed later; the others replace it.
                new = 1 + number // 4
                publish(models[name], folder, version=new)
                if number % 5 or workers > 1:
                    client.load()
                    assert client.predict(1) == bits[name]
                else:
                    until(lambda name=name: client.predict(1) == bits[name])
                if number % 4 == 0:
                    shutil.rmtree(folder / "m" / str(new - 1))
        assert load.faults == []
        assert load.answers["neither"] == 0
        assert min(load.answers["even"], load.answers["odd"]) > 0
        print(f"{swaps} swaps, {load.answers.total()} answers")  # noqa: T201 - the figure of the soak


def test_reloads_and_batches_of_every_size_keep_no_memory(tmp_path: Path) -> None:
    publish(version(0), tmp_path)
    with serve(tmp_path, "--watch-interval", "0.05", "--repository-api") as server, Client(server) as client:
        each = REQUESTS // RELOADS
        sizes = np.random.default_rng(1).integers(1, 256, REQUESTS)
        bodies = [npy(ROWS[:size]) for size in range(256)]
        resident = []
        for number in range(RELOADS):
            client.load()
            for size in sizes[number * each : (number + 1) * each]:
                client.ask(bodies[size])
            resident.append(resident_bytes(server.process.pid))
        first, last = max(resident[: RELOADS // 10]), max(resident[-RELOADS // 10 :])
        words = f"{RELOADS} reloads, {REQUESTS} requests: {first >> 20} MiB after a tenth, "
        print(f"{words}{last >> 20} MiB at the end")  # noqa: T201
        assert last < 1.05 * first


def resident_bytes(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
