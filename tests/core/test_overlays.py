"""Masks drawn into images."""

import numpy as np

from synthograph.core.overlays import COLOURS, GREY, enlarged, overlay

IGNORED = 255


def test_areas_are_tinted_and_outlined_and_the_rest_stays() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 11, 3)).astype(np.uint8)
    classes = np.zeros((9, 11), np.uint8)
    classes[2:7, 3:8], classes[4, 5], classes[0, 10] = 1, 2, IGNORED
    drawn = overlay(image, classes, ignored=IGNORED)
    outside = classes == 0
    assert np.array_equal(drawn[outside], image[outside])
    assert tuple(drawn[2, 3]) == COLOURS[0] and tuple(drawn[4, 5]) == COLOURS[1]
    assert tuple(drawn[0, 10]) == GREY
    inner = drawn[3, 4].astype(float), image[3, 4], np.array(COLOURS[0])
    assert np.all(np.abs(inner[0] - (0.7 * inner[1] + 0.3 * inner[2])) <= 0.5)


def test_outlines_stay_thin_when_the_picture_is_enlarged() -> None:
    image = np.full((4, 4, 3), 200, np.uint8)
    classes = np.zeros((4, 4), np.uint8)
    classes[1:3, 1:3] = 1
    drawn = overlay(image, classes, factor=5)
    assert drawn.shape == (20, 20, 3) == enlarged(image, 5).shape
    outline = (drawn == np.array(COLOURS[0])).all(2)
    assert outline.sum() == 4 * 9 and outline[5, 5:15].all() and not outline[7, 7]
