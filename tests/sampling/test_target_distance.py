"""The distance to targets: pixels at several scales, features per modality."""

import pytest
import torch

from synthograph.core.spec import ImageSpec
from synthograph.features.lpips import PerceptualDistance
from synthograph.features.registry import perceptual_distance
from synthograph.sampling.target_distance import TargetDistance, scales


@pytest.fixture(scope="module")
def features() -> PerceptualDistance:
    return perceptual_distance("random-vgg16-distance")


def pair(*shape: int) -> tuple[torch.Tensor, torch.Tensor]:
    drawn = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return drawn[0], drawn[1]


def spec(height: int, width: int, **modalities: int) -> ImageSpec:
    return ImageSpec(height=height, width=width, modalities=modalities)


def test_scales() -> None:
    sizes = [tuple(x.shape[2:]) for x in scales(torch.zeros(1, 1, 32, 80))]
    assert sizes == [(32, 80), (16, 40), (8, 20)]
    assert [tuple(x.shape[2:]) for x in scales(torch.zeros(1, 1, 12, 12))] == [(12, 12)]


def test_pixels_by_hand(features: PerceptualDistance) -> None:
    distance = TargetDistance(spec(16, 16, image=1), features, by_features=False)
    x, y = pair(3, 1, 16, 16)
    halves = [each.reshape(3, 1, 8, 2, 8, 2).mean((3, 5)) for each in (x, y)]
    whole, half = ((a - b).square().mean((1, 2, 3)) for a, b in ((x, y), halves))
    torch.testing.assert_close(distance(x, distance.prepare(y)), (whole + half) / 2)
    assert distance.name == "pixels"


def test_modalities_count_alike(features: PerceptualDistance) -> None:
    """The mean of what each of them has alone, grey as three channels."""
    both = TargetDistance(spec(32, 48, vis=3, nir=1), features)
    x, y = pair(2, 4, 32, 48)
    alone = []
    for part in (slice(0, 3), slice(3, 4)):
        one = TargetDistance(spec(32, 48, image=part.stop - part.start), features)
        alone.append(one(x[:, part], one.prepare(y[:, part])))
    torch.testing.assert_close(both(x, both.prepare(y)), torch.stack(alone).mean(0))
    assert both(x, both.prepare(x)).tolist() == [0, 0]
    assert both.name == "pixels and random-vgg16-distance"


def test_what_is_reported_is_the_perceptual_part(features: PerceptualDistance) -> None:
    distance = TargetDistance(spec(32, 32, image=3), features)
    x, y = pair(2, 3, 32, 32)
    expected = features((x + 1) * 127.5, (y + 1) * 127.5)
    torch.testing.assert_close(distance.perceived(x, y), expected)


def test_features_see_large_images_reduced(features: PerceptualDistance) -> None:
    x, y = pair(1, 1, 64, 512)
    x, y = (each.repeat_interleave(2, 2).repeat_interleave(2, 3) for each in (x, y))
    large = TargetDistance(spec(128, 1024, image=1), features)
    small = TargetDistance(spec(32, 256, image=1), features)
    reduced = [torch.nn.functional.avg_pool2d(each, 4) for each in (x, y)]
    torch.testing.assert_close(large.perceived(x, y), small.perceived(*reduced))


def test_gradients_of_black_images_are_finite(features: PerceptualDistance) -> None:
    """There all features of random convolutions are equal or zero."""
    distance = TargetDistance(spec(32, 32, image=1), features)
    x = torch.zeros(1, 1, 32, 32, requires_grad=True)
    distance(x, distance.prepare(pair(1, 1, 32, 32)[0])).sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all()) and bool(x.grad.any())
