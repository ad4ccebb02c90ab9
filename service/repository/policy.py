"""Which versions of a model are wanted: the newest, all, or those named."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """All versions, unless something is said.

    Attributes:
        newest: only so many, the highest of those that can be served.
        numbers: only these.
        reason: what is said of a version that is not wanted.
    """

    newest: int | None = None
    numbers: frozenset[int] | None = None
    reason: str = "it is not among the versions that were asked for"

    @classmethod
    def parse(cls, text: str) -> Policy:
        """The policy of `--versions`: `latest`, `all`, or numbers separated by commas."""
        if text == "all":
            return cls()
        if text == "latest":
            return cls(newest=1, reason="a later version is served; only the latest is wanted")
        numbers = frozenset(int(number) for number in text.split(","))
        return cls(numbers=numbers, reason=f"only {text} is wanted")

    @classmethod
    def of_config(cls, config: str) -> Policy | None:
        """The `version_policy` of a model configuration in Triton's JSON form; None when it has none.

        Raises:
            ValueError: it is not of that form.
        """
        document = json.loads(config)
        if not isinstance(document, dict):
            raise ValueError("expected an object")
        policy = document.get("version_policy")
        if policy is None:
            return None
        try:
            return cls._of_choice(policy)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            wanted = '{"latest": {"num_versions": 1}}, {"all": {}} or {"specific": {"versions": [1]}}'
            raise ValueError(f"version_policy: expected {wanted}") from error

    @classmethod
    def _of_choice(cls, policy: dict[str, dict[str, object]]) -> Policy:
        [(choice, details)] = policy.items()
        match choice, details.get("num_versions", 1), details.get("versions"):
            case "all", _, _:
                return cls()
            case "latest", int(newest), _ if newest > 0:
                return cls(newest=newest)
            case "specific", _, [*versions] if versions:
                return cls(numbers=frozenset(int(str(version)) for version in versions))
        raise ValueError(choice)

    def admits(self, version: int) -> bool:
        """Whether the version may be served at all."""
        return self.numbers is None or version in self.numbers


UNLOADED = Policy(numbers=frozenset(), reason="unloaded")
"""What holds for a model after it was unloaded on request."""
