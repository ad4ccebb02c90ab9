import socket
from collections.abc import Callable

import pytest

from service.errors import AddressUnavailable
from service.server.sockets import bind, places, refuse_newcomers, welcome_newcomers
from service.settings import Settings


def connect(listener: socket.socket, timeout: float = 5) -> socket.socket:
    return socket.create_connection(listener.getsockname(), timeout)


def test_a_socket_accepts_at_once_and_a_taken_one_is_refused() -> None:
    with bind("127.0.0.1", 0) as listener:
        connect(listener).close()
        with pytest.raises(AddressUnavailable, match=r"Address already in use; choose another with --port"):
            bind("127.0.0.1", listener.getsockname()[1])


def test_workers_share_a_port_but_not_with_another_server() -> None:
    with places(Settings(port=0, workers=3)) as (settings, listeners):
        assert {listener.getsockname()[1] for listener in listeners} == {settings.port}
        assert len(listeners) == 3
        with pytest.raises(AddressUnavailable), places(Settings(port=settings.port, workers=2)):
            pass


def test_ports_of_0_become_numbers_that_nobody_else_gets() -> None:
    with places(Settings(port=0, grpc_port=0, metrics_port=0)) as (settings, _):
        assert settings.grpc_port
        assert settings.metrics_port
        assert len({settings.port, settings.grpc_port, settings.metrics_port}) == 3
        with socket.socket() as shared:
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            shared.bind(("127.0.0.1", settings.grpc_port))
            shared.listen()
            connect(shared).close()
        taken = Settings(port=0, grpc_port=settings.port)
        with pytest.raises(AddressUnavailable, match=r"choose another with --grpc-port$"), places(taken):
            pass


@pytest.mark.parametrize("first", [lambda _: None, welcome_newcomers])
def test_refused_newcomers_wait_outside_and_those_in_the_backlog_are_kept(
    first: Callable[[socket.socket], None],
) -> None:
    with bind("127.0.0.1", 0) as listener:
        first(listener)
        with connect(listener) as early:
            refuse_newcomers(listener)
            with pytest.raises(TimeoutError):
                connect(listener, timeout=0.2)
            early.sendall(b"here")
            with listener.accept()[0] as accepted:
                assert accepted.recv(4) == b"here"
        welcome_newcomers(listener)
        connect(listener).close()


def test_two_doors_on_one_port_are_refused() -> None:
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    settings = Settings(port=0, grpc_port=port, metrics_port=port)
    with pytest.raises(AddressUnavailable, match=r"asked for twice; .*--metrics-port"), places(settings):
        pass
