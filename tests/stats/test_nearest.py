"""Distances and nearest neighbours against plain definitions."""

import pytest
import torch

from synthograph.stats import nearest
from synthograph.stats.nearest import centre_of, nearest_squared, squared_distances


def test_copies_have_distance_zero_everywhere() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 50, generator=generator, dtype=torch.float32) * 100 + 1000
    squared = squared_distances(x.double(), x.flip(0).double())
    assert bool((squared.flip(1).diagonal() == 0).all())
    assert int((squared == 0).sum()) == 300


def test_distances_of_near_images_keep_their_digits() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 64, generator=generator)
    y = x + 1e-3 * torch.randn(50, 64, generator=generator)
    expected = (x.double() - y.double()).square().sum(1)
    got = squared_distances(x.double(), y.double()).diagonal()
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)


def test_the_nearest_are_those_of_a_full_table(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    x, y = torch.randn(30, 4, generator=generator), torch.randn(50, 4, generator=generator)
    table = torch.cdist(x.double(), y.double()).square()
    near = nearest_squared(x, y, centre_of(y), k=10)
    torch.testing.assert_close(near.double(), table.sort(1).values[:, :10], atol=1e-6, rtol=1e-6)
    own = torch.cdist(x.double(), x.double()).square().fill_diagonal_(torch.inf)
    alone = nearest_squared(x, x, centre_of(y), same=True)
    torch.testing.assert_close(alone[:, 0].double(), own.amin(1), atol=1e-6, rtol=1e-6)
    monkeypatch.setattr(nearest, "CHUNK", 7)
    torch.testing.assert_close(nearest_squared(x, y, centre_of(y), k=10), near)
    torch.testing.assert_close(nearest_squared(x, x, centre_of(y), same=True), alone)


def test_where_there_are_too_few_others_distances_are_infinite() -> None:
    x = torch.eye(3)
    assert nearest_squared(x, x[:0], torch.zeros(3, dtype=torch.float64)).isinf().all()
    near = nearest_squared(x, x[:2], torch.zeros(3, dtype=torch.float64), k=3)
    assert near.isinf().sum(1).tolist() == [1, 1, 1]


def test_equal_images_are_no_distance_apart() -> None:
    x = 100 * torch.randn(40, 16, generator=torch.Generator().manual_seed(0))
    centre = torch.zeros(16, dtype=torch.float64)
    assert not nearest_squared(x, x, centre).any()
    assert nearest_squared(x, x, centre, same=True).all(), "an image is no neighbour of itself"
