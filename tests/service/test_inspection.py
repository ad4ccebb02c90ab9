import io
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from service.inspection import describe_file, describe_model
from service.metadata import Certificate, FoldEntry, Folding, RowError
from tests import graphs
from tests.records import metadata


def shown(path: Path) -> str:
    console = Console(width=120, file=io.StringIO())
    console.print(describe_file(path))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def entry(layer: str, **fields: Any) -> FoldEntry:
    return FoldEntry(layer=layer, kind="BatchNorm", channels=8, **fields)


def test_a_bare_file_shows_its_signature(tmp_path: Path) -> None:
    text = shown(graphs.put(graphs.linear(np.eye(2, dtype="f4"), np.zeros(2, "f4")), tmp_path, "m"))
    assert "float32" in text
    assert "[N, 2]" in text
    assert "a plain ONNX file" in text


def test_our_file_shows_everything(tmp_path: Path) -> None:
    error = RowError(mean=2.0**-23, max=2.0**-22)
    certificate = Certificate(
        rows=4096, held_out_rows=27, folded=error, unfolded_float32=error, ratio_of_means=0.987,
        label_agreement=1.0, ties=3, parameters=50, parameters_max_ulp=0.5,
    )  # fmt: skip
    entries = (
        entry("standardiser", into="linear1", direction="split", amp=40.0, detail="one subtraction stays"),
        entry("norm0", into="linear1", direction="next", amp=2.5),
        entry("norm1", into="linear1", direction="previous"),
        entry("norm2", into=None, direction="left", reason="hooks", detail="a hook"),
    )
    folding = Folding(
        entries=entries, parameters_before=100, parameters_after=50, layers_before=9, layers_after=6
    )
    document = metadata(20, certificate=certificate, folding=folding, epsilon=1e-3)
    properties = graphs.metadata_property(document.model_dump_json())
    model = graphs.linear(np.ones((20, 2), "f4"), np.zeros(2, "f4"), softmax=True, properties=properties)
    text = shown(graphs.put(model, tmp_path, "m"))
    for words in (
        *("features (20)", "… and 8 more", "classification of kind", "no, yes", "0.001", "0.9000", "norm1"),
        *("9 layers → 6", "100 parameters → 50", "one subtraction stays, amp 40.0", "amp 2.5"),
        *("left (hooks): a hook", "4,096, 27 of them held out", "mean 1.00 eps, max 2.0 eps"),
        *("0.987", "100.00% (3 ties)", "at most 0.500 ulp"),
    ):
        assert words in text, words


def test_a_model_without_a_certificate_says_nothing_of_one() -> None:
    console = Console(width=100, file=io.StringIO())
    console.print(describe_model(metadata()))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "folding" in text
    assert "certificate" not in text
