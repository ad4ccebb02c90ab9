"""The service must import, serve, predict and inspect in an environment without the training extra."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "models"

BLOCK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnx_ir", "onnxscript", "sklearn", "matplotlib"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    source = BLOCK + textwrap.dedent(code)
    return subprocess.run(
        [sys.executable, "-c", source], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_service_serves_with_torch_absent() -> None:
    ended = python(f"""
        import asyncio
        import httpx
        from service.app import create_app
        from service.settings import Settings

        async def main():
            app = create_app(Settings(models_dir={str(MODELS)!r}, default_model="digits"))
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app)
                async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                    answer = await client.post("/predict", json={{"inputs": [[0] * 64]}})
                    print(answer.status_code)

        asyncio.run(main())
        assert "training" not in sys.modules
    """)
    assert ended.stdout == "200\n", ended.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["inspect", str(MODELS / "digits" / "1" / "model.onnx")], "certificate"),
        (["serve", "--models-dir", str(MODELS), "--port", "0", "--check"], "model digits: version 1"),
        (["--help"], "train"),
    ],
)
def test_the_commands_of_the_service_work(command: list[str], words: str) -> None:
    ended = python(f"sys.argv = ['foldserve', *{command!r}]\nfrom service.cli import main\nmain()")
    assert ended.returncode == 0, ended.stderr
    assert words in ended.stdout


def test_train_says_what_to_install() -> None:
    code = "sys.argv = ['foldserve', 'train', '--dataset', 'wine']\nfrom service.cli import main\nmain()"
    ended = python(code)
    assert ended.returncode != 0
    assert "pip install 'foldserve[train,cpu]'" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_serve_without_onnxruntime_says_which_extra_to_install() -> None:
    code = f"sys.argv = ['foldserve', 'serve', '--models-dir', {str(MODELS)!r}, '--port', '0']"
    ended = python(
        BLOCK.replace('{"torch"', '{"onnxruntime", "torch"') + code + "\nfrom service.cli import main\nmain()"
    )
    assert ended.returncode == 1
    assert "foldserve[cpu]" in ended.stderr
    assert "foldserve[gpu]" in ended.stderr
    assert ended.stderr.count("\n") == 1
