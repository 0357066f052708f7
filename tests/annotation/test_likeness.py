"""Whether a projection may have the mask of its image."""

import numpy as np
import pytest

from synthograph.annotation.likeness import floor_of, mask_weighted, moved
from synthograph.stats.masks import IGNORED


def test_every_class_weighs_the_same() -> None:
    mask = np.zeros((10, 10), np.uint8)
    mask[0, 0] = 1
    mask[9, :] = IGNORED
    one = np.zeros((2, 10, 10), np.uint8)
    other = one.copy()
    other[:, 0, 0], other[:, 9, :] = 255, 200
    assert mask_weighted(one, other, mask) == pytest.approx(np.sqrt(0.5))
    assert mask_weighted(other, other, mask) == 0
    deep = (other.astype(np.uint16) * 257, one.astype(np.uint16))
    assert mask_weighted(*deep, mask) == pytest.approx(np.sqrt(0.5))


def test_an_image_that_was_moved_repeats_its_border() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    expected = np.array([[[0, 0, 1, 2], [0, 0, 1, 2], [4, 4, 5, 6]]])
    np.testing.assert_array_equal(moved(image, 1, 1), expected)
    np.testing.assert_array_equal(moved(image, -1, 0)[0, :2], image[0, 1:])


def test_the_floor_grows_with_the_way_and_is_nothing_for_a_flat_image() -> None:
    y, x = np.mgrid[:24, :24]
    disc = (((y - 11) ** 2 + (x - 13) ** 2 < 36) * 200).astype(np.uint8)[None]
    mask = (disc[0] > 0).astype(np.uint8)
    floors = [floor_of(disc, mask, k) for k in (1, 2, 4)]
    assert 0 < floors[0] < floors[1] < floors[2]
    assert floor_of(np.full((1, 8, 8), 9, np.uint8), np.zeros((8, 8), np.uint8), 1) == 0
