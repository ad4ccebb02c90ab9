import re
from pathlib import Path

from training.folding import Reason

GUIDE = Path(__file__).parents[3] / "docs" / "folding.md"


def test_the_guide_lists_every_reason_code_and_no_other() -> None:
    codes = re.findall(r"^\| `([a-z0-9-]+)` \|", GUIDE.read_text(), re.MULTILINE)
    assert sorted(codes) == sorted(Reason)
