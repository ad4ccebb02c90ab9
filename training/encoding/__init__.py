"""How columns of numbers become inputs of the first linear layer.

scales, edges, pairs                 what is measured on the training rows, in NumPy
fill                                 missing numbers: a value, and a flag
piecewise, robust, places            what is computed without parameters
per_feature, periodic                what learns
encoding                             all of it for one way of encoding
"""

from training.config import EncodingKind as Kind
from training.encoding.encoding import Encoding, begun, fit_encoding, served
from training.encoding.fill import Fill
from training.encoding.per_feature import PerFeature
from training.encoding.periodic import Periodic
from training.encoding.piecewise import PiecewiseLinear
from training.encoding.places import Places
from training.encoding.robust import Robust

__all__ = [
    "Encoding",
    "Fill",
    "Kind",
    "PerFeature",
    "Periodic",
    "PiecewiseLinear",
    "Places",
    "Robust",
    "begun",
    "fit_encoding",
    "served",
]
