"""Which rows are pictures, by the names of their columns."""

from collections.abc import Sequence

import pytest

from service.image import image_from_names, image_of
from service.metadata import Feature, Image
from tests.records import metadata


def features(names: Sequence[str]) -> tuple[Feature, ...]:
    return tuple(Feature(name=name) for name in names)


BY_PLACE = [f"pixel_{row}_{column}" for row in range(3) for column in range(4)]
PICTURES = [
    (BY_PLACE, Image(width=4, height=3)),
    ([f"pixel_{row}_{column}" for row in range(1, 5) for column in range(1, 4)], Image(width=3, height=4)),
    ([f"px{row}x{column}" for row in range(3) for column in range(3)], Image(width=3, height=3)),
    ([f"pixel{i}" for i in range(1, 785)], Image(width=28, height=28)),
    ([f"Pixel_{i}" for i in range(16)], Image(width=4, height=4)),
]
OTHERS = {
    "columns that are no pixels": [f"f{i}" for i in range(16)],
    "a number that is no square": [f"pixel{i}" for i in range(15)],
    "another order": BY_PLACE[::-1],
    "columns before rows": [f"pixel_{row}_{column}" for column in range(4) for row in range(3)],
    "a pixel left out": BY_PLACE[:5] + BY_PLACE[6:],
    "something beside the pixels": [*BY_PLACE, "age"],
    "both forms": [*BY_PLACE[:11], "pixel_12"],
    "a first pixel that is far in": [f"pixel{i}" for i in range(5, 21)],
    "too few": ["pixel1", "pixel2", "pixel3", "pixel4"],
    "none": [],
}


@pytest.mark.parametrize(("names", "image"), PICTURES, ids=[names[0] for names, _ in PICTURES])
def test_names_of_pixels_say_how_wide_and_high_the_picture_is(names: list[str], image: Image) -> None:
    assert image_from_names(features(names)) == image


@pytest.mark.parametrize("names", OTHERS.values(), ids=OTHERS.keys())
def test_other_names_say_nothing(names: list[str]) -> None:
    assert image_from_names(features(names)) is None


def test_pixels_that_are_text_are_no_picture() -> None:
    text = tuple(Feature(name=name, kind="categorical") for name in BY_PLACE)
    assert image_from_names(text) is None


def test_what_a_file_declares_goes_before_its_names() -> None:
    declared = Image(width=6, height=2)
    assert image_of(metadata(12, image=declared)) == declared
    named = metadata().model_copy(update={"features": features(BY_PLACE)})
    assert image_of(named) == Image(width=4, height=3)
    assert image_of(metadata(12)) is None
    assert image_of(None) is None


def test_a_picture_without_a_feature_for_each_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="4 × 4 needs a feature for each pixel"):
        metadata(12, image=Image(width=4, height=4))
