"""What can go wrong while a model is made.

FoldserveError (service.errors)
└── TrainingError          the base of everything below
    ├── DataError          the table is not what was asked for
    ├── ConfigError        options that contradict each other or the data
    ├── FoldError          a normalisation cannot be folded; carries its reason code (training.folding)
    ├── ExportError        the exported graph breaks a promise
    └── CertificateError   the written file does not compute what the model computes

DataError and ConfigError are ValueErrors too: those who call from Python, such as scikit-learn, expect them.
"""

from service.errors import FoldserveError


class TrainingError(FoldserveError):
    """The base of all errors raised by the training package."""


class DataError(TrainingError, ValueError):
    """The table is not what was asked for; the message names the column and the row."""

    exit_code = 2


class ConfigError(TrainingError, ValueError):
    """Options that contradict each other or the data."""

    exit_code = 2


class ExportError(TrainingError):
    """The exported graph breaks a promise, such as "no BatchNormalization is left"."""


class CertificateError(TrainingError):
    """The written file does not compute what the trained model computes; nothing was published."""
