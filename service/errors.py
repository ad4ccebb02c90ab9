"""What can go wrong, as facts. No HTTP here: `app` holds the table from class to status.

FoldserveError
├── RequestError               a request that cannot be answered: what came, what was wanted, where
│   ├── MalformedBody          not in the form that its Content-Type names
│   ├── InvalidRows            the rows do not fit the model's signature
│   ├── InvalidTensors         the tensors do not fit the model, or the request the protocol
│   ├── RunFailed              the graph has no result for these inputs
│   ├── BodyTooLarge
│   ├── TooManyNumbers         a small body that unpacks to a large table
│   ├── TooManyRows
│   ├── InvalidHeader          a header that asks for what cannot be
│   ├── UnsupportedMediaType   a form that is not read
│   ├── NotAcceptable          a form that is not written
│   ├── Unauthorized           no API key, or an unknown one
│   ├── UnknownModel
│   ├── UnknownVersion
│   ├── NoDefaultModel
│   ├── ModelUnavailable       it is there, but it is not served
│   ├── NothingServed          no model answers
│   ├── RepositoryClosed       models are not loaded and unloaded over HTTP here
│   ├── LoadFailed             a model could not be loaded as it was asked
│   ├── Unconfirmed            not every worker has said that it did what was asked
│   ├── SettingFixed           what only a restart changes
│   ├── UnknownRegion          no shared memory of that name
│   ├── UnknownService         gRPC's health protocol asks for a service that is not here
│   ├── UnsupportedSignature   it is served, but not through this door
│   ├── Overloaded             too many rows wait already
│   ├── DeadlineExceeded       the answer would come too late
│   ├── ClientGone             nobody waits for the answer
│   ├── ShuttingDown           the server has been told to end
│   ├── MalformedRequest       not HTTP
│   ├── HeadTooLarge           the request line and headers
│   ├── TooSlow                the request did not arrive in time
│   └── TooManyConnections
├── UnreadableModel            a file that cannot become a session
├── UnreadableKeys             a file of API keys that cannot be read
├── UnreadableTable            a file of rows that cannot be read
├── RuntimeMissing             onnxruntime is not installed
├── DeviceUnavailable          the device asked for cannot be had
├── GrpcUnavailable            the gRPC door cannot be opened
├── AddressUnavailable         the host and port cannot be listened on
├── CertificateUnusable        HTTPS cannot be spoken with these files
└── WorkerFailed               a worker process cannot start
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/'\"]+/)+")
"""The folders of an absolute path."""


class FoldserveError(Exception):
    """The base of every error a user may see; its text is one clear line.

    Attributes:
        exit_code: what the command line ends with.
    """

    exit_code = 1


class RequestError(FoldserveError):
    """A request that cannot be answered.

    Attributes:
        got: what came.
        wanted: what would have been right.
        where: the place in the request, such as "inputs[3]".
    """

    exit_code = 2

    def __init__(self, message: str, *, got: str, wanted: str, where: str = "body") -> None:
        super().__init__(message)
        self.got = got
        self.wanted = wanted
        self.where = where


class MalformedBody(RequestError):
    """The body is not in the form that its Content-Type names."""


class InvalidRows(RequestError):
    """The rows do not fit the model's signature."""


class InvalidTensors(RequestError):
    """The tensors do not fit the model, or the request around them the protocol."""


class RunFailed(RequestError):
    """The graph has no result for these inputs: an index beyond a table, sizes that do not go together."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"the model cannot compute these inputs: {reason}", got=reason, wanted="inputs it can compute"
        )


class BodyTooLarge(RequestError):
    """The body is longer than the limit, in bytes."""

    def __init__(self, limit: int, got: int | None = None) -> None:
        came = f"{got} bytes" if got is not None else f"more than {limit} bytes"
        super().__init__(
            f"the body is too large: got {came}, the limit is {limit} bytes; send fewer rows per request",
            got=came,
            wanted=f"at most {limit} bytes",
        )


class TooManyNumbers(RequestError):
    """The body holds, or would unpack to, more than a JSON body of the largest size could."""

    def __init__(self, got: int, limit: int, what: str = "numbers") -> None:
        super().__init__(
            f"the table is too large: got {got} {what}, the limit is {limit}; send fewer rows per request",
            got=f"{got} {what}",
            wanted=f"at most {limit} {what}",
        )


class TooManyRows(RequestError):
    """More rows than one request may have."""

    def __init__(self, got: int, limit: int) -> None:
        super().__init__(
            f"too many rows: got {got}, the limit is {limit}; send them in several requests",
            got=f"{got} rows",
            wanted=f"at most {limit} rows",
        )


class InvalidHeader(RequestError):
    """A header that asks for what cannot be."""

    def __init__(self, name: str, got: str, wanted: str) -> None:
        came = got[:80]
        super().__init__(
            f"header {name} is {came!r}: expected {wanted}", got=came, wanted=wanted, where=f"header {name}"
        )


class UnsupportedMediaType(RequestError):
    """The body's Content-Type, or the way in which it is compressed, is not one this door reads."""

    def __init__(self, got: str | None, accepted: Sequence[str], where: str = "header Content-Type") -> None:
        came = got or "no Content-Type"
        super().__init__(
            f"cannot read {came}: send {' or '.join(accepted)}",
            got=came,
            wanted=" or ".join(accepted),
            where=where,
        )


class NotAcceptable(RequestError):
    """None of the forms that the Accept header names is one this door writes."""

    def __init__(self, got: str, offered: Sequence[str]) -> None:
        choices = " or ".join(offered)
        super().__init__(
            f"cannot answer as {got}: accept {choices}", got=got, wanted=choices, where="header Accept"
        )


class Unauthorized(RequestError):
    """The request brings no API key, or none that is known."""

    def __init__(self, *, given: bool) -> None:
        came = "an API key that is not known" if given else "no API key"
        wanted = "Authorization: Bearer <key>, or X-API-Key: <key>"
        super().__init__(f"got {came}: send {wanted}", got=came, wanted=wanted, where="header Authorization")
        self.given = given


class UnknownModel(RequestError):
    """No model of that name."""

    def __init__(self, name: str, available: Sequence[str]) -> None:
        choices = _choices(available)
        super().__init__(f"no model named {name!r}: {choices}", got=name, wanted=choices, where="path")


class UnknownVersion(RequestError):
    """The model has no such version."""

    def __init__(self, name: str, version: str, available: Sequence[int]) -> None:
        choices = _choices(available)
        message = f"model {name!r} has no version {version!r}: {choices}"
        super().__init__(message, got=version, wanted=choices, where="path")


class NoDefaultModel(RequestError):
    """POST /predict names no model, and there is not exactly one."""

    def __init__(self, available: Sequence[str]) -> None:
        wanted = (
            f"POST to /models/{{name}}/predict with one of {', '.join(available)}, "
            "or start the server with --default-model"
            if available
            else "put a model at <models-dir>/<name>/<version>/model.onnx"
        )
        message = f"{'several models and no default' if available else 'no model is served'}: {wanted}"
        super().__init__(message, got="/predict", wanted=wanted, where="path")


class ModelUnavailable(RequestError):
    """The model is there, but it is not served."""

    def __init__(self, name: str, version: int | None, reason: str) -> None:
        which = "" if version is None else f" version {version}"
        message = f"model {name!r}{which} is not served: {reason}"
        super().__init__(
            message,
            got=name if version is None else f"{name}/{version}",
            wanted="a version that is served",
            where="path",
        )


class NothingServed(RequestError):
    """No model answers."""

    def __init__(self) -> None:
        super().__init__(
            "not ready: no model is served", got="no model", wanted="a model that is served", where="server"
        )


class RepositoryClosed(RequestError):
    """Models are not loaded and unloaded over HTTP here."""

    def __init__(self) -> None:
        text = "the repository API is off: start the server with --repository-api to load and unload models"
        super().__init__(text, got="load or unload", wanted="/v2/repository/index", where="path")


class LoadFailed(RequestError):
    """A model could not be loaded as it was asked; what was served before still is."""

    def __init__(self, name: str, reason: str) -> None:
        wanted = "a model that can be served"
        super().__init__(f"model {name!r} was not loaded: {reason}", got=reason, wanted=wanted, where="model")
        self.name = name
        self.reason = reason


class Unconfirmed(RequestError):
    """Some workers have not said in time that they did what was asked."""

    def __init__(self, done: int, count: int, seconds: float) -> None:
        text = f"{done} of {count} workers have done it after {seconds:g} s: ask again or see the index"
        super().__init__(text, got=f"{done} answers", wanted=f"{count} answers", where="workers")


class SettingFixed(RequestError):
    """Clients may read the settings of logging and tracing, but not change them."""

    def __init__(self, what: str, instead: str) -> None:
        text = f"{what} settings are fixed while the server runs: {instead}"
        super().__init__(text, got=f"new {what} settings", wanted=instead, where="server")


class UnknownRegion(RequestError):
    """No shared memory of that name, for none is offered."""

    def __init__(self, name: str) -> None:
        wanted = "tensors in the request"
        text = f"no shared memory region named {name!r}: this server offers none, send {wanted}"
        super().__init__(text, got=name, wanted=wanted, where="path")


class UnknownService(RequestError):
    """No gRPC service of that name."""

    def __init__(self, name: str) -> None:
        text = f"no service named {name[:200]!r}"
        super().__init__(text, got=name[:200], wanted="a service of this server", where="service")


class UnsupportedSignature(RequestError):
    """The model is sound, but it does not take rows of columns."""

    def __init__(self, reason: str) -> None:
        wanted = "a model with one 2-D input or one input per column"
        super().__init__(f"this door needs {wanted}: {reason}", got=reason, wanted=wanted, where="path")


class Overloaded(RequestError):
    """Too many rows wait already.

    Attributes:
        seconds: how long it will take until none of them waits.
    """

    def __init__(self, waiting: int, limit: int, seconds: float = 0.0) -> None:
        wanted = "try again later, or send fewer rows"
        message = f"the server is busy: {waiting} rows wait, the limit is {limit}; {wanted}"
        super().__init__(message, got=f"{waiting} rows waiting", wanted=wanted, where="queue")
        self.seconds = seconds


class DeadlineExceeded(RequestError):
    """The answer would come after its deadline, so the rows were not run."""

    def __init__(self) -> None:
        wanted = "a longer timeout, or fewer requests at once"
        message = f"the answer would come after its deadline, so the rows were not run; {wanted}"
        super().__init__(message, got="an answer that would come too late", wanted=wanted, where="queue")


class ClientGone(RequestError):
    """The client hung up: nobody waits for the answer."""

    def __init__(self) -> None:
        wanted = "a client that waits for its answer"
        super().__init__("the client hung up", got="the end", wanted=wanted, where="connection")


class ShuttingDown(RequestError):
    """The server has been told to end: it is not ready for more."""

    def __init__(self) -> None:
        super().__init__(
            "not ready: the server is shutting down", got="the end", wanted="another server", where="server"
        )


class MalformedRequest(RequestError):
    """What came is not HTTP/1.1."""

    def __init__(self) -> None:
        wanted = "a request in HTTP/1.1"
        super().__init__(
            f"this is not HTTP: send {wanted}", got="something else", wanted=wanted, where="request"
        )


class HeadTooLarge(RequestError):
    """The request line and the headers together are longer than the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"the request line and headers are too large: the limit is {limit} bytes",
            got=f"more than {limit} bytes",
            wanted=f"at most {limit} bytes",
            where="headers",
        )


class TooSlow(RequestError):
    """The request did not arrive in time."""

    def __init__(self, seconds: float, where: str) -> None:
        super().__init__(
            f"the request came too slowly: after {seconds:.3g} s it was not complete; send it in one go",
            got=f"an incomplete request after {seconds:.3g} s",
            wanted="a request that is sent in one go",
            where=where,
        )


class TooManyConnections(RequestError):
    """The server holds as many connections as it may."""

    def __init__(self, limit: int) -> None:
        wanted = "try again later, or use one connection for many requests"
        super().__init__(
            f"the server holds {limit} connections already, its limit; {wanted}",
            got=f"{limit + 1} connections",
            wanted=wanted,
            where="connection",
        )


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


def _choices(available: Sequence[object]) -> str:
    return f"there is {', '.join(map(str, available))}" if available else "there is none"


def _without_folders(reason: str, path: Path) -> str:
    """A reason that names files alone."""
    for folder in (path.parent.resolve(), path.parent):
        if folder.name:
            reason = reason.replace(f"{folder}/", "").replace(str(folder), folder.name)
    return _FOLDERS.sub("", reason)
