"""The commands of `foldserve`: translation from words to functions.

Commands of other packages join through the entry-point group `foldserve.commands`: the name is the command's,
the object a function for Typer. The flags of `serve` are the fields of `Settings`, one for one.
"""

from __future__ import annotations

import inspect as inspection
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from service import __version__
from service.settings import Settings

app = typer.Typer(
    name="foldserve",
    help="Train an MLP with Batch Normalization, prove the normalisation away, serve the ONNX file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL_FILE", help="a model.onnx")]


class Command(TyperCommand):
    """Its flags of the form `--flag [VALUE]` may stand alone: their value is an empty text then."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Alone is a flag at the end, and before another flag."""
        return super().parse_args(ctx, list(self._filled(args)))

    def _filled(self, words: list[str]) -> Iterator[str]:
        options = (param for param in self.params if param.param_type_name == "option")
        alone = {flag for option in options if (option.metavar or "")[:1] == "[" for flag in option.opts}
        for word, after in zip(words, [*words[1:], "-"], strict=False):
            yield word
            if word in alone and after.startswith("-"):
                yield ""


def run() -> None:
    """Do what the words of the command line say."""
    for entry in entry_points(group="foldserve.commands"):
        app.command(entry.name, cls=Command)(entry.load())
    app()


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Train, fold, certify and serve."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


def serve(*, check: bool, quiet: bool, **given: Any) -> None:
    """Serve every model of a folder over HTTP. Settings not given come from FOLDSERVE_* or the defaults."""
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    from service.server import start

    start.run(settings, check_only=check, quiet=quiet)


@app.command()
def predict(
    model_file: ModelFile,
    data: Annotated[Path, typer.Argument(metavar="DATA", help=".csv, .csv.gz, .parquet or .npz")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help=".csv or .parquet [stdout]")] = None,
) -> None:
    """Predict for a file of rows, without a server: the same numbers, bit for bit."""
    from service.offline import predict_file, write
    from service.progress import rows_progress

    with rows_progress() as observe:
        predictions = predict_file(model_file, data, observe)
    write(predictions.frame(), output)


@app.command()
def inspect(model_file: ModelFile) -> None:
    """Show signature, features, classes, scores, folding report and certificate of a model file."""
    from rich.console import Console

    from service.inspection import describe_file

    Console().print(describe_file(model_file))


def _flags() -> inspection.Signature:
    """The parameters of `serve`: one optional flag for each setting, and two of its own."""
    flags = {name: _flag(name, field) for name, field in Settings.model_fields.items()}
    flags["check"] = (bool, typer.Option(False, "--check", help="Load and listen as if to serve, then end."))
    flags["quiet"] = (bool, typer.Option(False, "--quiet", help="Say nothing unless something is wrong."))
    serve.__annotations__ = {name: kind for name, (kind, _) in flags.items()}
    keyword = inspection.Parameter.KEYWORD_ONLY
    return inspection.Signature(
        [
            inspection.Parameter(name, keyword, default=option, annotation=kind)
            for name, (kind, option) in flags.items()
        ]
    )


def _flag(name: str, field: FieldInfo) -> tuple[Any, Any]:
    """A setting as a flag: None when it is not given, for the environment has its say then.

    Values are checked by the settings alone, so that a variable and a flag are refused in the same words.
    """
    flag = f"--{name.replace('_', '-')}"
    default = "" if field.default in (None, "", False) else f" [{field.default}]"
    text = f"{field.description}{default}"
    if field.annotation is bool:
        # What is on by default is switched off by name.
        spelled = f"{flag}/--no-{flag[2:]}" if field.default else flag
        return bool | None, typer.Option(None, spelled, help=text, show_default=False)
    return str | None, typer.Option(None, flag, help=text, metavar=name.split("_")[-1].upper())


serve.__signature__ = _flags()  # type: ignore[attr-defined]
app.command()(serve)
