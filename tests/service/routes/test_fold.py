"""POST /fold: the report of a file that is neither kept nor served."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from service import folder
from service.folder import Folder
from tests import graphs
from tests.conftest import Serving
from training.folding import uploaded

pytestmark = pytest.mark.anyio


def with_norm(*, used_twice: bool = False) -> onnx.ModelProto:
    """x → Gemm "dense" → BatchNormalization "norm"."""
    model = graphs.linear(np.eye(3, 4, dtype="f4"), np.ones(4, "f4"))
    graph = model.graph
    graph.node[0].output[0], graph.node[0].name = "h", "dense"
    for name, value in (("scale", 2), ("shift", 1), ("mean", 3), ("var", 4)):
        graph.initializer.append(numpy_helper.from_array(np.full(4, value, "f4"), f"norm.{name}"))
    inputs = ["h", *(f"norm.{name}" for name in ("scale", "shift", "mean", "var"))]
    graph.node.append(helper.make_node("BatchNormalization", inputs, ["y"], name="norm"))
    if used_twice:
        graph.output.append(helper.make_tensor_value_info("h", graphs.FLOAT, ["N", 4]))
    return model


async def test_a_file_is_told_what_became_of_its_normalisations(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path, fold_uploads=True) as client:
        state = (await client.get("/fold/state")).json()
        assert state == {"open": True, "reason": None, "max_bytes": 1 << 24}
        answer = await client.post("/fold", content=with_norm().SerializeToString())
        report = answer.json()
        assert answer.status_code == 200
        assert report["folded"] == 1
        assert [(e["layer"], e["into"], e["direction"]) for e in report["entries"]] == [
            ("norm", "dense", "previous")
        ]
        assert [layer["name"] for layer in report["before"]] == ["x", "dense", "norm", "y"]
        assert [layer["kind"] for layer in report["after"]] == ["Input", "Gemm", "Output"]
        left = await client.post("/fold", content=with_norm(used_twice=True).SerializeToString())
        assert left.json()["entries"][0]["reason"] == "graph-output"
        assert (await client.get("/models")).json()["models"] == []
    assert list(tmp_path.iterdir()) == []


async def test_it_is_shut_unless_the_operator_opens_it(tmp_path: Path, serving: Serving) -> None:
    async with serving(tmp_path) as client:
        shut = (await client.get("/fold/state")).json()
        answer = await client.post("/fold", content=with_norm().SerializeToString())
        assert not shut["open"]
        assert answer.status_code == 403
        assert answer.json()["error"] == shut["reason"]
        assert "--fold-uploads" in shut["reason"]


async def test_what_cannot_be_folded_is_refused_in_one_line(tmp_path: Path, serving: Serving) -> None:
    outside = with_norm()
    graphs.make_external(outside.graph.initializer[0], "/etc/passwd")
    hidden = with_norm()
    constant = numpy_helper.from_array(np.ones(4, "f4"), "c")
    graphs.make_external(constant, "/etc/passwd")
    hidden.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=constant))
    async with serving(tmp_path, fold_uploads=True, max_body_bytes=10_000) as client:
        for body, words in (
            (b"not a graph", "not an ONNX file"),
            (b"", "holds no graph"),
            (outside.SerializeToString(), "external data"),
            (hidden.SerializeToString(), "external data"),
        ):
            answer = await client.post("/fold", content=body)
            assert answer.status_code == 422
            assert words in answer.json()["error"]
            assert "\n" not in answer.json()["error"]
        large = await client.post("/fold", content=bytes(10_001))
        assert large.status_code == 413


async def test_a_server_without_the_packages_says_what_to_install(
    tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "find_spec", lambda _: None)
    async with serving(tmp_path, fold_uploads=True) as client:
        answer = await client.post("/fold", content=b"")
        assert answer.status_code == 503
        assert "foldserve[fold]" in answer.json()["error"]
        assert "foldserve[fold]" in (await client.get("/fold/state")).json()["reason"]


async def test_a_file_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(folder.Unfoldable, match=r"longer than 0\.001 s"):
        await Folder(seconds=0.001).report(with_norm().SerializeToString())


_ENDS = {
    "memory": (
        "u.report_of = lambda file: bytearray(8 << 30)",
        r"needs more memory than the server gives it: fold it by `foldserve fold`",
    ),
    "time": (
        "sys.argv[1] = '1'; u.report_of = lambda file: any(iter(int, 1))",
        r"took longer than 30 s: fold it by `foldserve fold`",
    ),
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", r"\(SIGKILL\): the machine .*; try again"),
    "crash": ("os.kill(os.getpid(), signal.SIGSEGV)", r"crashed \(SIGSEGV\): `foldserve fold`"),
    "odd signal": ("os.kill(os.getpid(), signal.SIGRTMIN + 3)", r"crashed \(signal 37\)"),
    "fault": (
        "u.report_of = lambda file: {}['a secret']",
        r"fault of foldserve \(KeyError\): `foldserve fold` shows where",
    ),
    "import": ("raise ValueError", r"fault of foldserve \(exit code 1\)"),
}


@pytest.mark.parametrize("end", _ENDS)
async def test_each_end_of_the_process_has_a_line_of_its_own(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault, words = _ENDS[end]
    program = f"import os, signal, sys; import training.folding.uploaded as u; {fault}; sys.exit(u.main())"
    # In place of the interpreter: the process that folds, but for one fault.
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" -c "{program}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(folder.Unfoldable, match=words) as refusal:
        await Folder(30).report(b"")
    assert "\n" not in str(refusal.value)


def test_both_sides_mean_the_same_by_an_exit_code() -> None:
    names = ("REFUSED", "MISSING", "MEMORY", "BROKEN")
    assert [getattr(folder, name) for name in names] == [getattr(uploaded, name) for name in names]


async def test_what_nobody_waits_for_is_not_folded_to_its_end(tmp_path: Path, serving: Serving) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    class Slow(Folder):
        async def _run(self, model: bytes) -> bytes:
            begun.set()
            try:
                return await asyncio.Future()
            finally:
                ended.set()

    async def receive() -> Any:
        if not begun.is_set():
            return {"type": "http.request", "body": b"graph"}
        return {"type": "http.disconnect"}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async with serving(tmp_path, fold_uploads=True) as client:
        app = client._transport.app  # type: ignore[attr-defined]
        app.state.folder = Slow()
        scope = {"type": "http", "method": "POST", "path": "/fold", "headers": [], "query_string": b""}
        await app(scope, receive, send)
        await asyncio.wait_for(ended.wait(), 10)
    assert sent[0]["status"] == 499


async def test_no_more_files_than_two_are_folded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "AT_ONCE", 0)
    with pytest.raises(folder.FolderBusy, match="try again"):
        await Folder().report(b"")
