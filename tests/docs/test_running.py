"""What runs the blocks of a page: it must see a failure, or it proves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import blocks_of
from tests.docs.given import give
from tests.docs.running import BlockFailedError, commands, run_page

PAGE = """
<!-- file: rows.txt -->
```text
one
two
```

```sh
test "$(wc -l < rows.txt)" = 2  # a comment
printf '%s\\n' \\
    'a line
that goes on' > out.txt
```

```python
assert open("out.txt").read() == "a line\\nthat goes on\\n"
```

```sh
false
```

<!-- fails -->
```sh
true
```

<!-- not run: it would fail -->
```sh
false
```

```python
raise ValueError("no")
```
"""


def test_blocks_run_in_order_and_each_failure_is_told(tmp_path: Path) -> None:
    outcomes = list(run_page(list(blocks_of(PAGE, "page.md")), tmp_path))
    assert [bool(outcome.fault) for outcome in outcomes] == [False, False, False, True, True, False, True]
    assert "page.md:19" in outcomes[3].fault
    assert "ValueError: no" in outcomes[6].fault


def test_commands_end_where_a_shell_would_end_them() -> None:
    assert list(commands("a 'b\nc'\nd \\\n  e\n# nothing\n\nf # g\n")) == ["a 'b\nc'", "d   e", "f # g"]
    with pytest.raises(BlockFailedError):
        list(commands("a 'b"))


def test_a_page_asks_the_server_that_it_starts_and_a_refusal_fails(tmp_path: Path) -> None:
    give(tmp_path)
    page = (
        "```sh\nfoldserve serve --default-model digits\n```\n"
        "```sh\ncurl -s http://127.0.0.1:8000/models/digits -o answer.json\n```\n"
        "```sh\ncurl -s http://127.0.0.1:8000/models/nobody\n```\n"
    )
    outcomes = list(run_page(list(blocks_of(page, "page.md")), tmp_path))
    assert [bool(outcome.fault) for outcome in outcomes] == [False, False, True]
    assert "digits" in (tmp_path / "answer.json").read_text()
