"""The bodies of requests to load and to unload a model."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, NamedTuple

from service.payloads.oip import document
from service.payloads.oip.fields import flag, parameters
from service.payloads.oip.refusal import refuse
from service.payloads.values import kind, show

_FILE = "file:"


class LoadRequest(NamedTuple):
    """What to load besides the name.

    Attributes:
        files: contents by paths such as `1/model.onnx`.
        config: Triton's model configuration in JSON.
    """

    files: Mapping[str, bytes]
    config: str | None


def read_load_request(body: bytes) -> LoadRequest:
    """The parameters `config` and `file:<path>`; others change nothing.

    Raises:
        MalformedBody, InvalidTensors: the body is not of that form.
    """
    given = _parameters(body)
    files = {
        key.removeprefix(_FILE): _decoded(key, value) for key, value in given.items() if key.startswith(_FILE)
    }
    return LoadRequest(files, None if given.get("config") is None else _text("config", given["config"]))


def read_unload_request(body: bytes) -> None:
    """No model of ours has dependents, so `unload_dependents` is checked and changes nothing.

    Raises:
        MalformedBody, InvalidTensors: the body is not of that form.
    """
    flag(_parameters(body), "unload_dependents", "parameters")


def _parameters(body: bytes) -> Mapping[str, Any]:
    return parameters(document.parse(body), "parameters") if body.strip() else {}


def _text(key: str, value: object) -> str:
    if not isinstance(value, str):
        raise refuse(
            f"{show(key)} is {kind(value)}, expected a string",
            got=value,
            wanted="a string",
            where="parameters",
        )
    return value


def _decoded(key: str, value: object) -> bytes:
    try:
        return base64.b64decode(_text(key, value), validate=True)
    except (binascii.Error, ValueError):
        text = f"{show(key)} is not in base64"
        raise refuse(text, got="other characters", wanted="base64", where="parameters") from None
