"""What became of every request."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Tally:
    """Counts by end and kind of request.

    Attributes:
        ends: ("answered", "refused", …) and the kind of the request → how many.
        faults: what was wrong with those that were lost or answered wrongly; the first few.
    """

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: int = 0
    faults: list[str] = field(default_factory=list)

    def end(self, how: str, kind: str) -> None:
        """A request of that kind has ended so."""
        self.ends[how, kind] += 1

    def fault(self, how: str, kind: str, words: str) -> None:
        """It ended as it must not."""
        self.end(how, kind)
        if len(self.faults) < 10:
            self.faults.append(f"{how} {kind}: {words}")

    def of(self, how: str) -> int:
        """How many ended so."""
        return sum(count for (end, _), count in self.ends.items() if end == how)

    @property
    def sent(self) -> int:
        """How many there were."""
        return sum(self.ends.values())

    def table(self) -> str:
        """One line for each kind, one column for each end."""
        ends = sorted({end for end, _ in self.ends})
        kinds = sorted({kind for _, kind in self.ends})
        lines = [["request", "sent", *ends]]
        for kind in [*kinds, "all"]:
            counts = [sum(self.ends[end, k] for k in (kinds if kind == "all" else [kind])) for end in ends]
            lines.append([kind, str(sum(counts)), *map(str, counts)])
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(word.rjust(width) if i else word.ljust(width) for i, (word, width) in enumerate(pairs))
            for pairs in (list(zip(line, widths, strict=True)) for line in lines)
        )
