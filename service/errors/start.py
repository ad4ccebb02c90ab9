"""What keeps a command or a server from starting, or a model from being loaded."""

from __future__ import annotations

import re
from pathlib import Path

from service.errors.base import FoldserveError

_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")
"""The folders of an absolute path."""


class UnreadableModel(FoldserveError):
    """A file that cannot become a session, or whose session does not answer as it should.

    Attributes:
        stage: what it failed: "unreadable", "unsafe" (reaches out of its folder), "device", "trial",
            "golden".
    """

    exit_code = 2

    def __init__(self, path: Path, reason: str, *, stage: str = "unreadable") -> None:
        super().__init__(f"cannot read the model {path}: {reason}")
        self.path = path
        # Whoever may see the index need not know where on the disk the models are.
        self.reason = _without_folders(reason, path)
        self.stage = stage


class UnreadableKeys(FoldserveError):
    """A file of API keys that cannot be read, or holds none."""

    exit_code = 2

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the API keys {path}: {reason}")
        self.path = path
        self.reason = reason


class UnreadableTable(FoldserveError):
    """A file of rows that cannot be read."""

    exit_code = 2

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"cannot read the table {path}: {reason}")
        self.path = path
        self.reason = reason


class RuntimeMissing(FoldserveError):
    """onnxruntime is not installed."""

    def __init__(self) -> None:
        super().__init__(
            "onnxruntime is not installed: pip install 'foldserve[cpu]' for CPUs, "
            "or 'foldserve[gpu]' for NVIDIA GPUs (never both)"
        )


class DeviceUnavailable(FoldserveError):
    """The device asked for cannot be had; nothing falls back silently."""

    def __init__(self, device: str, reason: str) -> None:
        super().__init__(f"the device {device!r} cannot be used: {reason}")
        self.device = device
        self.reason = reason


class GrpcUnavailable(FoldserveError):
    """The gRPC door was asked for and cannot be opened."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot serve gRPC: {reason}")
        self.reason = reason


class AddressUnavailable(FoldserveError):
    """The host and port cannot be listened on."""

    def __init__(self, host: str, port: int, reason: str, flag: str = "--port") -> None:
        make = " (make: PORT=…)" if flag == "--port" else ""
        super().__init__(f"cannot listen on {host}:{port}: {reason}; choose another with {flag}{make}")
        self.host = host
        self.port = port


class CertificateUnusable(FoldserveError):
    """HTTPS cannot be spoken with these files."""

    exit_code = 2

    def __init__(self, reason: str) -> None:
        super().__init__(f"the certificate cannot be used: {reason}")


class WorkerFailed(FoldserveError):
    """A worker process cannot start; its own words say why."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def _without_folders(reason: str, path: Path) -> str:
    """A reason that names files alone."""
    for folder in (path.parent.resolve(), path.parent):
        if folder.name:
            reason = reason.replace(f"{folder}/", "").replace(str(folder), folder.name)
    return _FOLDERS.sub("", reason)
