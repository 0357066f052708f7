"""Networks from images to classes of pixels on odd inputs, and their loss."""

import math

import pytest
import torch

from synthograph.features.mask_networks import NETWORKS, MaskNetwork, depth_for, mask_loss

pytest.importorskip("monai", reason="monai is missing")
IGNORED = 255


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("shape", [(16, 16), (37, 51), (5, 4)])
def test_any_size_and_channels(name: str, shape: tuple[int, int]) -> None:
    """Also a batch of one in training, whose smallest maps have to have a spread."""
    network = MaskNetwork(name, 4, 3, width=4, depth=3)
    images = torch.rand(1, 4, *shape)
    logits = network(images)
    assert logits.shape == (1, 3, *shape)
    mask_loss(logits, torch.zeros(1, *shape, dtype=torch.uint8), IGNORED).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_filling_up_moves_nothing() -> None:
    """An image of a size that fits gives the same, whether or not others had to be filled up."""
    torch.manual_seed(0)
    network = MaskNetwork("unet", 1, 2, width=4, depth=2).eval()
    network.inner = torch.nn.Identity()
    images = torch.rand(2, 1, 13, 18)
    torch.testing.assert_close(network(images), images)


def test_depth_follows_the_size() -> None:
    assert [depth_for(side, 999) for side in (4, 8, 16, 32, 512)] == [1, 2, 3, 4, 4]


def test_the_loss_is_cross_entropy_and_dice() -> None:
    classes = torch.tensor([[[0, 1], [2, IGNORED]]], dtype=torch.uint8)
    right = torch.full((1, 3, 2, 2), -50.0)
    for place, k in enumerate((0, 1, 2)):
        right[0, k, place // 2, place % 2] = 50.0
    right[0, 1, 1, 1] = 50.0  # ignored: whatever is said there costs nothing
    assert float(mask_loss(right, classes, IGNORED)) == pytest.approx(0, abs=1e-5)
    even = torch.zeros(1, 3, 2, 2)
    dice = 2 * (1 / 3) / (1 + 3 / 3)  # of either class: one hit of a third, one and three thirds
    expected = math.log(3) + 1 - dice
    assert float(mask_loss(even, classes, IGNORED)) == pytest.approx(expected)


def test_a_batch_without_any_class_has_a_loss() -> None:
    logits = torch.zeros(2, 3, 4, 4, requires_grad=True)
    for value in (0, IGNORED):
        loss = mask_loss(logits, torch.full((2, 4, 4), value, dtype=torch.uint8), IGNORED)
        loss.backward()
        assert loss.isfinite() and logits.grad.isfinite().all()
