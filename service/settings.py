"""What an operator may set: from FOLDSERVE_* in the environment, or by the flags of `foldserve serve`.

Every field is a setting, a variable and a flag at once: `drain_delay` is FOLDSERVE_DRAIN_DELAY and
--drain-delay.
"""

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Device = Literal["auto", "cpu", "cuda"]


class Settings(BaseSettings):
    """Built once, in `cli` or by a test, and passed on. Nothing reads the environment after that."""

    model_config = SettingsConfigDict(
        env_prefix="FOLDSERVE_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
    )

    models_dir: Path = Path("models")
    """The folder with <name>/<version>/model.onnx."""

    default_model: str | None = None
    """The model that answers POST /predict; needed when several are served."""

    versions: str = "all"
    """Which versions of each model are served: `latest`, `all`, or numbers such as `1,3`."""

    watch_interval: float = Field(2.0, ge=0, allow_inf_nan=False)
    """How often the models folder is looked at for changes, in seconds; 0 never looks again."""

    repository_api: bool = False
    """Let clients load and unload models over HTTP and gRPC."""

    page: bool = True
    """Serve the page for people at `/`."""

    fold_uploads: bool = False
    """Fold ONNX files that clients send to POST /fold and answer with the report; nothing is kept."""

    host: str = "127.0.0.1"
    """The address to listen on."""

    port: int = Field(8000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""

    grpc_port: int | None = Field(None, ge=0, le=65535)
    """The port for gRPC; none is opened unless it is given, 0 takes a free one."""

    metrics_port: int | None = Field(None, ge=0, le=65535)
    """A port of its own for /metrics; by default it is served beside the predictions."""

    workers: int = Field(1, ge=1)
    """Processes that accept requests."""

    device: Device = "auto"
    """Where models run. `cpu` and `cuda` are demands; `auto` takes CUDA where it works and says so."""

    allow_tf32: bool = False
    """Let a GPU multiply in TF32: faster, and about 1e-3 off the CPU's numbers."""

    max_body_bytes: int = Field(16 * 1024 * 1024, ge=1)
    """The longest request body that is read, in bytes."""

    max_header_bytes: int = Field(64 * 1024, ge=1024)
    """The longest request line and headers together, in bytes."""

    max_rows: int = Field(1_000_000, ge=1)
    """The most rows of one request."""

    max_batch_rows: int | None = Field(None, ge=1)
    """The most rows of one run; by default as many as take about 20 ms."""

    max_wait: float = Field(1.0, gt=0, allow_inf_nan=False)
    """How long, in seconds, the rows that wait for a heavy model may take together; more are refused with
    503."""

    max_connections: int = Field(10_000, ge=1)
    """The most connections that each worker holds open."""

    fast_lane: bool = True
    """Answer the usual prediction requests before they reach the application; same bytes either way."""

    keep_alive: int = Field(65, ge=1)
    """How long an idle connection stays open, in seconds; longer than the 60 s of common load balancers."""

    read_timeout: float = Field(30.0, gt=0, allow_inf_nan=False)
    """How long a client may take to send a request, in seconds; a large body gets more time, by its size."""

    drain_delay: float = Field(0.0, ge=0, allow_inf_nan=False)
    """How long, in seconds, requests are still accepted after SIGTERM, while /health/ready says no."""

    shutdown_timeout: float = Field(30.0, gt=0, allow_inf_nan=False)
    """How long requests in flight may take to finish after that, in seconds."""

    api_key_file: Path | None = None
    """A file with one API key per line; without it everybody may ask."""

    metrics_open: bool = False
    """Answer /metrics without an API key when there are keys."""

    cors_origins: str = ""
    """Origins, separated by commas, whose pages may call this server; none by default."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages that are logged; `debug` adds a line for each request."""

    log_format: Literal["auto", "text", "json"] = "auto"
    """How log lines look; `auto` is text for a terminal and JSON for everything else."""

    ssl_certfile: Path | None = None
    """The certificate, with its chain, for HTTPS."""

    ssl_keyfile: Path | None = None
    """The certificate's private key, when it is in a file of its own."""

    ssl_keyfile_password: str | None = None
    """What decrypts the private key."""

    ssl_ca_certs: Path | None = None
    """The authorities whose client certificates are accepted; clients without one are turned away."""

    @field_validator("versions")
    @classmethod
    def _is_a_policy(cls, value: str) -> str:
        numbers = value.split(",")
        if value not in ("latest", "all") and not all(n.strip().isdecimal() and int(n) > 0 for n in numbers):
            raise ValueError("expected latest, all, or positive numbers separated by commas")
        return value
