"""The README's commands do what it says: run here as written, on a table like the one it speaks of."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path

import httpx
import numpy as np
import onnx
import pytest
import torch
from torch import nn

from tests.processes import run, serve
from tests.training.folding.corpus.build import Graph

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    shlex.split(line, comments=True)
    for block in BLOCKS
    for line in block.replace("\\\n", " ").strip().splitlines()
]


def commands(program: str, *words: str) -> list[list[str]]:
    """The arguments of each README command that starts so."""
    return [c[1:] for c in COMMANDS if c[0].endswith(program) and c[1 : 1 + len(words)] == list(words)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the README's table."""
    folder = tmp_path_factory.mktemp("readme")
    generator = np.random.default_rng(0)
    rooms, area, age = (
        generator.integers(1, 6, 300),
        generator.normal(70, 20, 300),
        generator.integers(0, 90, 300),
    )
    price = 20 * rooms + 2.5 * area - 0.5 * age + generator.normal(0, 5, 300)
    rows = "".join(f"{r},{a:.1f},{g},{p:.2f}\n" for r, a, g, p in zip(rooms, area, age, price, strict=True))
    (folder / "houses.csv").write_text("rooms,area,age,price\n" + rows)
    return folder


def test_every_make_target_of_the_readme_exists() -> None:
    targets = [command[1] for command in COMMANDS if command[0] == "make"]
    assert targets == ["demo", "test"]
    for target in {*targets, *re.findall(r"`make ([a-z-]+)", README)}:
        subprocess.run(["make", "-n", target], cwd=ROOT, check=True, capture_output=True, timeout=30)


def test_train_inspect_serve_ask_and_predict_as_the_readme_does(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    [train] = commands("foldserve", "train")
    trained = run(*train, "--epochs", "3")
    assert trained.returncode == 0, trained.stderr
    [inspect] = commands("foldserve", "inspect")
    assert "certificate" in run(*inspect).stdout
    [predict] = commands("foldserve", "predict")
    assert run(*predict).returncode == 0
    assert len((folder / "predictions.csv").read_text().splitlines()) == 301
    assert commands("foldserve", "serve") == [["serve"]]
    with serve(Path("models")) as server:
        [curl] = commands("curl")
        pasted = [word.replace("http://127.0.0.1:8000", server.address) for word in curl]
        output = subprocess.run(["curl", *pasted], capture_output=True, check=True, timeout=10).stdout
        answer = json.loads(output)
        same = httpx.post(f"{server.address}/predict", json={"inputs": [[3, 70.5, 40]]}).json()
        refused = httpx.post(f"{server.address}/predict", json={"inputs": [[3, None, 40]]}).json()
    promised = json.loads(re.findall(r"```json\n(.*?)```", README, re.DOTALL)[0])
    assert answer.keys() == promised.keys()
    assert answer == same
    assert refused["error"].startswith('row 0, feature "area": expected a number, got null')


def test_fold_and_verify_as_the_readme_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = Graph()
    layer = graph.node("Gemm", graph.input("N", 5), graph.weights(5, 6), graph.weights(6))
    graph.output(graph.bn(layer, 6), "N", 6)
    model = graph.model()
    onnx.save(model, "somebodys.onnx")
    for command in (*commands("foldserve", "fold"), *commands("foldserve", "verify")):
        ended = run(*command)
        assert ended.returncode == 0, ended.stderr
    assert [node.op_type for node in onnx.load("folded.onnx").graph.node] == ["Gemm"]
    module = nn.Sequential(nn.Linear(5, 6), nn.BatchNorm1d(6))
    [snippet] = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {"onnx": onnx, "module": module, "example": torch.zeros(2, 5)}
    exec(snippet, names)  # noqa: S102 - the README's own lines
    assert not any(isinstance(layer, nn.BatchNorm1d) for layer in names["folded"].module.modules())  # type: ignore[attr-defined]


def test_every_file_the_readme_links_to_exists() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / link).exists(), link
