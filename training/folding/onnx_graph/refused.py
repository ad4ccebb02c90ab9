"""A fold that cannot be: raised while planning, reported if no other way is left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from training.folding.report import Reason


class Refused(Exception):
    """Attributes: the reason code, the missing fact in words, and the amp that was too high, if it was."""

    def __init__(self, reason: Reason, detail: str, amp: float | None = None) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail
        self.amp = amp


@contextmanager
def refusing_contradictions() -> Iterator[None]:
    """Planning changes nothing, so a model whose shapes contradict each other only loses this one fold.

    Raises:
        Refused: in place of what NumPy raises when arrays do not fit.
    """
    try:
        yield
    except (ValueError, LookupError, RecursionError) as error:
        raise Refused(
            Reason.UNKNOWN_SHAPE, f"the shapes of the model do not fit each other: {error}"
        ) from error
