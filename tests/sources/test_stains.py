"""Optical densities, against the formula."""

import numpy as np
import pytest

from synthograph.sources.stains import measure_stain, optical_density


def test_density_is_the_logarithm_of_the_light_that_is_lost() -> None:
    assert optical_density(np.array([255, 128, 1, 0], np.uint8)) == pytest.approx(
        [0.0, 0.2993, 2.4065, 2.4065], abs=1e-4
    )


def test_stain_of_known_pixels_without_glass() -> None:
    tile = np.full((3, 4, 4), 250, np.uint8)
    tile[:, :2] = np.array([100, 50, 200], np.uint8)[:, None, None]
    tile[:, 0] = np.array([200, 100, 250], np.uint8)[:, None]
    stain = measure_stain([tile, np.full((3, 4, 4), 250, np.uint8)])
    assert stain is not None and stain.pixels == 8
    pairs = -np.log10(np.array([[100, 200], [50, 100], [200, 250]]) / 255)
    assert np.allclose(stain.mean, pairs.mean(axis=1))
    assert np.allclose(stain.spread, pairs.std(axis=1))
    assert measure_stain([np.full((1, 4, 4), 255, np.uint8)]) is None
