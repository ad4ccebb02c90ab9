"""`foldserve compare` as a person calls it, without the process around it."""

import shlex
import sys
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from training.cli_compare import compare
from training.errors import ConfigError

ROOT = Path(__file__).parents[2]

APP = typer.Typer()
APP.command()(compare)


def run(options: str) -> str:
    """What it prints; its error as it is."""
    ended = CliRunner().invoke(APP, shlex.split(options), catch_exceptions=True)
    if ended.exception and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_compare_prints_a_table_and_writes_a_page(tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("a,b,y\n" + "".join(f"{i % 7},{i % 3},{i % 7 > 2}\n" for i in range(80)))
    out = tmp_path / "page.html"
    words = run(
        f"{rows} --target y --seeds 2 --rates 0.01 --hidden 4 --epochs 2 --optimizer sgd --output {out}"
    )
    assert "rows.csv → y: 8 runs of" in words
    assert "steps without / with [95 %]" in words
    assert words.rstrip().replace("\n", "").endswith(f"page: {out}")
    assert out.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--seeds 0", "--seeds is 0"),
        ("--rates fast", "--rates is 'fast'"),
        ("--rates 0.1,-1", "--rates are"),
        ("--epochs 0", "--epochs is 0"),
        ("-o nowhere/page.html", "expected a file in a folder that exists"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(options: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        run(f"--dataset wine {options}")
    assert "\n" not in str(caught.value)


def test_without_matplotlib_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    line = r"matplotlib is not installed: pip install 'foldserve\[compare,train,cpu\]'"
    with pytest.raises(ConfigError, match=line):
        run("--dataset wine --seeds 2")


def test_the_command_is_registered() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["foldserve.commands"]["compare"] == "training.cli_compare:compare"
