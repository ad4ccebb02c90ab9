"""What an operator may set: from FOLDSERVE_* in the environment, or by the flags of `foldserve serve`."""

from pathlib import Path
from typing import Literal

from pydantic import Field
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

    host: str = "127.0.0.1"
    """The address to listen on."""

    port: int = Field(8000, ge=0, le=65535)
    """The port to listen on; 0 takes a free one."""

    workers: int = Field(1, ge=1)
    """Processes that accept requests."""

    device: Device = "auto"
    """Where models run. `cpu` and `cuda` are demands; `auto` takes CUDA where it works and says so."""

    max_body_bytes: int = Field(16 * 1024 * 1024, ge=1)
    """The longest request body that is read, in bytes."""

    max_batch_rows: int = Field(256, ge=1)
    """The most rows that a heavy model computes in one run."""

    max_wait_seconds: float = Field(1.0, gt=0)
    """How long the rows that wait for a heavy model may take together; more are refused with 503."""

    keep_alive_seconds: int = Field(65, ge=1)
    """How long an idle connection stays open; longer than the 60 s of common load balancers."""

    shutdown_seconds: int = Field(8, ge=1)
    """How long requests in flight may take to finish after SIGTERM."""
