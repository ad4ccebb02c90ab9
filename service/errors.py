"""The base of every error that foldserve raises on purpose."""


class FoldserveError(Exception):
    """Something foldserve refuses or cannot do, in one line.

    Attributes:
        exit_code: what the command line exits with.
    """

    exit_code = 1
