"""The drawing tools: noise that looks the same at every size, masks that lose nothing."""

import numpy as np
import pytest

from synthograph.sources.phantoms.drawing import (
    Canvas,
    _interpolate,
    _spline_basis,
    ellipse,
    ring_noise,
    soft,
    soft_max,
)


def test_noise_is_spline_interpolation() -> None:
    """Constant knots give a constant, equally spaced knots a slope."""
    basis = _spline_basis(64, 8, 1.0)
    count = basis.shape[1]
    slope = np.broadcast_to(np.arange(count, dtype=np.float32)[:, None, None], (count, count, 1))
    drawn = _interpolate(basis, np.concatenate([slope, np.ones_like(slope)], axis=2), basis)
    np.testing.assert_allclose(np.diff(drawn[:, 0], axis=1), 8 * 2 / 64 / 2 * 1.0714, rtol=0.01)
    np.testing.assert_allclose(drawn[:, 1], 1, rtol=1e-6)


@pytest.mark.parametrize("cells", [3, 12, 30])
def test_noise_has_unit_variance(cells: int) -> None:
    drawn = Canvas(64).noise(np.random.default_rng(1), cells=cells, octaves=2, fields=300)
    assert drawn.shape == (300, 128, 128) and drawn.dtype == np.float32
    assert drawn.std() == pytest.approx(1, abs=0.06)
    assert drawn.mean() == pytest.approx(0, abs=0.1)


def test_noise_shows_the_same_at_every_size() -> None:
    small, large = (
        canvas.shrink(canvas.noise(np.random.default_rng(2), cells=5, octaves=2)[0])
        for canvas in (Canvas(64), Canvas(128))
    )
    averaged = large.reshape(64, 2, 64, 2).mean(axis=(1, 3))
    assert np.abs(averaged - small).max() < 0.05


def test_ring_noise_has_no_seam() -> None:
    table = ring_noise(np.random.default_rng(3), angles=24, radii=4, samples=(32, 512))
    inner = np.abs(np.diff(table, axis=1)).max()
    assert np.abs(table[:, 0] - table[:, -1]).max() <= 1.5 * inner


def test_shrink_is_the_area_average() -> None:
    canvas = Canvas(20)
    drawn = np.random.default_rng(4).random((3, canvas.side, canvas.side), dtype=np.float32)
    f = canvas.factor
    expected = drawn.reshape(3, 20, f, 20, f).mean(axis=(2, 4))
    np.testing.assert_allclose(canvas.shrink(drawn), expected, rtol=1e-5)


def test_masks_keep_what_is_thinner_than_a_pixel() -> None:
    canvas = Canvas(16)
    big = np.zeros((canvas.side, canvas.side), dtype=bool)
    big[:, : canvas.side // 2] = True
    hair = np.zeros_like(big)
    hair[10, -8:-5] = True
    mask = canvas.shrink_mask([big, hair])
    assert np.sum(mask == 1) == 128
    assert np.sum(mask == 2) == 1


def test_soft_shapes() -> None:
    assert list(soft(np.array([-1.0, 0.0, 1.0]), 0.5)) == [0, 0.5, 1]
    x, y = np.array([[0.0, 2.0]]), np.array([[0.0]])
    distance = ellipse(x, y, centre=(0.0, 0.0), radii=(1.0, 1.0))
    np.testing.assert_allclose(distance, [[1, -1]])
    assert soft_max(np.array(0.0), np.array(0.0), 1.0) == pytest.approx(0.25)
