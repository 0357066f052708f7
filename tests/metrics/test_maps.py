"""Maps: components against an exact decomposition, and clusters that stay clusters."""

import importlib.machinery
import importlib.util
import sys
import types
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from synthograph.metrics import maps
from synthograph.metrics.maps import flat_map, principal, tsne


@pytest.fixture
def no_umap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maps, "_has_umap", lambda: False)


def clusters(per: int = 40, features: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3 * per, features, generator=generator)
    label = torch.arange(3).repeat_interleave(per)
    values[torch.arange(3 * per), label] += 12
    return values, label


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


def test_clusters_stay_together(no_umap: None) -> None:
    values, label = clusters()
    found = flat_map(values)
    assert found.method == "t-sne" and "perplexity 30" in found.about
    assert found.points.shape == (120, 2) and found.points.isfinite().all()
    distances = torch.cdist(found.points, found.points).fill_diagonal_(torch.inf)
    nearest = distances.topk(5, largest=False).indices
    assert (label[nearest] == label[:, None]).float().mean() > 0.97
    assert torch.equal(flat_map(values).points, found.points)


def test_a_cloud_without_clusters_does_not_collapse(no_umap: None) -> None:
    points = flat_map(torch.randn(200, 40, generator=torch.Generator().manual_seed(1))).points
    assert points.std(0).min() > 0.5


def test_neighbours_have_the_perplexity_asked_for() -> None:
    values, _ = clusters()
    likely = maps._affinities(values, 10.0).double()
    assert likely.sum() == pytest.approx(1, abs=1e-4)
    assert torch.allclose(likely, likely.T)
    # rows are not normalised any more after both directions were added, so this is rough
    rows = likely / likely.sum(1, keepdim=True)
    entropy = -(rows * rows.log()).sum(1)
    assert entropy.exp().median() == pytest.approx(10, rel=0.5)


def test_one_feature_and_progress(no_umap: None) -> None:
    seen: list[int] = []

    def track(items: Any, total: int) -> Any:
        seen.append(total)
        return items

    assert flat_map(torch.arange(30.0)[:, None], track=track).points.shape == (30, 2)
    assert seen == [maps.STEPS]
    assert tsne(torch.randn(10, 1), perplexity=3).isfinite().all()


def test_few_images_and_many_are_mapped_by_components(
    no_umap: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = flat_map(torch.randn(maps.LEAST - 1, 6))
    assert found.method == "pca" and found.points.shape == (maps.LEAST - 1, 2)
    assert flat_map(torch.randn(9, 1)).points[:, 1].abs().max() == 0
    monkeypatch.setattr(maps, "MOST", 30)
    assert flat_map(torch.randn(31, 6)).method == "pca"


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
