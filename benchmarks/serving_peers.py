"""How each server of the comparison is installed, started and asked. Each lives in an environment of its
own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PEERS = ROOT / "peers"
HOME = ROOT / ".peers"
Rows = list[list[float]]


class CannotRun(Exception):
    """Why a server is left out of the comparison."""


def ours_body(rows: Rows) -> bytes:
    """What /predict and most peers take."""
    return json.dumps({"inputs": rows}).encode()


def oip_body(rows: Rows) -> bytes:
    """The same rows for the Open Inference Protocol, flat as its clients send them."""
    data = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP32", "data": data}
    return json.dumps({"inputs": [tensor]}).encode()


@dataclass(frozen=True)
class Peer:
    """One server.

    Attributes:
        name: what the table calls it.
        requirements: the file of its environment; None for this project's own.
        command: interpreter, port, folder to work in → the command that starts it.
        path: what is asked.
        body: rows → what is sent.
        slow_start: how many seconds it may take to answer.
        rests: whether it is stopped by signal between its windows. A server that takes a process of its own
            that was stopped for dead is left to wait for requests instead.
    """

    name: str
    requirements: str | None
    command: Callable[[Path, int, Path], list[str]]
    path: str = "/predict"
    body: Callable[[Rows], bytes] = ours_body
    environment: dict[str, str] = field(default_factory=dict)
    slow_start: float = 60.0
    rests: bool = True

    def python(self) -> Path:
        """The interpreter of its environment, which is made on first use.

        Raises:
            CannotRun: it cannot be installed.
        """
        if self.requirements is None:
            return Path(sys.executable)
        home = HOME / Path(self.requirements).stem
        python = home / "bin" / "python"
        if not (home / "done").exists():
            print(f"installing {self.name}", file=sys.stderr, flush=True)
            venv.create(home, with_pip=True, clear=True)
            install = [
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "--prefer-binary",
                "-r",
                PEERS / self.requirements,
            ]
            ended = subprocess.run(install, capture_output=True, text=True, check=False)
            if ended.returncode:
                raise CannotRun(f"it cannot be installed: {ended.stderr.strip().splitlines()[-1][:120]}")
            (home / "done").touch()
        return python


class Running:
    """A started server, pinned to one core; stopped by signal between its windows, so that it costs
    nothing."""

    def __init__(self, peer: Peer, model: Path, core: str, folder: Path) -> None:
        self.peer = peer
        self.port = _free_port()
        folder.mkdir(parents=True, exist_ok=True)
        command = ["taskset", "-c", core, *peer.command(peer.python(), self.port, folder)]
        environment = os.environ | {"MODEL": str(model), "OMP_NUM_THREADS": "1"} | peer.environment
        environment["PATH"] = f"{peer.python().parent}:{environment['PATH']}"
        self.log = folder / "log.txt"
        self.started = time.perf_counter()
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )

    @property
    def url(self) -> str:
        """What is asked."""
        return f"http://127.0.0.1:{self.port}{self.peer.path}"

    def wait(self, body: bytes) -> float:
        """The seconds from its start to its first right answer.

        Raises:
            CannotRun: it ended, or took too long.
        """
        request = urllib.request.Request(
            self.url, data=body, headers={"content-type": "application/json"}, method="POST"
        )
        while time.perf_counter() - self.started < self.peer.slow_start:
            with suppress(OSError, urllib.error.URLError):
                with urllib.request.urlopen(request, timeout=5) as answer:
                    answer.read()
                return time.perf_counter() - self.started
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        tail = self.log.read_text(errors="replace").strip().splitlines()[-1:]
        self.end()
        raise CannotRun(f"it did not answer: {' '.join(tail)[:160]}")

    def rest(self) -> None:
        """Stop, with all of its processes, until `wake`."""
        if self.peer.rests:
            self._signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, with all of its processes."""
        self.wake()
        self._signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ours(python: Path, port: int, folder: Path, *options: str) -> list[str]:
    models = folder / "models" / "m" / "1"
    models.mkdir(parents=True, exist_ok=True)
    return [
        *(str(python.with_name("foldserve")), "serve", "--models-dir", str(folder / "models")),
        *("--port", str(port), "--watch-interval", "2", *options),
    ]


def ours(name: str = "foldserve", *options: str, path: str = "/predict", **more: object) -> Peer:
    """This project's server, all features on."""
    return Peer(name, None, lambda py, port, folder: _ours(py, port, folder, *options), path, **more)  # type: ignore[arg-type]


def _uvicorn(app: str) -> Callable[[Path, int, Path], list[str]]:
    def command(python: Path, port: int, _: Path) -> list[str]:
        # uvloop and httptools are what uvicorn takes by itself when they are there.
        flags = ["--no-access-log", "--log-level", "warning", "--app-dir", str(PEERS)]
        return [str(python), "-m", "uvicorn", app, "--port", str(port), *flags]

    return command


def _mlserver(python: Path, port: int, folder: Path) -> list[str]:
    shutil.copy(PEERS / "mlserver_model.py", folder / "mlserver_model.py")
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "http_port": port,
                "grpc_port": _free_port(),
                "metrics_port": _free_port(),
                "host": "127.0.0.1",
                "parallel_workers": 0,
                "debug": False,
                "use_structured_logging": False,
            }
        )
    )
    settings = {"name": "m", "implementation": "mlserver_model.Network"}
    (folder / "model-settings.json").write_text(json.dumps(settings))
    return [str(python), "-m", "mlserver.cli.main", "start", str(folder)]


def _triton(python: Path, port: int, folder: Path) -> list[str]:
    """nvidia-pytriton's wheel carries the server; its own README says how its pieces fit."""
    packages = next((python.parent.parent / "lib").glob("python3.*/site-packages"))
    triton = packages / "pytriton" / "tritonserver"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise CannotRun(f"its wheel has no Python backend for Python {version}")
    shutil.copy(stub, triton / "backends" / "python" / stub.name)
    model = folder / "repository" / "m"
    (model / "1").mkdir(parents=True, exist_ok=True)
    shutil.copy(PEERS / "triton_model.py", model / "1" / "model.py")
    (model / "config.pbtxt").write_text(
        'name: "m"\nbackend: "python"\nmax_batch_size: 1024\n'
        'input [{name: "x", data_type: TYPE_FP32, dims: [64]}]\n'
        'output [{name: "y", data_type: TYPE_FP32, dims: [10]}]\n'
        "instance_group [{count: 1, kind: KIND_CPU}]\n"
    )
    libraries = [triton / "external_libs", triton / "lib", Path(sys.base_prefix) / "lib"]
    return [
        "env",
        f"LD_LIBRARY_PATH={':'.join(map(str, libraries))}",
        f"PYTHONPATH={packages}",
        str(triton / "bin" / "tritonserver"),
        *("--model-repository", str(folder / "repository")),
        *("--backend-directory", str(triton / "backends"), "--http-port", str(port)),
        *("--http-address", "127.0.0.1", "--allow-grpc", "false", "--allow-metrics", "true"),
        *("--metrics-port", str(_free_port()), "--log-verbose", "0"),
    ]


def _ray(python: Path, port: int, folder: Path) -> list[str]:
    code = (
        "import sys, time, ray; from ray import serve; "
        f"sys.path.insert(0, {str(PEERS)!r}); "
        "ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, "
        f"runtime_env={{'env_vars': {{'PYTHONPATH': {str(PEERS)!r}}}}}); "
        f"serve.start(http_options={{'host': '127.0.0.1', 'port': {port}}}); "
        "import ray_app; serve.run(ray_app.app, route_prefix='/predict'); time.sleep(1e6)"
    )
    return [str(python), "-c", code]


BARE = Peer("bare ASGI on uvicorn", "bare.txt", _uvicorn("bare:app"))
USUAL = Peer("usual FastAPI endpoint", "usual.txt", _uvicorn("usual:app"))
OTHERS = (
    Peer(
        "LitServe",
        "litserve.txt",
        lambda py, port, _: [str(py), str(PEERS / "litserve_server.py"), str(port)],
    ),
    Peer(
        "BentoML",
        "bentoml.txt",
        lambda py, port, _: [
            *(str(py), "-m", "bentoml", "serve", "bentoml_service:Network", "--port", str(port)),
            *("--host", "127.0.0.1", "--working-dir", str(PEERS)),
        ],
    ),
    Peer("MLServer", "mlserver.txt", _mlserver, "/v2/models/m/infer", oip_body),
    Peer(
        "mosec",
        "mosec.txt",
        lambda py, port, _: [
            *(str(py), str(PEERS / "mosec_server.py"), "--port", str(port), "--address", "127.0.0.1"),
            # It rests between its windows: what takes longer than its time-out kills its worker.
            *("--log-level", "error", "--timeout", "600000"),
        ],
        "/inference",
    ),
    Peer("Triton, Python backend", "triton.txt", _triton, "/v2/models/m/infer", oip_body, rests=False),
    Peer(
        "Ray Serve",
        "ray.txt",
        _ray,
        environment={"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_USAGE_STATS_ENABLED": "0"},
        slow_start=120.0,
    ),
)
