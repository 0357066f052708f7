"""What holds for every extractor and distance: shapes, kinds of images, names, what is told."""

import json

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.features import registry
from synthograph.features.base import Extractor, MissingWeightsError
from synthograph.features.lpips import PerceptualDistance
from synthograph.features.networks import WEIGHTS
from synthograph.features.packaged import RANDOM
from tests.features.contract import ExtractorContract
from tests.features.states import images


class TestEveryExtractor(ExtractorContract):
    pass


@pytest.fixture(scope="module")
def random_vgg() -> Extractor:
    return registry.extractor(RANDOM)


@pytest.fixture(scope="module")
def distance() -> PerceptualDistance:
    return registry.perceptual_distance("random-vgg16-distance")


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("size", [(64, 64), (17, 90), (1, 1)])
def test_any_image(random_vgg: Extractor, channels: int, bits: int, size: tuple[int, int]) -> None:
    features = random_vgg(images(3, channels, *size, bits=bits))
    assert features.shape == (3, random_vgg.dims)
    assert features.dtype == torch.float32
    assert bool(torch.isfinite(features).all())


def test_no_images(random_vgg: Extractor) -> None:
    for channels in (1, 3, 5):
        assert random_vgg(images(1, channels, 8, 8)[:0]).shape == (0, random_vgg.dims)


def test_grey_is_repeated_and_16_bits_are_the_full_range(random_vgg: Extractor) -> None:
    grey = images(2, 1, 48, 48)
    expected = random_vgg(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(random_vgg(grey), expected, rtol=1e-4, atol=1e-5)
    wide = (grey.to(torch.int32) * 257).to(torch.uint16)
    torch.testing.assert_close(random_vgg(wide), expected, rtol=1e-4, atol=1e-4)


def test_more_channels_are_averaged_over_threes(random_vgg: Extractor) -> None:
    first, second = images(2, 3, 32, 32), images(2, 3, 32, 32, seed=1)
    expected = (random_vgg(first) + random_vgg(second)) / 2
    got = random_vgg(torch.cat((first, second), dim=1))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_slices_of_a_larger_set(random_vgg: Extractor) -> None:
    whole = images(5, 3, 32, 32, bits=16)
    torch.testing.assert_close(
        random_vgg(whole[1:4, :, ::2]), random_vgg(whole[1:4, :, ::2].clone())
    )


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 3, 8, 8), torch.zeros(3, 8, 8, dtype=torch.uint8)]
)
def test_what_is_no_image(random_vgg: Extractor, wrong: torch.Tensor) -> None:
    with pytest.raises(UserError, match="images must be"):
        random_vgg(wrong)


def test_what_is_told(random_vgg: Extractor, distance: PerceptualDistance) -> None:
    assert isinstance(random_vgg, Extractor)
    for told in (random_vgg.describe(), distance.describe()):
        assert json.loads(json.dumps(told)) == told
        assert told["indicative"] is True
        assert told["precision"] == "fp32"
        for key in ("resizing", "channels", "window", "weights"):
            assert told[key]


def test_names(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="did you mean 'inception'"):
        registry.extractor("incepton")
    with pytest.raises(UserError, match="there is no such file"):
        registry.extractor("classifier:x.safetensors")
    with pytest.raises(UserError, match="did you mean 'lpips'"):
        registry.perceptual_distance("lpip")
    for name in registry.NAMES[1:]:
        if WEIGHTS[name].package is not None:
            continue  # it may be installed
        with pytest.raises(MissingWeightsError, match=f"weights get {name}'"):
            registry.extractor(name)


def test_distance_of_pairs(distance: PerceptualDistance) -> None:
    first, second = images(3, 3, 32, 48), images(3, 3, 32, 48, seed=1)
    assert torch.equal(distance(first, first), torch.zeros(3))
    found = distance(first, second)
    assert found.shape == (3,)
    assert bool((found > 0).all())
    torch.testing.assert_close(distance(second, first), found)
    near = first.float() + (second.float() - first.float()) * 1e-2
    assert bool((distance(first.float(), near) < found / 10).all())


def is_pool(layer: torch.nn.Module) -> bool:
    return isinstance(layer, torch.nn.MaxPool2d)


def test_distance_by_hand(distance: PerceptualDistance) -> None:
    """The formula, place by place, for one pair."""
    first, second = images(1, 3, 16, 16), images(1, 3, 16, 16, seed=1)
    total, pair = 0.0, [(x.float() - 127.5) / 63.75 for x in (first, second)]
    with torch.inference_mode():
        for layer in distance.layers.children():
            if is_pool(layer):
                one, other = (x / x.square().sum(1, keepdim=True).sqrt() for x in pair)
                total += float((one - other).square().sum(1).mean())
            # the last pool has nothing left to pool
            pair = [layer(x) if x.shape[2] > 1 or not is_pool(layer) else x for x in pair]
    assert float(distance(first, second)) == pytest.approx(total, rel=1e-4)


def test_distance_needs_pairs_of_one_kind(distance: PerceptualDistance) -> None:
    pair = images(1, 3, 32, 32)
    for other in (pair[:, :1], pair.float()):
        with pytest.raises(UserError, match="pairs of one kind"):
            distance(pair, other)
    with pytest.raises(UserError, match="at least 16"):
        distance(images(1, 3, 32, 8), images(1, 3, 32, 8))
