"""The body of a repository index request."""

from __future__ import annotations

from service.payloads.oip import document
from service.payloads.oip.fields import flag


def read_index_request(body: bytes) -> bool:
    """Whether only what is ready is asked for; an empty body asks for everything.

    Raises:
        MalformedBody, InvalidTensors: it is not {"ready": true or false}.
    """
    return bool(body.strip()) and flag(document.parse(body), "ready", "body")
