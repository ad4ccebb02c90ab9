"""Packages that only some commands need: what is absent is one line that says how to install it."""

from __future__ import annotations

from importlib import import_module

from training.errors import ConfigError


def require(extras: str, *modules: str) -> None:
    """Import modules, before anything is computed.

    Args:
        extras: of foldserve, that bring them: "tune,train,cpu".

    Raises:
        ConfigError: one is not installed.
    """
    for module in modules:
        try:
            import_module(module)
        except ImportError as error:
            name = (error.name or module).partition(".")[0]
            raise ConfigError(f"{name} is not installed: pip install 'foldserve[{extras}]'") from error
