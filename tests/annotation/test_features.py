"""Features of pixels, and which pixels are learned from."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from synthograph.annotation.features import FeatureSource, at_pixels, patches
from synthograph.annotation.pixels import borders, sample_pixels
from synthograph.models.base import NoiseMode
from synthograph.models.registry import style_family
from synthograph.stats.masks import IGNORED
from tests.sampling.test_generate import make_snapshot


@pytest.mark.parametrize(("high", "wide"), [(4, 4), (8, 4), (16, 8)])
def test_features_of_pixels_are_those_of_layers_enlarged(high: int, wide: int) -> None:
    draws = torch.Generator().manual_seed(0)
    layers = [torch.randn(1, 3, high, wide, generator=draws), torch.randn(1, 2, 16, 8)]
    rows, columns = np.divmod(np.arange(128), 8)
    places = torch.from_numpy(np.stack((rows, columns), axis=1))
    found = at_pixels(layers, places, (16, 8))
    large = [
        torch.nn.functional.interpolate(each, (16, 8), mode="bilinear", align_corners=False)
        for each in layers
    ]
    expected = torch.cat(large, dim=1)[0].flatten(1).T
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_patches_hold_the_neighbours() -> None:
    images = torch.arange(2 * 4 * 5, dtype=torch.float32).view(1, 2, 4, 5)
    found = patches(images, 3)
    assert found.shape == (1, 18, 4, 5)
    wide = np.pad(images[0].numpy(), ((0, 0), (1, 1), (1, 1)), mode="edge")
    expected = wide[:, 1:4, 2:5].reshape(-1)  # around row 1, column 2, shifted by the edge
    np.testing.assert_array_equal(found[0, :, 1, 2].numpy(), expected)


def test_layers_of_a_network(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path)
    kind = style_family("stylegan2")
    source = FeatureSource(kind, snapshot.generator, NoiseMode.CONST, 3)
    ws = torch.randn(2, kind.latent_space(snapshot.generator).rows, 8)
    images, layers = source.draw(ws)
    with torch.no_grad():
        torch.testing.assert_close(images, kind.synthesis(snapshot.generator, ws), rtol=0, atol=0)
        maps = list(kind.feature_maps(snapshot.generator, ws).values())
    assert [each.shape for each in layers[:-1]] == [each.shape for each in maps]
    assert layers[-1].shape == (2, 4 * 9, 8, 8)
    plain = FeatureSource(kind, snapshot.generator, NoiseMode.CONST)
    assert len(plain.draw(ws)[1]) == len(maps)


def test_borders_against_scipy() -> None:
    mask = (np.random.default_rng(0).random((2, 12, 9)) < 0.2).astype(np.uint8) * 3
    found = borders(torch.from_numpy(mask)).numpy()
    for one, edge in zip(mask, found, strict=True):
        large = ndimage.maximum_filter(one, 3, mode="nearest")
        np.testing.assert_array_equal(edge, large != ndimage.minimum_filter(one, 3, mode="nearest"))


def test_a_sample_is_balanced_and_stands_for_all_pixels() -> None:
    masks = np.zeros((3, 32, 32), np.uint8)
    masks[:, 8:20, 8:20] = 1
    masks[0, 12:14, 12:14] = 2
    masks[1, :4] = IGNORED
    sample = sample_pixels(torch.from_numpy(masks), 10, seed=0, most=300)
    assert len(sample.images) <= 300
    assert not (sample.classes == IGNORED).any()
    for number, mask in enumerate(masks):
        own = sample.images == number
        places, classes = sample.places[own].numpy(), sample.classes[own]
        np.testing.assert_array_equal(mask[places[:, 0], places[:, 1]], classes.numpy())
        assert len(np.unique(places, axis=0)) == len(places)
        for k in np.unique(mask[mask != IGNORED]).tolist():
            weight = float(sample.weights[own][classes == k].sum())
            assert weight == pytest.approx(int((mask == k).sum()), rel=1e-5)
    assert int((sample.classes[sample.images == 0] == 2).sum()) == 4, "rare ones are all taken"


def test_all_pixels_where_memory_allows() -> None:
    masks = torch.from_numpy(np.arange(64).reshape(1, 8, 8).astype(np.uint8) % 3)
    sample = sample_pixels(masks, 10, seed=0)
    assert len(sample.images) == 64
    assert bool((sample.weights == 1).all())
    assert len(sample_pixels(masks, 1 << 23, seed=0).images) <= 16, "512 MB of features at most"
