"""Real processes under load: how they end, who is replaced, and that nobody who was let in is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from tests import graphs
from tests.load import Account, load
from tests.processes import Server, run, serve

ROWS = np.random.default_rng(0).normal(size=(8, 256)).round(3)
BODY = json.dumps({"inputs": ROWS.tolist()}).encode()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that takes some milliseconds."""
    folder = tmp_path_factory.mktemp("models")
    graphs.put(graphs.mlp(256, 1024, 1024, 10), folder, "m")
    return folder


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def workers(server: Server) -> list[psutil.Process]:
    """Its workers that live."""
    alive = []
    for child in psutil.Process(server.process.pid).children():
        with suppress(psutil.NoSuchProcess):
            alive += [child] if child.status() != psutil.STATUS_ZOMBIE else []
    return alive


def ended(server: Server) -> tuple[int, str]:
    output, _ = server.process.communicate(timeout=20)
    assert "Traceback" not in output
    return server.process.returncode, output


@pytest.mark.parametrize(("count", "delay"), [(1, 0), (2, 0), (1, 1), (2, 1)])
def test_nobody_who_was_let_in_is_lost_when_the_server_is_told_to_end(
    models: Path, count: int, delay: float
) -> None:
    options = ("--workers", str(count), "--drain-delay", str(delay))
    with (
        serve(models, *options) as server,
        load(f"{server.address}/predict", BODY, until_refused=True) as clients,
    ):
        wait_until(lambda: clients.account.answered > 100)
        before = clients.account.answered
        told = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert ended(server)[0] == 0
        assert delay <= time.monotonic() - told < delay + 5
        account = clients.join()
        assert account.lost == []
        assert set(account.statuses) == {200}
        assert account.last > 0
        if delay:
            assert account.answered - before > 50, "new connections are accepted meanwhile"


@pytest.mark.parametrize("count", [1, 2])
def test_it_is_not_ready_from_the_moment_it_is_told_to_end(models: Path, count: int) -> None:
    doors = ("/health/ready", "/v2/health/ready", "/ping", "/health")
    with (
        serve(models, "--drain-delay", "1", "--workers", str(count)) as server,
        httpx.Client(base_url=server.address) as client,
    ):
        assert [client.get(door).status_code for door in doors] == [200] * 4
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/health/ready").status_code == 503, 0.5)
        answers = [client.get(door) for door in doors]
        assert [answer.status_code for answer in answers] == [503] * 4
        assert {answer.headers["connection"] for answer in answers} == {"close"}
        live = client.get("/health/live")
        assert (live.status_code, live.headers["connection"]) == (200, "close")
        assert client.post("/predict", content=BODY, headers={"content-type": "application/json"}).is_success
        assert ended(server)[0] == 0


def test_an_idle_connection_does_not_hold_up_the_end(models: Path) -> None:
    with serve(models) as server, httpx.Client(base_url=server.address) as client:
        client.get("/health/live")
        told = time.monotonic()
        server.process.send_signal(signal.SIGINT)
        assert ended(server)[0] == 0
        assert time.monotonic() - told < 2


def test_what_takes_longer_than_the_timeout_is_cut_off(models: Path) -> None:
    with serve(models, "--shutdown-timeout", "0.5") as server:
        host, port = server.address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"POST /predict HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                b"Content-Length: 9\r\n\r\n"
            )
            told = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            code, output = ended(server)
            answer = client.recv(1000)
        assert code == 0
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"the server is shutting down" in answer
        assert "1 requests are cut off" in output
        assert 0.4 < time.monotonic() - told < 3


@pytest.mark.parametrize("count", [1, 2])
def test_a_second_signal_ends_it_at_once(models: Path, count: int) -> None:
    with serve(models, "--drain-delay", "30", "--workers", str(count)) as server:
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: httpx.get(f"{server.address}/health/ready").status_code == 503)
        time.sleep(0.1)  # closer together they count as one
        server.process.send_signal(signal.SIGTERM)
        assert ended(server)[0] == 128 + signal.SIGTERM


def test_a_killed_worker_is_replaced_and_only_its_own_requests_are_lost(models: Path) -> None:
    with serve(models, "--workers", "2") as server:
        first = workers(server)
        with load(f"{server.address}/predict", BODY, clients=8) as clients:
            wait_until(lambda: clients.account.answered > 100)
            first[0].kill()
            wait_until(lambda: len(workers(server)) == 2 and first[0] not in workers(server))
            target = clients.account.answered + 200
            wait_until(lambda: clients.account.answered > target)
        account = clients.account
        assert account.refused == 0, "a dead worker's backlog waits for the replacement"
        assert len(account.lost) <= 8, "at most one for each client"
        assert_counted_once(server, account)
        server.process.send_signal(signal.SIGTERM)
        code, output = ended(server)
        assert code == 0
        assert "was ended by SIGKILL: it is replaced" in output


def test_a_replacement_that_cannot_start_is_tried_again_while_another_answers(
    models: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "models"
    shutil.copytree(models, folder)
    with (
        serve(folder, "--workers", "2", "--default-model", "m", "--watch-interval", "0") as server,
        load(f"{server.address}/health/live", b"", method="GET", clients=2) as clients,
    ):
        first = workers(server)
        (folder / "m").rename(folder / ".gone")
        first[0].kill()
        assert server.process.stdout
        assert "was ended by SIGKILL: it is replaced" in server.process.stdout.readline()
        assert "cannot start, tried again in 0.5 s: no model named 'm'" in server.process.stdout.readline()
        (folder / ".gone").rename(folder / "m")
        wait_until(lambda: len(workers(server)) == 2)
        target = clients.account.answered + 100
        wait_until(lambda: clients.account.answered > target)
        assert clients.account.refused == 0


def assert_counted_once(server: Server, account: Account) -> None:
    """Statistics add up over workers, the dead one's too; a lost request may have been computed."""
    models = httpx.get(f"{server.address}/v2/models/stats").json()["model_stats"]
    counted = sum(model["inference_stats"]["success"]["count"] for model in models)
    assert account.answered <= counted <= account.answered + len(account.lost)


def test_workers_do_not_outlive_their_supervisor(models: Path) -> None:
    with serve(models, "--workers", "2") as server:
        orphans = workers(server)
        [folder] = {Path(file.path).parent for file in orphans[0].memory_maps() if "foldserve-" in file.path}
        os.kill(server.process.pid, signal.SIGKILL)
        gone, alive = psutil.wait_procs(orphans, timeout=5)
        assert alive == []
        assert len(gone) == 2
        assert not Path(folder).exists()


def test_a_worker_that_cannot_start_is_one_clear_line(models: Path) -> None:
    ended = run("serve", "--models-dir", models, "--port", "0", "--workers", "2", "--device", "cuda")
    assert ended.returncode == 1
    assert ended.stderr.startswith("foldserve: the device 'cuda' cannot be used: ")
    assert ended.stderr.count("\n") == 1
    ended = run("serve", "--models-dir", models, "--port", "0", "--workers", "2", "--default-model", "nobody")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[-1] == "foldserve: no model named 'nobody': there is m"
