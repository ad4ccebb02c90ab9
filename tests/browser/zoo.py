"""Folders of models for the tests of the page."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np

from service.metadata import Feature, GoldenRows
from tests import graphs
from tests.browser.looks import ROOT
from tests.records import metadata

HOSTILE = '<img src=x onerror=alert(1)> it\'s "$HOME" `x` \\'
HOSTILE_NAME = "<img src=x onerror=alert(1)>"


def demo_models(folder: Path) -> Path:
    """A folder with digits, breast-cancer and diabetes, and `visits`, which takes numbers, texts and gaps."""
    for name in ("digits", "breast-cancer", "diabetes"):
        shutil.copytree(ROOT / "models" / name, folder / name)
    features = (
        Feature(name="age", minimum=0, maximum=90, missing=True, unit="years"),
        Feature(name="city", kind="categorical", categories=tuple(graphs.CITIES), missing=True),
        Feature(name="visits", minimum=0, maximum=12, missing=True),
    )
    # softmax of (0.4, 0.9): the weights of the graph times 40, 3 and the place of Oslo, 1.
    no = 1 / (1 + math.exp(0.5))
    examples = GoldenRows(inputs=((40.0, "Oslo", 3.0),), outputs=((no, 1 - no),), tolerance=1e-5)
    changes = {"features": features, "target": "returns", "golden": examples}
    document = metadata().model_copy(update=changes)
    properties = graphs.metadata_property(document.model_dump_json())
    graphs.put(graphs.numeric_and_categorical(properties), folder, "visits")
    return folder


def odd_models(folder: Path) -> Path:
    """Beside the demo models some without metadata, of odd shapes, and with names full of quotes."""
    demo_models(folder)
    graphs.put(graphs.one_input_per_column(), folder, "columns")
    graphs.put(graphs.identity(graphs.STRING, ["N", 2, 2]), folder, "tensors")
    graphs.put(graphs.identity(graphs.FLOAT, ["N", 3, 64, 64]), folder, "picture")
    graphs.put(graphs.identity(graphs.HALF, ["N", 2, 2]), folder, "halves")
    graphs.put(graphs.identity(graphs.FLOAT, ["N", "M"]), folder, "open")
    graphs.put(graphs.identity(graphs.FLOAT, [3, 2]), folder, "three")
    eye = np.eye(2, dtype="f4")
    graphs.put(graphs.linear(eye, eye[0]), folder, HOSTILE_NAME)
    graphs.put(graphs.linear(eye, np.zeros(2, "f4"), softmax=True), folder, "<b>other")
    features = (Feature(name=HOSTILE, minimum=0, maximum=1), Feature(name="b"))
    document = metadata().model_copy(update={"features": features, "classes": (HOSTILE, "no")})
    properties = graphs.metadata_property(document.model_dump_json())
    graphs.put(graphs.linear(eye, eye[0], softmax=True, properties=properties), folder, "hostile")
    names = tuple(Feature(name=f"pixel{i}", minimum=0, maximum=255) for i in range(1, 785))
    wide = metadata().model_copy(update={"features": names})
    properties = graphs.metadata_property(wide.model_dump_json())
    weights = np.linspace(-1e-4, 1e-4, 784 * 2, dtype="f4").reshape(784, 2)
    graphs.put(graphs.linear(weights, np.zeros(2, "f4"), softmax=True, properties=properties), folder, "wide")
    return folder


def troubled_models(folder: Path) -> Path:
    """Beside the demo models a damaged version, a graph without tables, a folder that is no version."""
    demo_models(folder)
    (folder / "digits" / "2").mkdir()
    (folder / "digits" / "2" / "model.onnx").write_bytes(b"not a graph")
    (folder / "diabetes" / "latest").mkdir()
    (folder / "broken" / "1").mkdir(parents=True)
    graphs.put(graphs.identity(graphs.STRING, ["N", 2, 2]), folder, "tensors<b>")
    return folder
