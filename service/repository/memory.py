"""Unloaded models give their memory back to the system, not only to the allocator."""

from __future__ import annotations

import ctypes
import weakref
from threading import Event

from service.model import ServedModel


class Memory:
    """Waits for models to be gone: the last request of one may outlive its unloading."""

    def __init__(self) -> None:
        self._gone = Event()

    def watch(self, model: ServedModel) -> None:
        """Notice when nobody holds the model any more."""
        weakref.finalize(model, self._gone.set).atexit = False

    def give_back(self) -> None:
        """Return free memory to the system when a model has gone since the last time."""
        if self._gone.is_set():
            self._gone.clear()
            _trim()


def _trim() -> None:
    # glibc alone keeps freed memory for itself, and has this function.
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
