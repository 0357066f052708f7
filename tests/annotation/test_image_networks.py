"""Networks that see whole images: what they learn, and what they never see."""

import pytest
import torch

from synthograph.annotation.image_networks import (
    WINDOW,
    ImageNetworkConfig,
    PaintedImages,
    chances,
    fit_network,
    leave_out_network,
    unit_range,
)
from synthograph.core.spec import ImageSpec
from synthograph.ops.image_transforms import Transforms
from synthograph.ops.transform_choice import choose

pytest.importorskip("monai", reason="monai is missing")
QUICK = ImageNetworkConfig(steps=60, more=0, batch=4)


def squares(count: int, size: tuple[int, int] = (16, 16)) -> PaintedImages:
    """A dot in an image of two modalities; the mask is the square around it, so that no pixel knows
    by itself what it is.
    """
    draws = torch.Generator().manual_seed(1)
    images, masks = torch.zeros(count, 2, *size), torch.zeros(count, *size, dtype=torch.uint8)
    for number in range(count):
        y, x = (int(torch.randint(3, side - 3, (1,), generator=draws)) for side in size)
        images[number, number % 2, y, x] = 1.0
        masks[number, y - 2 : y + 3, x - 2 : x + 3] = 1
    spec = ImageSpec(height=size[0], width=size[1], modalities={"a": 1, "b": 1}, bits=16)
    used = choose(["shift", "scale"], spec, None).used
    return PaintedImages(images, masks, 2, Transforms(used, spec.modalities, 0))


def test_surroundings_are_seen() -> None:
    painted = squares(8)
    network = fit_network(QUICK, painted, range(8), seed=0)
    said = torch.stack([chances(network, image)[1] for image in painted.images])
    assert said[painted.masks == 1].mean() > said[painted.masks == 0].mean() + 0.3


def test_images_left_out_are_not_seen_and_seeds_repeat() -> None:
    painted = squares(3)
    quick = QUICK.model_copy(update={"steps": 5})
    found = leave_out_network(quick, painted, seed=1)
    assert [each.shape for each in found] == [(2, 16, 16)] * 3
    torch.testing.assert_close(found[0].float().sum(0), torch.ones(16, 16), atol=2e-3, rtol=0)
    masks = painted.masks.clone()
    masks[2] = 1 - masks[2]
    other = PaintedImages(painted.images, masks, 2, painted.transforms)
    again = leave_out_network(quick, other, seed=1)
    assert torch.equal(found[2], again[2]) and not torch.equal(found[0], again[0])
    state = torch.random.get_rng_state()
    assert not torch.equal(leave_out_network(quick, painted, seed=2)[2], found[2])
    assert torch.equal(state, torch.random.get_rng_state())


def test_a_patient_of_several_images_is_not_seen() -> None:
    painted = squares(3)
    masks = painted.masks.clone()
    masks[2] = 1 - masks[2]
    quick = QUICK.model_copy(update={"steps": 5})
    one, other = (
        leave_out_network(
            quick, PaintedImages(painted.images, each, 2, painted.transforms, (0, 1, 0)), seed=1
        )
        for each in (painted.masks, masks)
    )
    assert torch.equal(one[0], other[0]) and not torch.equal(one[1], other[1])


def test_large_images_are_learned_in_parts_and_seen_whole() -> None:
    """Of a size that the network does not halve evenly; all modalities, one class ignored here and
    there.
    """
    painted = squares(1, (WINDOW + 35, 21))
    painted.masks[0, :40] = 255
    network = fit_network(QUICK.model_copy(update={"steps": 2}), painted, [0], seed=0)
    assert chances(network, painted.images[0]).shape == (2, WINDOW + 35, 21)


def test_drawn_values_become_those_of_files() -> None:
    drawn = torch.tensor([-1.5, -1.0, 0.0, 1.0, 2.0]).view(1, 1, 1, 5)
    assert unit_range(drawn).flatten().tolist() == [0, 0, 0.5, 1, 1]
