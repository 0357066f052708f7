"""Polygons as pixels, against areas that are known and against another program."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from synthograph.sources import polygons
from synthograph.sources.polygons import HOLE, Polygon, Polygons, inside


def square(x: float, y: float, half: float) -> np.ndarray:
    return np.array(
        [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    )


def circle(x: float, y: float, radius: float, count: int = 400) -> np.ndarray:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1)


@pytest.mark.parametrize("radius", [3.3, 20.0, 47.7])
def test_area_of_a_disc_is_right_to_half_its_outline(radius: float) -> None:
    found = inside([circle(50.2, 49.9, radius)], 100, 100).sum()
    assert abs(found - np.pi * radius**2) < np.pi * radius


def test_a_pixel_belongs_where_its_middle_lies() -> None:
    found = inside([square(5, 5, 3)], 10, 10)
    assert found.sum() == 36 and found[2:8, 2:8].all()
    beyond = inside([square(0, 10, 4)], 10, 10)
    assert beyond.sum() == 16 and beyond[6:, :4].all()
    assert not inside([square(50, 50, 3)], 10, 10).any()
    assert inside([square(5, 5, 500)], 10, 10).all()


def test_odd_outlines_agree_with_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polygons, "_AT_ONCE", 50)
    middles = np.stack(np.meshgrid(np.arange(30) + 0.5, np.arange(30) + 0.5), -1).reshape(-1, 2)
    for seed in range(20):
        angles = np.sort(np.random.default_rng(seed).uniform(0, 2 * np.pi, 12))
        far = np.random.default_rng(seed + 99).uniform(3, 20, (12, 1))
        star = 15 + far * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        wanted = Outline(star).contains_points(middles).reshape(30, 30)
        assert np.array_equal(inside([star], 30, 30), wanted)


def test_holes_overlaps_and_scale() -> None:
    ids = {"tissue": 1, "tumour": 2}
    small = Polygon("tumour", (square(40, 40, 10), square(40, 40, 4)))
    large, cut = Polygon("tissue", (square(50, 50, 40),)), Polygon(HOLE, (square(70, 70, 5),))
    assert small.area() == 400 - 64
    drawn = Polygons.of([small, cut, large])
    assert [p.name for p in drawn.polygons] == ["tissue", "tumour", HOLE]
    full = drawn.paint((0, 0), 1, 100, ids)
    assert np.bincount(full.ravel()).tolist() == [10000 - 6400 + 100, 6400 - 336 - 100, 336]
    assert full[40, 40] == 1 and full[70, 70] == 0
    assert np.array_equal(drawn.paint((30, 30), 1, 20, ids), full[30:50, 30:50])
    coarse = drawn.paint((-0.5, -0.5), 2, 50, ids)
    assert np.array_equal(coarse, full[::2, ::2])
    shares = drawn.shares((30, 30), 20, ids)
    assert shares == pytest.approx({"tissue": 0.16, "tumour": 0.84}, abs=0.03)
    assert drawn.shares((0, 0), 5, ids) == {}
    assert not Polygons(()).paint((0, 0), 1, 8, ids).any()
