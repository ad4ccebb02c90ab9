"""Rows that are pictures: how wide and high, read from the names of their columns.

Tables hold pictures in two ways: pixel_0_0, pixel_0_1, … by row and column, and pixel1, pixel2, … one row
after the other. Both count from 0 or 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from service.metadata import Feature, Image, ModelMetadata

_PIXEL = re.compile(r"(?:pixel|px|pix)_?(\d+)(?:[_x](\d+))?", re.IGNORECASE)
_SMALLEST = 9
_STARTS = (0, 1)


def image_of(metadata: ModelMetadata | None) -> Image | None:
    """The picture that a row is, as the file declares it or as its names say; None when it is none."""
    if metadata is None:
        return None
    return metadata.image or image_from_names(metadata.features)


def image_from_names(features: Sequence[Feature]) -> Image | None:
    """The picture whose pixels the features are, row by row; None when one of them is something else."""
    found = [_PIXEL.fullmatch(feature.name) for feature in features]
    places = [tuple(int(part) for part in match.groups() if part) for match in found if match]
    if len(places) < max(len(found), _SMALLEST) or any(feature.kind != "numeric" for feature in features):
        return None
    return _by_number(places) or _by_place(places)


def _by_number(places: Sequence[tuple[int, ...]]) -> Image | None:
    """A square, counted from its first pixel to its last."""
    side = math.isqrt(len(places))
    square = any(places == [(start + i,) for i in range(side * side)] for start in _STARTS)
    return Image(width=side, height=side) if square else None


def _by_place(places: Sequence[tuple[int, ...]]) -> Image | None:
    """A rectangle, row by row."""
    for start in _STARTS:
        height, width = (number - start + 1 for number in (places[-1][0], places[-1][-1]))
        if height * width == len(places) and places == list(_rectangle(start, height, width)):
            return Image(width=width, height=height)
    return None


def _rectangle(start: int, height: int, width: int) -> Iterator[tuple[int, int]]:
    return ((start + row, start + column) for row in range(height) for column in range(width))
