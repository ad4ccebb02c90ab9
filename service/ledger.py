"""Numbers that all workers of a server see: blocks of integers by key, in memory mapped from files.

Each worker writes a file of its own and reads all of them, so that no lock is needed and a sum over workers
is one pass. The file outlives its worker: the one that replaces it goes on counting where the other stopped.

A file is a row of pages. A page is the length of its key (0 where nothing is), the key, and the integers. The
length is written last: whoever reads it finds a whole page.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path

PAGES = 4096
KEY_BYTES = 512
_WORD = 8


class Ledger:
    """The pages of one worker; without a folder they are its own alone.

    Args:
        slots: how many integers a block has.
        folder: where the workers of this server keep their files.
        worker: the number of this worker, from 0.
    """

    def __init__(self, slots: int, folder: Path | None = None, worker: int = 0) -> None:
        self._slots = slots
        self._page = _WORD + KEY_BYTES + slots * _WORD
        self._folder = folder
        self._blocks: dict[str, memoryview] = {}
        self._map = self._mapped(folder / f"worker-{worker}.ledger" if folder else None)
        self._used = 0
        self._lock = threading.Lock()
        for key, block in self._pages(self._map):
            self._blocks[key] = block
            self._used += 1

    def block(self, key: str) -> memoryview:
        """The integers of a key, int64, zero at first; the same memory whenever it is asked for.

        A key that no longer fits gets integers that only this object sees.
        """
        with self._lock:
            if key not in self._blocks:
                self._blocks[key] = self._new(key)
            return self._blocks[key]

    @property
    def keys(self) -> list[str]:
        """The keys of this worker."""
        return list(self._blocks)

    def read(self) -> dict[str, list[memoryview]]:
        """The blocks of every worker, by key."""
        found: dict[str, list[memoryview]] = {}
        for mapped in self._all():
            for key, block in self._pages(mapped):
                found.setdefault(key, []).append(block)
        return found

    def _new(self, key: str) -> memoryview:
        name = key.encode()
        if self._used == PAGES or len(name) > KEY_BYTES:
            return memoryview(bytearray(self._slots * _WORD)).cast("q")
        start = self._used * self._page
        self._map[start + _WORD : start + _WORD + len(name)] = name
        self._map[start : start + _WORD] = len(name).to_bytes(_WORD, "little")
        self._used += 1
        return self._slots_of(self._map, start)

    def _all(self) -> Iterator[mmap.mmap]:
        if self._folder is None:
            yield self._map
            return
        for path in sorted(self._folder.glob("worker-*.ledger")):
            yield self._mapped(path)

    def _mapped(self, path: Path | None) -> mmap.mmap:
        size = PAGES * self._page
        if path is None:
            return mmap.mmap(-1, size)
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(file).st_size < size:
                os.ftruncate(file, size)
            return mmap.mmap(file, size)
        finally:
            os.close(file)

    def _pages(self, mapped: mmap.mmap) -> Iterator[tuple[str, memoryview]]:
        for start in range(0, PAGES * self._page, self._page):
            length = int.from_bytes(mapped[start : start + _WORD], "little")
            if not length:
                return
            key = mapped[start + _WORD : start + _WORD + length].decode()
            yield key, self._slots_of(mapped, start)

    def _slots_of(self, mapped: mmap.mmap, start: int) -> memoryview:
        first = start + _WORD + KEY_BYTES
        return memoryview(mapped)[first : first + self._slots * _WORD].cast("q")
