"""The parameters of a request to load a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from service.payloads.oip.loading import LoadRequest
from service.payloads.oip.refusal import refuse
from service.payloads.values import show

_FILE = "file:"


def read_load(parameters: Mapping[str, Any]) -> LoadRequest:
    """The parameters `config` and `file:<path>`; others change nothing.

    Raises:
        InvalidTensors: one of them is of another kind.
    """
    files = {
        key.removeprefix(_FILE): _value(key, given, "bytes_param")
        for key, given in parameters.items()
        if key.startswith(_FILE)
    }
    config = _value("config", parameters["config"], "string_param") if "config" in parameters else None
    return LoadRequest(files, config)


def _value(key: str, given: Any, wanted: str) -> Any:
    choice = given.WhichOneof("parameter_choice")
    if choice != wanted:
        text = f"parameter {show(key)} is {choice or 'empty'}, expected {wanted}"
        raise refuse(text, got=choice or "nothing", wanted=wanted, where="parameters")
    return getattr(given, wanted)
