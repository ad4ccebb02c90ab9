"""Rows that are pictures: how wide and high, read from the names of their columns.

Tables hold pictures in two ways: pixel_0_0, pixel_0_1, … by row and column, and pixel1, pixel2, … one row after
the other. Both count from 0 or 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from service.metadata import Feature, Image, ModelMetadata

_PIXEL = re.compile(r"(?:pixel|px|pix)_?(\d+)(?:[_x](\d+))?", re.IGNORECASE)
_SMALLEST = 9


def image_of(metadata: ModelMetadata | None) -> Image | None:
    """The picture that a row is, as the file declares it or as its names say; None when it is none."""
    if metadata is None:
        return None
    return metadata.image or image_from_names(metadata.features)


def image_from_names(features: Sequence[Feature]) -> Image | None:
    """The picture whose pixels the features are, row by row; None when one of them is something else."""
    found = [_PIXEL.fullmatch(feature.name) for feature in features]
    if len(found) < _SMALLEST or any(feature.kind != "numeric" for feature in features):
        return None
    places = [tuple(int(part) for part in match.groups() if part) for match in found if match]
    if len(places) < len(found):
        return None
    first, last = places[0], places[-1]
    if not all(0 <= start <= 1 for start in first) or len(set(first)) > 1 or len(first) != len(last):
        return None
    start = first[0]
    if len(first) == 1:
        side = math.isqrt(len(places))
        height, width, wanted = side, side, [(start + i,) for i in range(side * side)]
    else:
        height, width = (last[0] - start + 1, last[1] - start + 1)
        wanted = [(start + row, start + column) for row in range(height) for column in range(width)]
    return Image(width=width, height=height) if places == wanted else None
