"""The flags of `foldserve train` that say what the network is, and the fields that they ask for."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from training.config import EncodingName, ModelConfig
from training.errors import ConfigError
from training.flags import Flags, choices_of, fields_asked

Encoding = Annotated[
    str | None,
    typer.Option(help="of numbers: auto, standard, robust, bins, bins-relu or periodic [auto]"),
]
Bins = Annotated[int | None, typer.Option(help="bins by quantiles and by a tree, of each column [64]")]
Pairs = Annotated[
    int | None, typer.Option(help="of columns that may be places, as latitude and longitude are [2]")
]
SharedScale = Annotated[
    bool | None,
    typer.Option(help="one scale where over 100 columns have one unit [in runs of over 20 epochs]"),
]
EncodingRate = Annotated[
    float | None, typer.Option(help="times the rate, of what the encoding learns [5, or 10]")
]
Hidden = Annotated[str | None, typer.Option(help="widths of the hidden layers [384,384 or 512,512,512]")]
Activation = Annotated[str | None, typer.Option(help="relu, gelu, tanh or sigmoid [relu]")]
Residual = Annotated[
    bool | None,
    typer.Option(help="steps beside a shortcut, not plain layers [not; so for members of some ensembles]"),
]
Initialisation = Annotated[
    str | None, typer.Option("--init", help="of weights: auto, he, xavier, lecun or small [auto]")
]
Moments = Annotated[
    str | None, typer.Option(help="mean and variance per feature, or one for all units [feature]")
]
Epsilon = Annotated[float | None, typer.Option(help="added to the variance [1e-3]")]
Momentum = Annotated[float | None, typer.Option(help="of the newest batch in running statistics [0.1]")]
BatchNorm = Annotated[bool, typer.Option(help="normalise the hidden layers")]
Dropout = Annotated[float | None, typer.Option(help="share of units dropped in training [0.1 or 0.3]")]
InputDropout = Annotated[
    float | None, typer.Option(help="share of encoded numbers left out in training [0; 0.1 of some]")
]
LogTarget = Annotated[bool, typer.Option("--log-target", help="learn the logarithm of the target")]
Calibrate = Annotated[bool, typer.Option(help="choose a temperature of the logits on validation rows")]

FLAGS: Flags = {
    "encoding": (Encoding, None),
    "bins": (Bins, None),
    "pairs": (Pairs, None),
    "shared_scale": (SharedScale, None),
    "encoding_rate": (EncodingRate, None),
    "hidden": (Hidden, None),
    "activation": (Activation, None),
    "residual": (Residual, None),
    "initialisation": (Initialisation, None),
    "moments": (Moments, None),
    "epsilon": (Epsilon, None),
    "momentum": (Momentum, None),
    "batch_norm": (BatchNorm, True),
    "dropout": (Dropout, None),
    "input_dropout": (InputDropout, None),
    "log_target": (LogTarget, False),
    "calibrate": (Calibrate, True),
}
"""Parameter, annotation and default: each is a field of `ModelConfig`."""

_CHOICES = choices_of(ModelConfig) | {"encoding": get_args(EncodingName)}


def model_fields(**given: Any) -> dict[str, Any]:
    """The fields of `ModelConfig` that were asked for.

    Raises:
        ConfigError: a flag has a value that it cannot have.
    """
    return fields_asked(FLAGS, given, _CHOICES, hidden=_widths)


def _widths(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(width) for width in text.split(",") if width.strip())
    except ValueError as error:
        raise ConfigError(f"--hidden is {text!r}, expected widths such as 256,128") from error
