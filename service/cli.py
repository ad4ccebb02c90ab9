"""The command `foldserve`: translation from words to functions, and from errors to one line.

Commands of other packages join through the entry-point group `foldserve.commands`: the name is the command's,
the object a function for Typer.
"""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from service import __version__
from service.errors import FoldserveError

app = typer.Typer(
    name="foldserve",
    help="Train an MLP with Batch Normalization, prove the normalisation away, serve the ONNX file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ModelFile = Annotated[Path, typer.Argument(metavar="MODEL_FILE", help="a model.onnx")]


def main() -> None:
    """Run the command line; an error of ours is one line on stderr and its exit code."""
    for entry in entry_points(group="foldserve.commands"):
        app.command(entry.name)(entry.load())
    try:
        app()
    except FoldserveError as error:
        _end(str(error), error.exit_code)
    except ValidationError as error:
        first = error.errors()[0]
        _end(f"setting {'.'.join(map(str, first['loc']))} is {first['input']!r}: {first['msg']}", 2)
    except OSError as error:
        _end(f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except KeyboardInterrupt:
        _end("interrupted", 130)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    """Train, fold, certify and serve."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


@app.command()
def serve(
    models_dir: Annotated[Path | None, typer.Option(help="folder with <name>/<version>/model.onnx")] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on [127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="port; 0 takes a free one [8000]")] = None,
    workers: Annotated[int | None, typer.Option(help="processes [1]")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu or cuda [auto]")] = None,
    default_model: Annotated[str | None, typer.Option(help="the model of POST /predict")] = None,
    max_body_bytes: Annotated[int | None, typer.Option(help="longest request body [16 MiB]")] = None,
    check: Annotated[bool, typer.Option("--check", help="Load and listen as if to serve, then end.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing unless something is wrong.")] = False,
) -> None:
    """Serve every model of a folder over HTTP. Settings not given come from FOLDSERVE_* or the defaults."""
    from service.settings import Settings

    given = {
        "models_dir": models_dir,
        "host": host,
        "port": port,
        "workers": workers,
        "device": device,
        "default_model": default_model,
        "max_body_bytes": max_body_bytes,
    }
    values: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    settings = Settings(**values)
    from service.server import run

    run(settings, check_only=check, quiet=quiet)


@app.command()
def predict(
    model_file: ModelFile,
    data: Annotated[Path, typer.Argument(metavar="DATA", help=".csv, .csv.gz, .parquet or .npz")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help=".csv or .parquet [stdout]")] = None,
) -> None:
    """Predict for a file of rows, without a server: the same numbers, bit for bit."""
    from service.offline import predict_file, write

    write(predict_file(model_file, data).frame(), output)


@app.command()
def inspect(model_file: ModelFile) -> None:
    """Show signature, features, classes, scores, folding report and certificate of a model file."""
    from rich.console import Console

    from service.inspection import describe_file

    Console().print(describe_file(model_file))


def _end(message: str, code: int) -> None:
    line = " ".join(message.split())
    typer.echo(f"foldserve: {line}", err=True)
    sys.exit(code)
