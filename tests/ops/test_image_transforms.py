"""Transforms of training images."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from synthograph.core.spec import ImageSpec
from synthograph.ops.image_transforms import TRANSFORMS, Transform, Transforms, move_masks
from synthograph.ops.transform_choice import choose
from synthograph.ops.transforms import rotation
from synthograph.ops.warp import about_centre, warp
from synthograph.stats.masks import IGNORED

RGB = ImageSpec(height=24, width=24, modalities={"image": 3})
TWO = ImageSpec(height=24, width=32, modalities={"vis": 3, "nir": 1}, bits=16)
EVERYTHING = ["mirror", "rotate", "colour"]
NAMES = [each.name for each in TRANSFORMS]


def batch(spec: ImageSpec, n: int = 6) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    shape = (n, spec.channels, spec.height, spec.width)
    return torch.rand(shape, generator=generator), torch.arange(100, 100 + n)


def made(words: list[str], spec: ImageSpec, invariances: list[str] | None = None) -> Transforms:
    used = choose(words, spec, EVERYTHING if invariances is None else invariances).used
    return Transforms(used, spec.modalities, seed=5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spec", [RGB, TWO], ids=["square", "two modalities"])
def test_each_keeps_size_and_range_changes_something_and_repeats(
    name: str, spec: ImageSpec
) -> None:
    images, indices = batch(spec)
    before = images.clone()
    found = made([name], spec)(images, indices)
    assert found.shape == images.shape
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    assert not found.equal(images)
    assert images.equal(before), "the images themselves stay"
    assert made([name], spec)(images, indices).equal(found)
    assert not made([name], spec)(images, indices + 6).equal(found)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "fourier"])
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    images, indices = batch(RGB)
    chosen = made([name], RGB)
    alone = torch.cat([chosen(images[k : k + 1], indices[k : k + 1]) for k in range(6)])
    assert alone.allclose(chosen(images, indices), atol=1e-5)


@pytest.mark.parametrize(
    "transform",
    [each for each in TRANSFORMS if each.name not in ("quarter", "blur")],  # some change nothing
    ids=lambda each: each.name,
)
def test_each_acts_as_often_as_it_says(transform: Transform) -> None:
    images, n = torch.linspace(0.2, 0.8, 3 * 8 * 8).reshape(1, 3, 8, 8), 2000
    chosen = Transforms((transform,), {"image": 3}, seed=5, styles=1 - images)
    found = chosen(images.expand(n, -1, -1, -1), torch.arange(n))
    acted = ((found - images).abs().amax((1, 2, 3)) > 1e-6).double().mean()
    assert float(acted) == pytest.approx(transform.probability, abs=0.04)


def test_a_transform_that_came_to_do_something_else_is_another_training() -> None:
    assert made(["crop"], RGB).key == str(made(["crop"], RGB).describe())
    turn = made(["turn"], RGB)
    before = Transforms(tuple(replace(t, revision=0) for t in turn.used), turn.modalities, 5)
    assert turn.describe() == before.describe() and turn.key != before.key


def test_none_gives_images_back() -> None:
    images, indices = batch(RGB)
    assert made(["none"], RGB)(images, indices) is images


def test_fourier_takes_other_images_of_the_batch_or_given_ones() -> None:
    images, indices = batch(RGB)
    images = images * 0.2 + torch.linspace(0, 0.8, 6)[:, None, None, None]
    chosen = made(["fourier"], RGB)
    means = chosen(images, indices).mean((1, 2, 3))
    changed = (means - images.mean((1, 2, 3))).abs() > 0.05
    assert changed.any()
    white = Transforms(chosen.used, RGB.modalities, 5, styles=torch.ones(2, 3, 24, 24) * 0.95)
    bright = white(images * 0.5, indices).mean((1, 2, 3))
    assert (bright[changed] > 0.7).all()


def test_masks_move_with_images_without_a_shift() -> None:
    """A blob's centre in the image and in its mask, under every geometry: neither half a pixel to
    one side, nor half a pixel about the centre.
    """
    side, n = 65, 96
    centres = torch.rand(n, 2, generator=torch.Generator().manual_seed(2)) * 12 - 6
    axis = torch.arange(side) - (side - 1) / 2
    far = (axis[None, :, None] - centres[:, 1, None, None]) ** 2
    far = far + (axis[None, None, :] - centres[:, 0, None, None]) ** 2
    images = torch.exp(-far / (2 * 4.0**2))[:, None]
    masks = (far < 6.0**2).to(torch.uint8)
    spec = ImageSpec(height=side, width=side, modalities={"image": 1})
    chosen = made(["mirror", "quarter", "turn", "scale", "crop", "shift", "stretch"], spec)
    moved, moved_masks = chosen.with_masks(images, masks, torch.arange(n), IGNORED)
    places = torch.stack((axis.expand(side, side), axis[:, None].expand(side, side)))
    errors = []
    for image, mask in zip(moved[:, 0], moved_masks, strict=True):
        outside = torch.nn.functional.pad(mask[1:-1, 1:-1] == IGNORED, (1, 1, 1, 1), value=True)
        if float(image[outside].max()) < 0.02:  # no edge cuts it
            weights = (image * (image > 0.1), (mask == 1).float())
            by_image, by_mask = ((places * w).sum((1, 2)) / w.sum() for w in weights)
            errors.append(by_image - by_mask)
    found = torch.stack(errors)
    assert len(found) > 40
    assert found.mean(0).abs().max() < 0.06
    assert found.square().mean().sqrt() < 0.2, "half a pixel about the centre would be 0.5"


def test_warped_images_turn_about_the_centre_as_masks_do() -> None:
    axis = torch.arange(65.0) - 32
    point = torch.exp(-((axis[:, None] - 3) ** 2 + (axis[None] + 5) ** 2) / 8)[None, None]
    for degrees in (0, 50, 180):
        turned = rotation(torch.tensor([torch.pi * degrees / 180]))
        found = warp(point, about_centre(turned))[0, 0].clamp(min=0)
        centre = torch.stack(((found.sum(0) * axis).sum(), (found.sum(1) * axis).sum()))
        wanted = turned[0, :2, :2].T @ torch.tensor([-5.0, 3.0])
        assert (centre / found.sum()).allclose(wanted, atol=0.01)


def test_thin_lines_survive_turns_and_enlarging() -> None:
    """A line of one pixel stays connected: no row that it crosses is without it."""
    line = torch.zeros(1, 33, 33, dtype=torch.uint8)
    line[:, :, 16] = 1
    for degrees in (0, 10, 30, 45):
        angle = torch.tensor([torch.pi * degrees / 180])
        found = move_masks(line, rotation(angle), IGNORED)
        inner = found[0, 8:25]
        assert (inner == 1).any(1).all()
        assert int((inner == 1).sum()) >= 17
    half = rotation(torch.zeros(1))
    half[:, 0, 2] = 0.5
    assert int((move_masks(line, half, IGNORED) == 1).sum()) == 33


def test_masks_are_moved_where_they_are() -> None:
    """As on a GPU: nothing of it is made elsewhere."""
    masks = torch.zeros(2, 9, 9, dtype=torch.uint8, device="meta")
    assert move_masks(masks, rotation(torch.zeros(2)), IGNORED).device.type == "meta"


def test_masks_keep_their_ids_and_say_where_nothing_is() -> None:
    images, indices = batch(RGB)
    masks = torch.randint(0, 4, (6, 24, 24), dtype=torch.uint8)
    words = ["mirror", "quarter", "turn", "scale", "shift"]
    _, found = made(words, RGB).with_masks(images, masks, indices, IGNORED)
    assert found.dtype == torch.uint8
    assert set(found.unique().tolist()) <= {0, 1, 2, 3, IGNORED}
    assert (found == IGNORED).any()


def test_flips_and_quarter_turns_are_exact() -> None:
    images, indices = batch(RGB, 16)
    masks = (images[:, 0] * 3).long()
    moved, found = made(["mirror", "quarter"], RGB).with_masks(images, masks, indices, IGNORED)
    assert found.equal((moved[:, 0] * 3).long())
    assert moved.flatten(1).sort(1).values.equal(images.flatten(1).sort(1).values)


def test_low_precision_of_a_training_does_not_reach_transforms() -> None:
    images, indices = batch(RGB)
    wanted = made(["default"], RGB)(images, indices)
    with torch.autocast("cpu", torch.bfloat16):
        assert made(["default"], RGB)(images, indices).equal(wanted)
