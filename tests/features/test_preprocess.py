"""Integer images to a network's input, held against plain arithmetic."""

import numpy as np
import pytest
import torch
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.features.preprocess import (
    IMAGENET_DEVIATION,
    IMAGENET_MEAN,
    Preprocess,
    Resize,
    check_images,
    full_window,
    groups_of_three,
    resized,
)

CPU = torch.device("cpu")


def pixels(*shape: int, bits: int = 8, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    dtype = np.uint8 if bits == 8 else np.uint16
    return torch.from_numpy(rng.integers(0, 2**bits, shape).astype(dtype))


def tensorflow1(image: np.ndarray, size: int) -> np.ndarray:
    """One channel, pixel by pixel: resize_bilinear of TensorFlow 1 with align_corners=False."""
    height, width = image.shape
    result = np.empty((size, size))
    for i in range(size):
        y = np.float32(i) * np.float32(height / size)
        top, bottom = int(y), min(int(y) + 1, height - 1)
        for j in range(size):
            x = np.float32(j) * np.float32(width / size)
            left, right = int(x), min(int(x) + 1, width - 1)
            above = image[top, left] + (image[top, right] - image[top, left]) * (x - left)
            below = image[bottom, left] + (image[bottom, right] - image[bottom, left]) * (x - left)
            result[i, j] = above + (below - above) * (y - top)
    return result


@pytest.mark.parametrize("shape", [(8, 8), (5, 11), (40, 17), (1, 3), (1, 1), (61, 64)])
@pytest.mark.parametrize("size", [13, 29])
def test_the_rule_of_tensorflow1(shape: tuple[int, int], size: int) -> None:
    image = pixels(1, 1, *shape).float()
    got = resized(image, size, Resize.TENSORFLOW1)[0, 0]
    np.testing.assert_allclose(got, tensorflow1(image[0, 0].numpy(), size), atol=1e-3)


def test_the_rule_of_tensorflow1_shifts_and_the_modern_one_does_not() -> None:
    """Doubling keeps every second pixel in one, and mirrors with its image in the other."""
    image = pixels(1, 1, 6, 6).float()
    old = resized(image, 12, Resize.TENSORFLOW1)
    torch.testing.assert_close(old[..., ::2, ::2], image)
    assert not torch.allclose(old.flip(3), resized(image.flip(3), 12, Resize.TENSORFLOW1), atol=1)
    new = resized(image, 12, Resize.ANTIALIASED)
    torch.testing.assert_close(new.flip(3), resized(image.flip(3), 12, Resize.ANTIALIASED))


@pytest.mark.parametrize("size", [10, 21, 64])
def test_the_modern_rule_is_that_of_pillow(size: int) -> None:
    image = pixels(40, 30)
    got = resized(image[None, None].float(), size, Resize.ANTIALIASED)[0, 0]
    pillow = Image.fromarray(image.numpy()).convert("F")
    expected = np.asarray(pillow.resize((size, size), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(got, expected, atol=0.01)


@pytest.mark.parametrize("shape", [(40, 30), (7, 64), (300, 200)])
def test_the_bicubic_rule_is_that_of_pillow(shape: tuple[int, int]) -> None:
    image = pixels(*shape)
    image[:, ::2] = 255  # overshoots, which are cut
    got = resized(image[None, None].float(), 48, Resize.PILLOW, whole=True)[0, 0]
    picture = Image.fromarray(image.numpy())
    expected = np.asarray(picture.resize((48, 48), Image.Resampling.BICUBIC), np.float32)
    np.testing.assert_allclose(got, expected, atol=1)  # weights there are whole numbers
    assert float(np.abs(got.numpy() - expected).mean()) < 0.02
    fine = resized(image[None, None].float() / 255, 48, Resize.PILLOW)
    assert not torch.equal(fine, fine.round())


def test_antialiasing_keeps_the_mean_of_a_fine_pattern() -> None:
    stripes = torch.zeros(1, 1, 64, 64)
    stripes[..., ::2] = 255
    assert resized(stripes, 8, Resize.ANTIALIASED).std() < 12
    assert resized(stripes, 8, Resize.TENSORFLOW1).std() == 0  # it sees only every eighth pixel
    assert abs(float(resized(stripes, 8, Resize.ANTIALIASED).mean()) - 127.5) < 12


@pytest.mark.parametrize("rule", Resize)
def test_images_of_the_right_size_stay_as_they_are(rule: Resize) -> None:
    image = pixels(2, 3, 9, 9).float()
    assert torch.equal(resized(image, 9, rule), image)


def test_the_window_of_16_bits_is_the_full_range() -> None:
    values = torch.tensor([0, 257, 32896, 65535], dtype=torch.uint16).view(1, 1, 2, 2)
    torch.testing.assert_close(full_window(values).flatten(), torch.tensor([0.0, 1, 128, 255]))
    eight = pixels(2, 1, 4, 4)
    wide = (eight.to(torch.int32) * 257).to(torch.uint16)
    torch.testing.assert_close(full_window(wide), full_window(eight))


def test_channels() -> None:
    x = torch.arange(7.0).view(1, 7, 1, 1)

    def groups(count: int) -> list[list[float]]:
        return groups_of_three(x[:, :count]).flatten(2)[:, 0].tolist()

    assert groups(1) == [[0, 0, 0]]
    assert groups(2) == [[0, 1, 0.5]]
    assert groups(3) == [[0, 1, 2]]
    assert groups(5) == [[0, 1, 2], [3, 4, 3.5]]
    assert groups(7) == [[0, 1, 2], [3, 4, 5], [6, 6, 6]]


def test_mean_and_deviation() -> None:
    rule = Preprocess(4)
    assert rule.mean == IMAGENET_MEAN
    flat = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8)
    expected = [(255 - m) / d for m, d in zip(IMAGENET_MEAN, IMAGENET_DEVIATION, strict=True)]
    got = rule(flat, CPU)
    assert got.shape == (1, 1, 3, 4, 4)
    torch.testing.assert_close(got[0, 0, :, 0, 0], torch.tensor(expected))
    assert expected[0] == pytest.approx((1 - 0.485) / 0.229)


def test_the_rules_are_told() -> None:
    told = Preprocess(299, Resize.TENSORFLOW1).describe()
    assert told["input_size"] == 299
    for key in ("resizing", "channels", "window"):
        assert isinstance(told[key], str)
    assert "TensorFlow 1" in str(told["resizing"])


@pytest.mark.parametrize(
    "images",
    [torch.zeros(3, 4, 4, dtype=torch.uint8), torch.zeros(1, 0, 4, 4, dtype=torch.uint8)],
)
def test_other_shapes(images: torch.Tensor) -> None:
    with pytest.raises(UserError, match=r"\[n, channels, h, w\]"):
        check_images(images)


def test_other_number_types() -> None:
    with pytest.raises(UserError, match=r"uint8 or uint16, got torch\.float32"):
        check_images(torch.zeros(1, 1, 4, 4))
