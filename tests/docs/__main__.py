"""`python -m tests.docs [PAGE …]` runs every block of the README and the pages, and lists what is not run."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.blocks import PAGES, page_blocks
from tests.docs.given import give
from tests.docs.running import run_page


def main(names: list[str]) -> int:
    """How many blocks failed."""
    faults: list[str] = []
    skipped: list[str] = []
    ran = 0
    for path in PAGES:
        if names and path.stem not in names:
            continue
        blocks = page_blocks(path)
        with TemporaryDirectory() as name:
            folder = Path(name)
            give(folder)
            outcomes = list(run_page(blocks, folder))
        run = [outcome for outcome in outcomes if outcome.block.fate == "run"]
        seconds = sum(outcome.seconds for outcome in outcomes)
        print(f"{path.name}: {len(run)} of {len(blocks)} blocks run, {seconds:.1f} s", flush=True)
        ran += len(run)
        faults += [outcome.fault for outcome in outcomes if outcome.fault]
        skipped += [f"{block.place}: {block.said}" for block in blocks if block.fate == "not run"]
    print(f"\n{ran} blocks run, {len(skipped)} not run:", *skipped, sep="\n  ")
    print(f"{len(faults)} failed", *faults, sep="\n\n")
    return len(faults)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
