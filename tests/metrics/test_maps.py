"""Maps: components against an exact decomposition, and UMAP where it is installed."""

import importlib.machinery
import importlib.util
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch

from synthograph.metrics import maps
from synthograph.metrics.maps import flat_map, principal


@pytest.fixture
def no_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_has_umap", lambda: False)


def test_components_equal_the_exact_ones() -> None:
    values = torch.randn(60, 30, generator=torch.Generator().manual_seed(0))
    values = values * torch.linspace(4, 0.5, 30)
    found = principal(values, 5)
    centred = (values - values.mean(0)).double()
    left, sizes, _ = torch.linalg.svd(centred, full_matrices=False)
    wanted = left[:, :5] * sizes[:5]
    signs = torch.sign((wanted * found).sum(0))
    torch.testing.assert_close(found, wanted * signs, atol=0.05, rtol=0.02)
    assert torch.equal(principal(values, 5), found)


def test_components_of_few_or_equal_images() -> None:
    assert (principal(torch.ones(8, 4), 2) == 0).all()
    assert principal(torch.randn(3, 10), 4).shape == (3, 4)
    assert principal(torch.randn(9, 1), 1).shape == (9, 1)


def test_without_umap_the_map_is_of_components(no_umap: None) -> None:
    values = torch.randn(60, 6, generator=torch.Generator().manual_seed(0))
    found = flat_map(values)
    assert found.method == "pca" and "components" in found.about
    torch.testing.assert_close(found.points.double(), principal(values, 2), atol=1e-6, rtol=1e-6)
    assert torch.equal(flat_map(values).points, found.points)
    assert flat_map(torch.randn(9, 1)).points[:, 1].abs().max() == 0


def test_few_images_are_mapped_by_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_has_umap", lambda: True)
    assert flat_map(torch.randn(maps.MIN_UMAP - 1, 6)).method == "pca"


def test_umap_is_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    class Umap:
        def __init__(self, **settings: Any) -> None:
            given.update(settings)

        def fit_transform(self, values: np.ndarray) -> np.ndarray:
            return values[:, :2]

    stub = types.ModuleType("umap")
    stub.UMAP, stub.__version__ = Umap, "9.9"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "umap", stub)
    monkeypatch.setattr(maps, "_has_umap", lambda: True)
    found = flat_map(torch.randn(40, 6), seed=5)
    assert found.method == "umap" and found.about.startswith("UMAP 9.9, 15 neighbours")
    assert given == {"n_neighbors": 15, "min_dist": 0.1, "random_state": 5, "n_jobs": 1}


def test_a_folder_called_umap_is_not_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    namespace = importlib.machinery.ModuleSpec("umap", None, is_package=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: namespace)
    assert not maps._has_umap()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert not maps._has_umap()
