"""What is asked for is not there, not served, or not allowed."""

from __future__ import annotations

from collections.abc import Sequence

from service.errors.base import RequestError


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


class FoldingClosed(RequestError):
    """ONNX files are not folded over HTTP here."""

    def __init__(self) -> None:
        text = "this server does not fold files: start it with --fold-uploads"
        super().__init__(text, got="a file", wanted="a server that folds files", where="path")


class FolderMissing(RequestError):
    """The packages that fold are not installed."""

    def __init__(self) -> None:
        wanted = "pip install 'foldserve[fold]'"
        text = f"the packages that fold are not installed where the server runs: {wanted}"
        super().__init__(text, got="a file", wanted=wanted, where="server")


class FolderBusy(RequestError):
    """As many files as may be at once are being folded."""

    def __init__(self, limit: int) -> None:
        text = f"{limit} files are being folded, the limit: try again later"
        super().__init__(text, got="one more file", wanted="try again later", where="server")


class Unfoldable(RequestError):
    """What came cannot be folded: it is not ONNX, or not whole, or takes too long."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, got=reason, wanted="one ONNX file that holds all its weights")


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


def _choices(available: Sequence[object]) -> str:
    return f"there is {', '.join(map(str, available))}" if available else "there is none"
