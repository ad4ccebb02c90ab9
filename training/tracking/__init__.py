"""A training told to TensorBoard and MLflow while it goes on.

log                   what is told, and to whom it can be told
tensorboard, mlflow   each of them
logs                  all that were asked for, together
"""

from training.tracking.logs import Logs, opened

__all__ = ["Logs", "opened"]
