"""Many small pictures in one."""

import io

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.metrics.sprites import LARGEST, fitting, sprite, thumbnails
from tests.metrics.images import noise


def test_pictures_lie_row_by_row() -> None:
    png, cut = sprite([np.full((2, 3, 3), i, dtype=np.uint8) for i in range(5)], "s.png")
    assert cut.tree() == {"file": "s.png", "width": 3, "height": 2, "columns": 3, "count": 5}
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image)
    for i in range(5):
        top, left = i // 3 * 2, i % 3 * 3
        assert (pixels[top : top + 2, left : left + 3] == i).all()


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UserError, match="no pictures"):
        sprite([], "s.png")
    with pytest.raises(UserError, match="of one size"):
        sprite([np.zeros((2, 2, 3), np.uint8), np.zeros((2, 3, 3), np.uint8)], "s.png")
    with pytest.raises(UserError, match="fewer or smaller"):
        sprite([np.zeros((LARGEST, 1, 3), np.uint8)] * 2, "s.png")


def test_pictures_are_made_to_fit() -> None:
    assert fitting(100) == 48 and fitting(0) == 48
    assert fitting(1_000_000) == LARGEST // 1000


def test_thumbnails_are_of_the_images_asked_for() -> None:
    images = noise(count=20, modalities={"vis": 3, "nir": 1}, size=(8, 16))
    found = thumbnails(images, [19, 3, 3], side=8)
    assert set(found) == {3, 19} and found[3].shape == (2, 8, 3)
    pixels = next(images.batches())[3].numpy()
    assert np.allclose(found[3][:, :4].mean(), pixels[:3].mean(), atol=1.5)
    assert np.allclose(found[3][:, 4:].mean(), pixels[3].mean(), atol=1.5)
