"""models/ on disk → name → versions → served models; watched, swapped and unloaded while requests run.

`layout` says what lies there, `policy` which of it is wanted, `shelf` what is to be done about it, `loading`
does it, and `index` is what requests see: immutable, exchanged by one assignment. What cannot be served is
listed there with the reason.

What clients ask over HTTP is a `wish`. `control` brings it to all workers of a server.
"""

from service.repository.index import Listed, Refused, Version
from service.repository.policy import Policy
from service.repository.repository import Repository
from service.repository.watcher import watching

__all__ = ["Listed", "Policy", "Refused", "Repository", "Version", "watching"]
