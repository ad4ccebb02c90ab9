"""What a model file says about itself, for a terminal: tables made from its metadata and its graph."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from service.metadata import Certificate, Folding, ModelMetadata, read_metadata
from service.session import Session, TensorSpec

MOST_FEATURES = 12
EPS = 2.0**-23


def describe_file(path: Path) -> RenderableType:
    """Signature and, for a file that foldserve wrote, everything in its metadata.

    Raises:
        UnreadableModel: the file cannot become a session.
        ValueError: its metadata do not follow the schema.
    """
    session = Session(path)
    size = path.stat().st_size
    parts: list[RenderableType] = [
        Text(f"{path}  ({size / 1000:,.1f} kB)", style="bold"),
        _signature(session),
    ]
    metadata = read_metadata(session.properties)
    if metadata is None:
        return Group(*parts, Text("no foldserve metadata: a plain ONNX file", style="dim"))
    return Group(*parts, _features(metadata), describe_model(metadata))


def describe_model(metadata: ModelMetadata) -> RenderableType:
    """Classes, scores, folding report and certificate."""
    parts: list[RenderableType] = [_facts(metadata), _folding(metadata.folding)]
    if metadata.certificate is not None:
        parts.append(_certificate(metadata.certificate))
    return Group(*parts)


def _signature(session: Session) -> Table:
    table = _table("signature", "", "name", "dtype", "shape")
    for direction, specs in (("input", session.inputs), ("output", session.outputs)):
        for spec in specs:
            table.add_row(direction, spec.name, spec.dtype, _shape(spec))
    return table


def _shape(spec: TensorSpec) -> str:
    return "[" + ", ".join("N" if size is None else str(size) for size in spec.shape) + "]"


def _features(metadata: ModelMetadata) -> Table:
    table = _table(f"features ({len(metadata.features)})", "name", "kind", "least", "most")
    for feature in metadata.features[:MOST_FEATURES]:
        table.add_row(feature.name, feature.kind, _number(feature.minimum), _number(feature.maximum))
    if len(metadata.features) > MOST_FEATURES:
        table.add_row(f"… and {len(metadata.features) - MOST_FEATURES} more", "", "", "")
    return table


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _facts(metadata: ModelMetadata) -> Table:
    table = _table("model", "", "")
    origin = metadata.provenance
    table.add_row("task", f"{metadata.task} of {metadata.target}")
    if metadata.classes is not None:
        table.add_row("classes", ", ".join(map(str, metadata.classes)))
    if metadata.epsilon is not None:
        table.add_row("ε of its normalisations", f"{metadata.epsilon:g}")
    for name, value in metadata.metrics.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}")
    table.add_row("trained on", f"{origin.training_rows:,} rows of {origin.data}, seed {origin.seed}")
    table.add_row("made", f"{origin.created:%Y-%m-%d %H:%M} UTC by foldserve {origin.foldserve}")
    return table


def _folding(folding: Folding) -> Table:
    counts = f"{folding.layers_before} layers → {folding.layers_after}"
    parameters = f"{folding.parameters_before:,} parameters → {folding.parameters_after:,}"
    table = _table(f"folding: {counts}, {parameters}", "layer", "kind", "folded into", "how")
    for entry in folding.entries:
        how = {
            "previous": "rows of W and b",
            "next": f"columns of W and b, amp {entry.amp:.1f}"
            if entry.amp is not None
            else "columns of W and b",
            "split": f"{entry.detail}, amp {entry.amp:.1f}" if entry.amp is not None else entry.detail,
            "left": f"left ({entry.reason}): {entry.detail}",
        }[entry.direction]
        table.add_row(entry.layer, f"{entry.kind} ({entry.channels})", entry.into or "–", how)
    return table


def _certificate(certificate: Certificate) -> Table:
    table = _table("certificate: the written file against the unfolded model in float64", "", "")
    rows = f"{certificate.rows:,}, {certificate.held_out_rows:,} of them held out"
    if certificate.rows > certificate.held_out_rows:
        rows += ", the rest between those"
    table.add_row("rows compared", rows)
    folded, plain = certificate.folded, certificate.unfolded_float32
    table.add_row(
        "error per row, folded", f"mean {folded.mean / EPS:.2f} eps, max {folded.max / EPS:.1f} eps"
    )
    table.add_row(
        "error per row, unfolded", f"mean {plain.mean / EPS:.2f} eps, max {plain.max / EPS:.1f} eps"
    )
    table.add_row("ratio of means", f"{certificate.ratio_of_means:.3f}")
    if certificate.label_agreement is not None:
        table.add_row("labels equal", f"{certificate.label_agreement:.2%} ({certificate.ties} ties)")
    nearest = (
        f"{certificate.parameters:,}, at most {certificate.parameters_max_ulp:.3f} ulp from the exact fold"
    )
    table.add_row("parameters", nearest)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_header=any(columns))
    for number, column in enumerate(columns):
        table.add_column(column, overflow="fold", style="cyan" if number == 0 else None)
    return table
