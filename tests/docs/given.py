"""The files that the pages speak of without making them: small tables, a file to fold, the demo models."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import polars as pl

from tests.docs.blocks import ROOT
from tests.training.folding.corpus.build import Graph

DEMO_MODELS = ("breast-cancer", "diabetes", "digits")


def give(folder: Path) -> None:
    """Write all of them."""
    houses = _houses(300)
    houses.write_csv(folder / "houses.csv")
    for name, seed in (("january.csv", 1), ("february.csv", 2)):
        _houses(150, seed).write_csv(folder / name)
    _houses(80, 3).write_parquet(folder / "march.parquet")
    houses.rename({"price": "median_house_value"}).write_csv(folder / "housing.csv")
    _people(300, 0).write_csv(folder / "adult.csv")
    _people(100, 1).write_csv(folder / "adult-test.csv")
    for name in ("somebodys.onnx", "model.onnx"):
        onnx.save(_normalised(), folder / name)
    for name in DEMO_MODELS:
        shutil.copytree(ROOT / "models" / name, folder / "models" / name)


def _houses(rows: int, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    rooms, area, age = (
        random.integers(1, 6, rows),
        random.normal(70, 20, rows),
        random.integers(0, 90, rows),
    )
    price = 20 * rooms + 2.5 * area - 0.5 * age + random.normal(0, 5, rows)
    return pl.DataFrame({"rooms": rooms, "area": area.round(1), "age": age, "price": price.round(2)})


def _people(rows: int, seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    age, work = random.integers(17, 90, rows), random.choice(["Private", "State-gov", "?"], rows)
    rich = (age > 50) ^ (random.random(rows) < 0.1)
    return pl.DataFrame({"age": age, "workclass": work, "income": np.where(rich, ">50K", "<=50K")})


def _normalised() -> onnx.ModelProto:
    """Linear, Batch Normalization, ReLU, Linear."""
    graph = Graph()
    layer = graph.node("Gemm", graph.input("N", 5), graph.weights(5, 6), graph.weights(6))
    hidden = graph.node("Relu", graph.bn(layer, 6))
    graph.output(graph.node("Gemm", hidden, graph.weights(6, 2), graph.weights(2)), "N", 2)
    return graph.model()
