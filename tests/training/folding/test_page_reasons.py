"""The page knows every reason code, and no other."""

import re
from importlib.resources import files

from training.folding.report import Reason


def test_the_page_has_words_for_every_reason_code() -> None:
    text = files("service").joinpath("web", "page", "folding", "reasons.js").read_text()
    words = set(re.findall(r'^  "?([a-z0-9-]+)"?: "', text, re.MULTILINE))
    assert words == {str(reason) for reason in Reason}
