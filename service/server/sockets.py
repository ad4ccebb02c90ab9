"""Sockets to listen on: taken before anything is loaded, one for each worker, closed without losing anyone.

Workers share a port by SO_REUSEPORT: the kernel deals the connections out over their sockets. The parent
holds a copy of each, so that what waits in a dead worker's backlog waits for its replacement.
"""

from __future__ import annotations

import ctypes
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from service.errors import AddressUnavailable
from service.settings import Settings

BACKLOG = 2048

_ATTACH_FILTER, _DETACH_FILTER = 26, 27
_NO_SYN = (
    (0x30, 0, 0, 13),  # A = the byte of flags in the TCP header
    (0x54, 0, 0, 0x12),  # A &= SYN | ACK
    (0x15, 0, 1, 0x02),  # a SYN alone
    (0x06, 0, 0, 0),  # is dropped,
    (0x06, 0, 0, 0xFFFFFFFF),  # everything else passes
)
"""A packet filter that lets no new connection begin, and those that have begun go on."""


class Places(NamedTuple):
    """Where a server listens.

    Attributes:
        settings: with ports that are numbers, where 0 was asked for.
        listeners: one for each worker.
    """

    settings: Settings
    listeners: list[socket.socket]


@contextmanager
def places(settings: Settings) -> Iterator[Places]:
    """All ports that the settings ask for, taken. They are let go at the end.

    Raises:
        AddressUnavailable: one of them is taken, or the host is not one of this machine's.
    """
    with ExitStack() as held:
        first = held.enter_context(bind(settings.host, settings.port, shared=settings.workers > 1))
        ports = {"port": first.getsockname()[1]}
        others = [listen(settings.host, ports["port"], shared=True) for _ in range(settings.workers - 1)]
        listeners = [first, *map(held.enter_context, others)]
        for name in ("grpc_port", "metrics_port"):
            if (asked := getattr(settings, name)) is not None:
                if asked in ports.values():
                    flag = f"--{name.replace('_', '-')}"
                    raise AddressUnavailable(settings.host, asked, "it is asked for twice", flag)
                holder = held.enter_context(_reserve(settings.host, getattr(settings, name), name))
                ports[name] = holder.getsockname()[1]
        yield Places(settings.model_copy(update=ports), listeners)


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens on the address; port 0 takes a free one.

    Args:
        shared: let other sockets of this user listen there too.

    Raises:
        AddressUnavailable: the port is taken, or the host is not one of this machine's.
    """
    if shared:
        # Another server that shares its port too would not be noticed: connections would go to both.
        with _bound(host, port) as probe:
            port = probe.getsockname()[1]
    return listen(host, port, shared=shared)


def refuse_newcomers(listener: socket.socket) -> None:
    """Let no further connection begin. Those that have begun reach the backlog, and can all be accepted.

    A socket that is closed resets what is in its backlog; without this there would always be a moment
    between the last accept and the close. Where the kernel has no such filter that moment remains.
    """
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in _NO_SYN)
    memory = ctypes.create_string_buffer(program)
    with suppress(OSError):
        pointer = struct.pack("HL", len(_NO_SYN), ctypes.addressof(memory))
        listener.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, pointer)


def welcome_newcomers(listener: socket.socket) -> None:
    """Undo `refuse_newcomers`, which a worker that ended may have left behind."""
    with suppress(OSError):
        listener.setsockopt(socket.SOL_SOCKET, _DETACH_FILTER, 0)


def listen(host: str, port: int, *, shared: bool, flag: str = "--port") -> socket.socket:
    """A socket that listens on the address, at once; what `bind` finds out is known already.

    Raises:
        AddressUnavailable: the port is taken, or the host is not one of this machine's.
    """
    listener = _bound(host, port, shared=shared, flag=flag)
    # Connections wait in the backlog from now on, not refused while the workers start.
    listener.listen(BACKLOG)
    listener.set_inheritable(True)
    return listener


def _reserve(host: str, port: int, name: str) -> socket.socket:
    """A socket that holds a port without listening; whoever shares ports can listen there."""
    flag = f"--{name.replace('_', '-')}"
    with _bound(host, port, flag=flag) as probe:
        port = probe.getsockname()[1]
    return _bound(host, port, shared=True, flag=flag)


def _bound(host: str, port: int, *, shared: bool = False, flag: str = "--port") -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise AddressUnavailable(host, port, error.strerror or str(error), flag) from error
    return made
