"""The commands `fold` and `verify`: options in, tables out. What they do is `fold_file` and `verify`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training.errors import CertificateError, ConfigError, TrainingError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from training.folding.onnx_graph import FoldedFile
    from training.folding.onnx_graph.file import Observer
    from training.folding.report import FoldEntry
    from training.verify import Verification

_WIDTH = 200

_MODEL = typer.Argument(help="The ONNX file.", show_default=False)


class StillFoldableError(TrainingError):
    """`--check` found something that could be folded."""


def fold(
    model: Annotated[Path, _MODEL],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where the folded file goes.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write the report as JSON.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only report; exit 1 if anything can fold.")] = False,
    no_forward: Annotated[bool, typer.Option("--no-forward", help="Fold into layers before only.")] = False,
    amp_limit: Annotated[float, typer.Option(help="Keep one Sub in front above this amplification.")] = 32.0,
) -> None:
    """Fold every normalisation of an ONNX file into its linear neighbours."""
    if output is None and not check and report is None:
        raise ConfigError("nothing to do: give -o FILE for the folded model, or --check")
    if not amp_limit >= 0:
        raise ConfigError(f"--amp-limit is {amp_limit}, expected 0 or more")
    from training.folding.onnx_graph import fold_file

    target = None if check else output
    with folding_progress() as observe:
        folded = fold_file(model, target, forward=not no_forward, amp_limit=amp_limit, observe=observe)
    _print(fold_table(folded))
    _print(size_table(folded, target))
    if report is not None:
        report.write_text(
            json.dumps(report_json(folded), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    if check and folded.report.folded:
        raise StillFoldableError(f"{folded.report.folded} of {len(folded.report.entries)} can be folded")


def verify(
    original: Annotated[Path, typer.Argument(help="The file before folding.", show_default=False)],
    folded: Annotated[Path, typer.Argument(help="The file after folding.", show_default=False)],
    rows: Annotated[Path | None, typer.Option(help="A CSV file of rows; random ones otherwise.")] = None,
    random: Annotated[int, typer.Option(help="How many random rows.")] = 1024,
    tolerance: Annotated[float | None, typer.Option(help="Largest row error; by type otherwise.")] = None,
) -> None:
    """Run two files on the same rows and compare their answers row by row."""
    from training.verify import verify as compare

    result = compare(original, folded, table=rows, random_rows=random, tolerance=tolerance)
    _print(verification_table(result))
    if not result.is_same:
        raise CertificateError(f"{folded} does not compute what {original} computes")


@contextmanager
def folding_progress(console: Console | None = None) -> Iterator[Observer]:
    """A bar on stderr that goes when it is done; on a terminal only."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("reading", total=None)

        def observe(what: str, done: int, of: int) -> None:
            progress.update(task, description=what, completed=done, total=of)

        yield observe


def fold_table(folded: FoldedFile) -> Table:
    """Each normalisation, and where it went or why it stayed."""
    from rich.table import Table

    table = Table("normalisation", "kind", "channels", "went", "into, or why not", "amp", box=None)
    for entry in folded.report.entries:
        amp = "" if entry.amp is None else f"{entry.amp:.3g}"
        table.add_row(entry.layer, entry.kind, str(entry.channels), entry.direction, _where(entry), amp)
    return table


def _where(entry: FoldEntry) -> str:
    if entry.reason is not None:
        return f"{entry.reason.value}: {entry.detail}"
    return f"{entry.into} ({entry.detail})" if entry.detail else str(entry.into)


def size_table(folded: FoldedFile, target: Path | None) -> Table:
    """How large the model was and is."""
    from rich.table import Table

    report = folded.report
    table = Table("", "before", "after", box=None)
    table.add_row("nodes", f"{report.layers_before:,}", f"{report.layers_after:,}")
    table.add_row("numbers stored", f"{report.parameters_before:,}", f"{report.parameters_after:,}")
    if target is not None and folded.bytes_after is not None:
        table.add_row("bytes", f"{folded.bytes_before:,}", f"{folded.bytes_after:,}")
    return table


def report_json(folded: FoldedFile) -> dict[str, Any]:
    """The report with plain values."""
    from dataclasses import asdict

    return asdict(folded.report) | {
        "folded": folded.report.folded,
        "bytes_before": folded.bytes_before,
        "bytes_after": folded.bytes_after,
    }


def verification_table(result: Verification) -> Table:
    """One line for each output."""
    from rich.table import Table

    table = Table("output", "mean row error", "worst row error", "allowed", f"{result.rows:,} rows", box=None)
    for output in result.outputs:
        verdict = "the same" if output.is_within else "DIFFERENT"
        table.add_row(
            output.name, f"{output.mean:.2e}", f"{output.worst:.2e}", f"{output.tolerance:.0e}", verdict
        )
    return table


def _print(table: Table) -> None:
    """As wide as the terminal; in a file or a pipe, wide enough for whole names."""
    from rich.console import Console

    for column in table.columns:
        column.overflow = "fold"
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(table)
