"""Planted defects: how strong they are, what they touch, and that they repeat."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics import defects
from synthograph.metrics.defects import blur, cast, drop, jpeg, narrow, noise, repeat

NUMBERS = torch.tensor([4, 9, 11])


def pictures(channels: int = 3, bits: int = 8, n: int = 3, size: tuple[int, int] = (16, 20)):
    """Smooth images with some texture."""
    y, x = (torch.arange(side, dtype=torch.float32) for side in size)
    waves = torch.sin(x[None] / 3 + torch.arange(n * channels)[:, None, None]) + y[:, None] / 16
    waves = waves + 0.2 * torch.randn(waves.shape, generator=torch.Generator().manual_seed(0))
    unit = (waves - waves.min()) / (waves.max() - waves.min())
    values = (unit * (2**bits - 1)).round().reshape(n, channels, *size)
    return values.to(torch.uint8 if bits == 8 else torch.uint16)


def change(before: Tensor, after: Tensor) -> float:
    return float((after.to(torch.float64) - before.to(torch.float64)).abs().mean())


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("channels", "widths"), [(1, (1,)), (3, (3,)), (2, (1, 1)), (4, (3, 1))])
def test_grades_grow_and_leave_shape_type_and_input(
    channels: int, widths: tuple[int, ...], bits: int
) -> None:
    images = pictures(channels, bits)
    before = images.clone()
    strength: dict[str, list[float]] = {}
    for defect in defects.pixel_defects(widths, bits):
        if defect.refusal(bits) is not None:
            assert defect.kind == "JPEG"
            continue
        damaged = defect(images, NUMBERS)
        assert damaged.shape == images.shape
        assert damaged.dtype == images.dtype
        assert torch.equal(images, before)
        strength.setdefault(defect.kind, []).append(change(images, damaged))
    assert len(strength) == (4 if bits == 8 else 3)
    for kind, grown in strength.items():
        assert grown == sorted(grown), kind
        assert grown[0] < grown[-1], kind


@pytest.mark.parametrize("defect", defects.pixel_defects((3,), 8))
def test_damage_does_not_depend_on_the_batch(defect: defects.PixelDefect) -> None:
    images = pictures()
    whole = defect(images, NUMBERS)
    for row in range(len(images)):
        alone = defect(images[row : row + 1], NUMBERS[row : row + 1])
        assert torch.equal(alone[0], whole[row])


def test_blur_spreads_a_point_by_its_variance_and_keeps_flat_images() -> None:
    image = torch.zeros(1, 1, 41, 41, dtype=torch.uint16)
    image[0, 0, 20, 20] = 65535
    blurred = blur(2.0)(image, NUMBERS[:1])[0, 0].to(torch.float64)
    place = torch.arange(41, dtype=torch.float64) - 20
    share = blurred.sum(0) / blurred.sum()
    assert float((share * place.square()).sum()) == pytest.approx(4.0, rel=0.02)
    flat = torch.full((1, 3, 5, 4), 200, dtype=torch.uint8)
    assert torch.equal(blur(4.0)(flat, NUMBERS[:1]), flat)


@pytest.mark.parametrize(("bits", "unit"), [(8, 1), (16, 257)])
def test_noise_has_its_deviation_in_grey_levels(bits: int, unit: int) -> None:
    dtype = torch.uint8 if bits == 8 else torch.uint16
    grey = torch.full((2, 1, 80, 80), 2 ** (bits - 1)).to(dtype)
    grades = [each for each in defects.pixel_defects((1,), bits) if each.kind == "noise"]
    assert [each.grade for each in grades] == [unit * level for level in defects.NOISES]
    found = grades[3](grey, torch.tensor([1, 2])).to(torch.float64)
    assert float(found.std()) == pytest.approx(8 * unit, rel=0.03)
    assert float(found.mean()) == pytest.approx(2 ** (bits - 1), rel=0.01)
    assert not torch.equal(found[0], found[1])


def test_noise_follows_seed_and_number() -> None:
    images = pictures()
    assert torch.equal(noise(4.0, 1)(images, NUMBERS), noise(4.0, 1)(images, NUMBERS))
    assert not torch.equal(noise(4.0, 1)(images, NUMBERS), noise(4.0, 2)(images, NUMBERS))
    assert not torch.equal(noise(4.0)(images, NUMBERS), noise(4.0)(images, NUMBERS + 1))


def test_jpeg_codes_every_modality_on_its_own() -> None:
    images = pictures(4)
    found = jpeg(30, (3, 1))(images, NUMBERS)

    def coded(picture: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=30)
        return np.asarray(Image.open(file))

    colour = coded(images[1, :3].permute(1, 2, 0).numpy())
    assert np.array_equal(found[1, :3].permute(1, 2, 0).numpy(), colour)
    assert np.array_equal(found[1, 3].numpy(), coded(images[1, 3].numpy()))


def test_jpeg_says_why_16_bits_cannot_have_it() -> None:
    assert "16" in str(jpeg(50, (1,)).refusal(16))
    with pytest.raises(UserError, match="JPEG holds 8 bits"):
        jpeg(50, (1,))(pictures(1, 16), NUMBERS)


def test_cast_scales_the_ends_of_every_modality_and_clips() -> None:
    images = torch.full((1, 4, 2, 2), 100, dtype=torch.uint8)
    found = cast(0.1, (3, 1))(images, NUMBERS[:1])
    assert found[0, :, 0, 0].tolist() == [110, 100, 90, 110]
    white = torch.full((1, 1, 2, 2), 250, dtype=torch.uint8)
    assert int(cast(0.2, (1,))(white, NUMBERS[:1]).max()) == 255
    assert cast(0.2, (1,)).kind == "brightness"
    assert cast(0.2, (3,)).kind == "colour cast"
    with pytest.raises(UserError, match="3, 1 channels, but images of 3"):
        cast(0.1, (3, 1))(pictures(3), NUMBERS)


def test_drop_takes_its_share_of_one_class() -> None:
    labels = torch.tensor([0, 1, 2, -1]).repeat(10)
    numbers = torch.arange(4, 40)
    half = drop(labels, 1, "b", 0.5).select(numbers, Streams(0))
    assert torch.bincount(labels[half] + 1).tolist() == [9, 9, 5, 9]
    everything = drop(labels, 1, "b", 1.0).select(numbers, Streams(0))
    assert everything.tolist() == [n for n in range(4, 40) if n % 4 != 1]
    assert set(everything.tolist()) < set(half.tolist())
    assert half.tolist() == drop(labels, 1, "b", 0.5).select(numbers, Streams(0)).tolist()
    assert half.tolist() != drop(labels, 1, "b", 0.5).select(numbers, Streams(1)).tolist()


def test_repeat_keeps_the_number_and_shares_it_out() -> None:
    numbers = torch.arange(100, 123)
    found = repeat(5).select(numbers, Streams(0))
    assert len(found) == 23
    kept, counts = found.unique(return_counts=True)
    assert sorted(counts.tolist()) == [4, 4, 5, 5, 5]
    assert set(kept.tolist()) <= set(numbers.tolist())
    assert torch.equal(repeat(23).select(numbers, Streams(0)), numbers)
    assert kept.tolist() != repeat(5).select(numbers, Streams(1)).unique().tolist()


def test_narrow_loses_the_upper_values_and_no_unknown_ones() -> None:
    values = torch.arange(20, dtype=torch.float32).flip(0)
    values[3] = torch.nan
    found = narrow("age", values, 0.25).select(torch.arange(20), Streams(0))
    lost = sorted(set(range(20)) - set(found.tolist()))
    assert lost == [0, 1, 2, 4, 5]


def test_selection_defects_are_ordered_and_never_empty_the_set() -> None:
    labels = torch.tensor([0] * 6 + [1] * 2)
    found = defects.selection_defects(20, labels, ("a", "b", "absent"), {})
    assert [each.kind for each in found[:4]] == ["class a missing"] * 2 + ["class b missing"] * 2
    assert [each.amount for each in found[:2]] == ["half", "all"]
    assert [each.grade for each in found[4:]] == [10, 5, 2, 1]
    only = torch.zeros(8, dtype=torch.int64)
    assert {each.kind for each in defects.selection_defects(20, only, ("a",), {})} == {
        "few images repeated"
    }


def test_of_many_classes_the_rarest_are_dropped() -> None:
    labels = torch.arange(15).repeat_interleave(torch.arange(15, 0, -1))
    assert defects.droppable(labels, [str(n) for n in range(15)]) == list(range(3, 15))
