"""Inner pictures of frozen networks against the networks themselves."""

import pytest
import torch
from torch import nn

from synthograph.core.errors import UserError
from synthograph.features import packaged, taps
from synthograph.features.efficientnet_lite import EfficientNetLite, untrained
from synthograph.features.taps import UNTRAINED, FrozenTaps
from tests.features.test_efficientnet_lite import needs

LITE0 = "efficientnet-lite0"
SIZE = (64, 32)


@pytest.fixture(scope="module")
def frozen() -> FrozenTaps:
    return FrozenTaps(UNTRAINED)


def test_the_pictures_are_those_of_the_network(frozen: FrozenTaps) -> None:
    network, digest = untrained()
    assert digest.sha256 == frozen.sha256
    x = torch.rand(2, 3, *SIZE) * 2 - 1
    mine = frozen(x, SIZE, frozen.strides)
    theirs = network.levels((x * 127.5 + 0.5) / 128)
    assert [tuple(t.shape[1:]) for t in mine] == [
        (c, 64 // s, 32 // s) for c, s in zip(frozen.channels, frozen.strides, strict=True)
    ]
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert torch.equal(frozen(x, SIZE, [8])[0], mine[1]), "those behind are left out"


def test_untrained_features_keep_their_variance(frozen: FrozenTaps) -> None:
    pictures = frozen(torch.randn(4, 3, 64, 64).clamp(-1, 1), (64, 64), frozen.strides)
    assert all(0.05 < float(x.std()) < 2 for x in pictures)


def test_gradients_reach_images_and_no_weights(frozen: FrozenTaps) -> None:
    network, _ = untrained()
    x = (torch.rand(1, 3, 32, 32, dtype=torch.float64) * 2 - 1).requires_grad_()
    single = FrozenTaps(UNTRAINED, dtype=torch.float64)
    found = [
        sum((t * t).sum() for t in ts)
        for ts in (
            single(x, (32, 32), single.strides),
            network.double().levels((x * 127.5 + 0.5) / 128),
        )
    ]
    mine, theirs = (torch.autograd.grad(each, x)[0] for each in found)
    torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


def test_channels_of_any_number(frozen: FrozenTaps) -> None:
    x = torch.rand(2, 6, 16, 16) * 2 - 1
    grey = frozen(x[:, :1], (32, 32), [8])[0]
    assert torch.equal(grey, frozen(x[:, :1].expand(-1, 3, -1, -1), (32, 32), [8])[0])
    both = frozen(x, (32, 32), [8])[0]
    parts = [frozen(part, (32, 32), [8])[0] for part in x.split(3, 1)]
    torch.testing.assert_close(both, torch.stack(parts).mean(0))


def test_pools_of_a_random_vgg16() -> None:
    vgg = FrozenTaps("random-vgg16")
    pictures = vgg(torch.rand(1, 3, 32, 32), (32, 32), vgg.strides)
    assert [x.shape[1] for x in pictures] == list(vgg.channels)
    assert [32 // x.shape[2] for x in pictures] == list(vgg.strides)


def test_half_precision_is_near(frozen: FrozenTaps) -> None:
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    half = FrozenTaps(UNTRAINED, dtype=torch.bfloat16)(x, (32, 32), [4, 32])
    for one, other in zip(half, frozen(x, (32, 32), [4, 32]), strict=True):
        assert one.dtype == torch.bfloat16
        assert float((one.float() - other).std() / other.std()) < 0.05


def test_networks_without_taps_are_refused() -> None:
    with pytest.raises(UserError, match="'inception' has no taps: .*efficientnet-lite0"):
        FrozenTaps("inception")


def test_trained_pictures() -> None:
    needs(packaged.PACKAGES[LITE0].module)
    frozen = FrozenTaps(LITE0)
    network, _ = taps.TAPPED[LITE0].draw()
    assert isinstance(network, EfficientNetLite) and isinstance(network, nn.Module)
    x = torch.rand(1, 3, 32, 32)
    for one, other in zip(
        frozen(x * 2 - 1, (32, 32), frozen.strides),
        network.levels((x * 255 - 127) / 128),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
