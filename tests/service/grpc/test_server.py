"""The gRPC server's port, limits and end; a certificate; what it says when it cannot be."""

import asyncio
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import grpc.aio
import numpy as np
import pytest
from grpc import StatusCode

from service.app import create_app
from service.cost import Cost
from service.errors import AddressUnavailable, GrpcUnavailable, InvalidHeader
from service.grpc.messages import INFERENCE, ModelInferRequest, message
from service.grpc.server import GrpcDoor
from service.settings import Settings
from tests import graphs
from tests.processes import run
from tests.service.grpc.conftest import Opening, refused
from tests.service.grpc.test_infer import heavy, request, until

pytestmark = pytest.mark.anyio

LIVE = f"/{INFERENCE}/ServerLive"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    graphs.put(graphs.linear(np.eye(3, 2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    return tmp_path


async def test_a_message_longer_than_the_limit_is_refused_packed_or_not(
    folder: Path, opening: Opening
) -> None:
    async with opening(folder, max_body_bytes=10_000) as door:
        for rows, status in ((800, None), (900, StatusCode.RESOURCE_EXHAUSTED)):
            body = ModelInferRequest(**request(np.zeros((rows, 3)))).SerializeToString()
            for packing in (None, grpc.Compression.Gzip):
                call = door.channel.unary_unary(f"/{INFERENCE}/ModelInfer")(body, compression=packing)
                if status is None:
                    assert await call
                else:
                    assert (await refused(call)).code() == status


async def test_nothing_is_imported_for_a_door_that_nobody_asked_for(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from service.app import create_app\n"
        "from service.settings import Settings\n"
        f"create_app(Settings(models_dir=Path({str(folder)!r})))\n"
        "assert not {'grpc', 'google.protobuf', 'service.grpc'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_grpcio_the_start_is_one_clear_line(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tmp_path / "absent" / "grpc"
    absent.mkdir(parents=True)
    (absent / "__init__.py").write_text("raise ImportError('No module named grpc', name='grpc')")
    path = [str(absent.parent), *sys.path[1:]]
    monkeypatch.setenv("PYTHONPATH", ":".join(entry for entry in path if entry))
    ended = run("serve", "--models-dir", folder, "--port", "0", "--grpc-port", "0", "--check")
    assert ended.returncode == 1
    assert ended.stderr == (
        "foldserve: cannot serve gRPC: grpcio is not installed: pip install 'foldserve[grpc]'\n"
    )


async def test_a_taken_port_is_told(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        app = create_app(Settings(models_dir=folder, grpc_port=taken.getsockname()[1]))
        with pytest.raises(AddressUnavailable, match=r"cannot listen on 127\.0\.0\.1"):
            async with app.router.lifespan_context(app):
                pass


async def test_workers_share_a_port(folder: Path, opening: Opening) -> None:
    async with opening(folder, workers=2) as door:
        port = door.app.state.grpc_port
        app = create_app(Settings(models_dir=folder, grpc_port=port, workers=2))
        async with app.router.lifespan_context(app):
            assert app.state.grpc_port == port
            assert await door.channel.unary_unary(LIVE)(b"")


async def test_calls_in_flight_are_finished_when_the_server_ends(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = create_app(Settings(models_dir=folder, grpc_port=0))
    model = heavy(app.state.repository.find("m"), Cost(0.01, 0.0))
    started, go_on, session_run = Event(), Event(), model.session.run

    def held(*given: Any) -> Any:
        started.set()
        assert go_on.wait(10)
        return session_run(*given)

    monkeypatch.setattr(model.session, "run", held)
    lifespan = app.router.lifespan_context(app)
    await lifespan.__aenter__()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}") as channel:
        body = ModelInferRequest(**request(np.zeros((1, 3)))).SerializeToString()
        in_flight = asyncio.ensure_future(channel.unary_unary(f"/{INFERENCE}/ModelInfer")(body))
        idle = channel.stream_stream(f"/{INFERENCE}/ModelStreamInfer")()
        await idle.write(body)
        await asyncio.to_thread(started.wait, 10)
        await until(lambda: model.waiting == 1)
        end = asyncio.ensure_future(lifespan.__aexit__(None, None, None))
        go_on.set()
        assert await in_flight
        assert await idle.read()
        # The stream would last for ever; it ends between two requests.
        assert await idle.read() is grpc.aio.EOF
        await asyncio.wait_for(end, 10)


async def test_a_judge_is_asked_about_every_call_but_health(folder: Path) -> None:
    def nobody(metadata: Any) -> None:
        raise InvalidHeader("x-key", dict(metadata).get("x-key", "absent"), "a key")

    state = create_app(Settings(models_dir=folder, grpc_port=0)).state
    async with (
        GrpcDoor(state, nobody).opened() as port,
        grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        for path in (LIVE, f"/{INFERENCE}/ServerReady", "/grpc.health.v1.Health/Check"):
            await channel.unary_unary(path)(b"")
        for path in (f"/{INFERENCE}/ModelInfer", f"/{INFERENCE}/ServerMetadata"):
            error = await refused(channel.unary_unary(path)(b"", metadata=(("x-key", "k"),)))
            assert (error.code(), "'k'" in str(error.details())) == (StatusCode.INVALID_ARGUMENT, True)
        stream = channel.stream_stream(f"/{INFERENCE}/ModelStreamInfer")()
        await stream.write(b"")
        assert (await refused(stream.read())).code() == StatusCode.INVALID_ARGUMENT


async def test_the_keys_of_the_operator_hold_here_too(tmp_path: Path, folder: Path) -> None:
    key = "a-key-of-some-length"
    (tmp_path / "keys").write_text(f"{key}\n")
    app = create_app(Settings(models_dir=folder, grpc_port=0, api_key_file=tmp_path / "keys"))
    metadata_of = f"/{INFERENCE}/ServerMetadata"
    async with (
        app.router.lifespan_context(app),
        grpc.aio.insecure_channel(f"127.0.0.1:{app.state.grpc_port}") as channel,
    ):
        for given in ((), (("x-api-key", key + "x"),)):
            error = await refused(channel.unary_unary(metadata_of)(b"", metadata=given))
            assert error.code() == StatusCode.UNAUTHENTICATED
            assert key not in str(error.details())
        for given in ((("x-api-key", key),), (("authorization", f"Bearer {key}"),)):
            assert await channel.unary_unary(metadata_of)(b"", metadata=given)
        assert await channel.unary_unary(LIVE)(b"")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl command")
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1"
        " -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    files = ["-keyout", str(key), "-out", str(chain)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return key, chain


@pytest.mark.parametrize("together", [True, False])
async def test_the_certificate_of_https_is_that_of_grpc(
    folder: Path, certificate: tuple[Path, Path], together: bool
) -> None:
    key, chain = certificate
    trusted = chain.read_bytes()
    if together:
        chain.write_bytes(key.read_bytes() + trusted)
    settings = Settings(
        models_dir=folder, grpc_port=0, ssl_certfile=chain, ssl_keyfile=None if together else key
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        credentials = grpc.ssl_channel_credentials(trusted)
        async with grpc.aio.secure_channel(f"localhost:{app.state.grpc_port}", credentials) as channel:
            answer: Any = message("inference.ServerLiveResponse").FromString(
                await channel.unary_unary(LIVE)(b"")
            )
            assert answer.live
        async with grpc.aio.insecure_channel(f"localhost:{app.state.grpc_port}") as channel:
            assert (await refused(channel.unary_unary(LIVE)(b""))).code() == StatusCode.UNAVAILABLE


async def test_clients_without_a_certificate_are_turned_away_where_one_is_demanded(
    folder: Path, certificate: tuple[Path, Path]
) -> None:
    key, chain = certificate
    settings = Settings(
        models_dir=folder, grpc_port=0, ssl_certfile=chain, ssl_keyfile=key, ssl_ca_certs=chain
    )
    app = create_app(settings)
    own = grpc.ssl_channel_credentials(chain.read_bytes(), key.read_bytes(), chain.read_bytes())
    async with app.router.lifespan_context(app):
        address = f"localhost:{app.state.grpc_port}"
        async with grpc.aio.secure_channel(address, own) as channel:
            assert await channel.unary_unary(LIVE)(b"")
        async with grpc.aio.secure_channel(
            address, grpc.ssl_channel_credentials(chain.read_bytes())
        ) as channel:
            assert (await refused(channel.unary_unary(LIVE)(b""))).code() == StatusCode.UNAVAILABLE


def test_an_encrypted_key_is_refused_at_the_start(folder: Path, certificate: tuple[Path, Path]) -> None:
    key, chain = certificate
    settings = Settings(
        models_dir=folder,
        grpc_port=0,
        ssl_certfile=chain,
        ssl_keyfile=key,
        ssl_keyfile_password="x",  # noqa: S106
    )
    with pytest.raises(GrpcUnavailable, match="must not be encrypted"):
        create_app(settings)
