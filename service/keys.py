"""Who may ask: API keys from a file, one per line, read again when the file changes.

Only SHA-256 digests are kept. What a caller sends is compared with each of them, in the same time whether it
is nearly right or wholly wrong.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import time
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from service.errors import Unauthorized, UnreadableKeys

SHORTEST = 16
"""The fewest characters of a key: what is shorter can be guessed."""

_LOOKS_APART = 1.0
_SOUND = re.compile(rb"[!-~]{%d,}" % SHORTEST)
_LARGEST = 2**20

Header = tuple[str | bytes, str | bytes]
Stamp = tuple[int, int, int]

_log = logging.getLogger("foldserve.keys")


class Keys:
    """The keys of one file.

    Args:
        path: the file.
        clock: seconds, for how often the file is looked at.

    Raises:
        UnreadableKeys: it cannot be read, holds no key, or one that is too short.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._looked = clock()
        self._stamp = _stamp(path)
        self._digests = _read(path)

    def __len__(self) -> int:
        return len(self._digests)

    def admits(self, headers: Iterable[Header]) -> bool:
        """Whether one of the headers, or of a call's metadata, carries a key; names are in small letters."""
        if self._clock() - self._looked >= _LOOKS_APART:
            self._look()
        return any(self._knows(key) for key in offered(headers))

    def check(self, headers: Collection[Header]) -> None:
        """Let a request pass by its headers, or a call by its metadata.

        Raises:
            Unauthorized: no key is among them, or none that is known.
        """
        if not self.admits(headers):
            raise Unauthorized(given=bool(offered(headers)))

    def _knows(self, key: bytes) -> bool:
        digest = hashlib.sha256(key).digest()
        # All of them, whatever the first ones say.
        return sum(hmac.compare_digest(digest, known) for known in self._digests) > 0

    def _look(self) -> None:
        """Read the file again if it has changed; when the new one is not in order the old keys stay."""
        self._looked = self._clock()
        if (stamp := _stamp(self._path)) == self._stamp:
            return
        self._stamp = stamp
        try:
            self._digests = _read(self._path)
            _log.info("read %d API keys again", len(self._digests))
        except UnreadableKeys as error:
            _log.error("the old API keys stay in force: %s", error)


def offered(headers: Iterable[Header]) -> list[bytes]:
    """The keys that a request brings, as `authorization: Bearer …` or `x-api-key: …`."""
    found = []
    for name, value in headers:
        if name in (b"x-api-key", "x-api-key"):
            found.append(_bytes(value).strip())
        elif name in (b"authorization", "authorization"):
            scheme, _, key = _bytes(value).strip().partition(b" ")
            if scheme.lower() == b"bearer":
                found.append(key.strip())
    return found


def _bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _read(path: Path) -> list[bytes]:
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST + 1)
    except OSError as error:
        raise UnreadableKeys(path, error.strerror or str(error)) from error
    if len(text) > _LARGEST:
        raise UnreadableKeys(path, f"it is longer than {_LARGEST} bytes")
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    keys = [(number, line) for number, line in lines if line and not line.startswith(b"#")]
    for number, key in keys:
        if not _SOUND.fullmatch(key):
            wanted = f"{SHORTEST} or more printable ASCII characters without spaces"
            raise UnreadableKeys(path, f"line {number} is no key: expected {wanted}")
    if not keys:
        raise UnreadableKeys(path, "it holds no key: write one per line")
    return [hashlib.sha256(key).digest() for _, key in keys]
