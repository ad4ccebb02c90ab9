"""HTTPS with a certificate that openssl makes for the test."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest

from service.errors import CertificateUnusable
from service.server.tls import check_certificate
from service.settings import Settings
from tests import graphs
from tests.processes import run, serve
from tests.servers import running

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl command")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and a key with a certificate for this machine that vouches for itself."""
    folder = tmp_path_factory.mktemp("tls")
    graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), folder / "models", "m")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=test -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run(
        [*command.split(), "-keyout", folder / "key", "-out", folder / "certificate"],
        check=True,
        capture_output=True,
    )
    return folder


def context(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=folder / "certificate")


def test_predictions_over_https(folder: Path) -> None:
    files = ("--ssl-certfile", str(folder / "certificate"), "--ssl-keyfile", str(folder / "key"))
    with serve(folder / "models", *files) as server:
        assert server.address.startswith("https://127.0.0.1:")
        with httpx.Client(base_url=server.address, verify=context(folder)) as client:
            for _ in range(2):
                answer = client.post("/predict", json={"inputs": [[1, 2]]})
                assert answer.json()["predictions"] == [[1.0, 2.0]]


def test_clients_without_a_certificate_are_turned_away(folder: Path) -> None:
    certificate = folder / "certificate"
    files = {"ssl_certfile": certificate, "ssl_keyfile": folder / "key", "ssl_ca_certs": certificate}
    with running(folder / "models", metrics_port=0, **files) as server:
        address = f"https://127.0.0.1:{server.port}/health/live"
        metrics = f"https://127.0.0.1:{server.app.state.settings.metrics_port}/metrics"
        known = context(folder)
        known.load_cert_chain(certificate, folder / "key")
        for door in (address, metrics):
            with httpx.Client(verify=context(folder)) as stranger, pytest.raises(httpx.HTTPError):
                stranger.get(door)
            with httpx.Client(verify=known) as client:
                assert client.get(door).status_code == 200


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"ssl_keyfile": "key"}, "there is none; --ssl-certfile names it"),
        ({"ssl_certfile": "absent"}, "absent: No such file or directory"),
        ({"ssl_certfile": "certificate"}, "PEM"),
        ({"ssl_certfile": "certificate", "ssl_keyfile": "certificate"}, "PEM"),
    ],
)
def test_files_that_do_not_go_together_are_refused(folder: Path, files: dict[str, str], words: str) -> None:
    settings = Settings(**{name: folder / file for name, file in files.items()})
    with pytest.raises(CertificateUnusable, match=words):
        check_certificate(settings)


def test_a_missing_certificate_is_one_clear_line(folder: Path) -> None:
    ended = run("serve", "--models-dir", folder / "models", "--port", "0", "--ssl-certfile", "nowhere")
    assert ended.returncode == 2
    assert ended.stderr == "foldserve: the certificate cannot be used: nowhere: No such file or directory\n"
