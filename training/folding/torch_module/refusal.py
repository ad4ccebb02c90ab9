"""Why a move is not possible, carried from the place that knows to the report."""

from __future__ import annotations

from training.folding.report import Reason


class Blocked(Exception):
    """A field cannot pass here.

    Attributes:
        reason: the reason code.
        detail: the missing fact in words.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
