"""Whether a projection may have the mask of its image."""

import numpy as np
import pytest

from synthograph.annotation.likeness import by_class, likeness, moved
from synthograph.stats.masks import IGNORED


def test_differences_by_class() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[0, 0] = 1
    mask[9, :] = IGNORED
    one = np.zeros((2, 10, 10), np.uint8)
    other = one.copy()
    other[:, 0, 0], other[:, 9, :], other[0, 1] = 255, 200, 255
    expected = {0: pytest.approx(np.sqrt(10 / 89 / 2)), 1: pytest.approx(1)}
    assert by_class(one, other, mask) == expected
    assert by_class(other.astype(np.uint16) * 257, one.astype(np.uint16), mask) == expected


def test_an_image_that_was_moved_repeats_its_border() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    expected = np.array([[[0, 0, 1, 2], [0, 0, 1, 2], [4, 4, 5, 6]]])
    np.testing.assert_array_equal(moved(image, 1, 1), expected)
    np.testing.assert_array_equal(moved(image, -1, 0)[0, :2], image[0, 1:])


def disc(row: float, column: float) -> np.ndarray:
    y, x = np.mgrid[:24, :24]
    return (((y - row) ** 2 + (x - column) ** 2 < 16) * 200 + x).astype(np.uint8)[None]


def test_a_small_area_elsewhere_is_noticed_and_the_floor_grows_with_the_way() -> None:
    real = disc(11, 13)
    mask = (real[0] > 150).astype(np.uint8)
    same = likeness(real, real, mask, 1)
    assert same.agrees and same.distance == 0 == same.share
    near = likeness(real, disc(11, 14), mask, 2)
    far = likeness(real, disc(15, 18), mask, 2)
    assert near.agrees and not far.agrees and far.of_class == 1
    floors = [likeness(real, disc(0, 0), mask, k).floor for k in (1, 2, 4)]
    assert floors == sorted(floors)


def test_a_flat_image_agrees_with_itself_alone() -> None:
    flat, mask = np.full((1, 8, 8), 9, np.uint8), np.zeros((8, 8), np.uint8)
    assert likeness(flat, flat, mask, 1).agrees
    other = likeness(flat, flat + 1, mask, 1)
    assert not other.agrees and other.share == np.inf
