"""The base of all errors, and that of the errors of requests."""

from __future__ import annotations


class FoldserveError(Exception):
    """The base of every error a user may see; its text is one clear line.

    Attributes:
        exit_code: what the command line ends with.
    """

    exit_code = 1


class RequestError(FoldserveError):
    """A request that cannot be answered.

    Attributes:
        got: what came.
        wanted: what would have been right.
        where: the place in the request, such as "inputs[3]".
    """

    exit_code = 2

    def __init__(self, message: str, *, got: str, wanted: str, where: str = "body") -> None:
        super().__init__(message)
        self.got = got
        self.wanted = wanted
        self.where = where
