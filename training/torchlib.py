"""torchlib: the operators that torch's exporter knows, read once for all exports of a process.

The exporter asks onnxscript for them at every call, and onnxscript parses the source of five hundred Python
functions each time to answer: two fifths of the time that the export of a small network takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

_MODULE, _NAME = "onnxscript._framework_apis.torch_2_5", "get_torchlib_ops"


@contextmanager
def read_once() -> Iterator[None]:
    """Within the block, what was read before is answered again; elsewhere nothing changes.

    An onnxscript that keeps them in another place reads them each time, as ever.
    """
    try:
        apis = import_module(_MODULE)
        read = getattr(apis, _NAME)
    except (ImportError, AttributeError):
        yield
        return
    setattr(apis, _NAME, _remembered(read))
    try:
        yield
    finally:
        setattr(apis, _NAME, read)


@cache
def _remembered(read: Callable[[], Any]) -> Callable[[], Any]:
    return cache(read)
