"""The command line, in a process of its own: words in, one line and an exit code out."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from service import __version__, commands
from service.cli import plain_flags
from tests import graphs
from tests.processes import run


@pytest.mark.parametrize("command", ["serve", "predict", "inspect", "train"])
def test_every_command_explains_itself(command: str) -> None:
    assert command in run("--help").stdout
    help_ = run(command, "--help")
    assert help_.returncode == 0
    assert len(help_.stdout) > 200


def test_the_version_is_the_packages() -> None:
    assert run("--version").stdout.strip() == __version__


def test_inspect_shows_a_file_and_refuses_what_is_none(tmp_path: Path) -> None:
    path = graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    assert "[N, 2]" in run("inspect", path).stdout
    path.write_bytes(b"no model")
    for wrong in (path, tmp_path / "absent.onnx"):
        ended = run("inspect", wrong)
        assert ended.returncode == 2
        assert ended.stderr.startswith("foldserve: cannot read the model")
        assert ended.stderr.count("\n") == 1


def test_predict_writes_csv_to_stdout(tmp_path: Path) -> None:
    path = graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m")
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b\n1,2\n")
    assert run("predict", path, rows).stdout == "prediction,prediction_1\n1.0,2.0\n"
    refused = run("predict", path, tmp_path / "absent.csv")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


WORDS = ("--port", "80", "--port=81", "--quiet", "--check", "--no-fast-lane", "--fast-lane", "--workers")
MORE = (
    "--cors-origins",
    "-1",
    "--",
    "x",
    "--log-level=",
    "--max-rows",
    "--nothing",
    "--por",
    "",
    "--quiet=1",
)


@given(st.lists(st.sampled_from(WORDS + MORE), max_size=6))
def test_plain_flags_mean_what_typer_makes_of_them(words: list[str]) -> None:
    plain = plain_flags(words)
    if plain is None:
        return
    heard: dict[str, Any] = {}

    def listen(**given: Any) -> None:
        heard.update(given)

    listen.__signature__ = commands.serve.__signature__  # type: ignore[attr-defined]
    listen.__annotations__ = commands.serve.__annotations__
    app = typer.Typer(add_completion=False)
    app.command()(listen)
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    own = {"check", "quiet"}
    assert {k: v for k, v in heard.items() if v is not None and (v or k not in own)} == plain


def test_plain_flags_are_read_without_typer() -> None:
    assert plain_flags(["--port", "80", "--no-fast-lane", "--quiet"]) == {
        "port": "80",
        "fast_lane": False,
        "quiet": True,
    }
    assert plain_flags(["--help"]) is None
    assert plain_flags(["--port"]) is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], (None, None)),
        (["--log"], ("", None)),
        (["--log", "--rate", "-1"], ("", -1.0)),
        (["--log", "http://here", "--rate", "2"], ("http://here", 2.0)),
        (["--log="], ("", None)),
    ],
    ids=["absent", "last", "before-another", "with-a-value", "empty"],
)
def test_a_flag_whose_value_is_in_brackets_may_stand_alone(
    words: list[str], expected: tuple[str | None, float | None]
) -> None:
    app, seen = typer.Typer(), []

    @app.command(cls=commands.Command)
    def told(
        log: Annotated[str | None, typer.Option(metavar="[URI]")] = None, rate: float | None = None
    ) -> None:
        seen.append((log, rate))

    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    assert seen == [expected]


def test_a_flag_whose_value_is_not_in_brackets_may_not() -> None:
    ended = run("train", "--dataset", "wine", "--lr")
    assert ended.returncode == 2
    assert "requires an argument" in ended.stderr
