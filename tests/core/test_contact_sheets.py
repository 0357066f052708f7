"""Contact sheets show the right pixels in the right cells."""

import io

import numpy as np
import pytest
from PIL import Image

from synthograph.core.contact_sheets import LINE, PAPER, as_rgb, contact_sheet


def test_modalities_stand_side_by_side() -> None:
    pixels = np.arange(4 * 2 * 3, dtype=np.uint8).reshape(4, 2, 3)
    shown = as_rgb(pixels, [3, 1])
    assert shown.shape == (2, 6, 3)
    assert (shown[:, :3] == pixels[:3].transpose(1, 2, 0)).all()
    assert (shown[:, 3:] == pixels[3][:, :, None]).all()


def test_sixteen_bits_keep_the_upper_eight() -> None:
    pixels = np.array([[[0, 255, 256, 65535]]], dtype=np.uint16)
    assert as_rgb(pixels, [1])[0, :, 0].tolist() == [0, 0, 1, 255]


@pytest.mark.parametrize("side", [8, 64, 100])
def test_every_image_is_on_the_sheet(side: int) -> None:
    colours = [(250, 0, 9), (0, 250, 9), (9, 0, 250), (250, 250, 9)]
    images = [np.full((side, side, 3), c, dtype=np.uint8) for c in colours]
    canvas = np.asarray(
        Image.open(io.BytesIO(contact_sheet([("first", images[:3]), ("second", images[3:])])))
    )
    shown = side * max(1, -(-64 // side))
    for colour in colours:
        rows, columns = np.nonzero((canvas == colour).all(axis=2))
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (shown, shown)
    assert tuple(canvas[0, 0]) == PAPER


def test_columns_and_colours_can_have_names() -> None:
    rows = [("AB", [np.full((64, 64, 3), 128, dtype=np.uint8)] * 2)]
    plain = np.asarray(Image.open(io.BytesIO(contact_sheet(rows))))
    legend = [(f"class {k}", (200, 10, k)) for k in range(5)]
    named = contact_sheet(rows, heads=("image", "truth"), legend=legend)
    canvas = np.asarray(Image.open(io.BytesIO(named)))
    assert canvas.shape[1] == plain.shape[1]
    assert canvas.shape[0] > plain.shape[0] + 3 * 16, "a head, and more than one line of a legend"
    assert all((canvas == colour).all(axis=2).any() for _, colour in legend)


def test_titles_are_written_and_can_be_missing() -> None:
    image = np.full((64, 64, 3), 128, dtype=np.uint8)
    with_title = np.asarray(Image.open(io.BytesIO(contact_sheet([("AB", [image])]))))
    without = np.asarray(Image.open(io.BytesIO(contact_sheet([("", [image])]))))
    assert with_title.shape[1] > without.shape[1] and (with_title < 60).any()


def test_captions_stand_below_their_images() -> None:
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    plain = Image.open(io.BytesIO(contact_sheet([("", [image]), ("", [image])])))
    told = Image.open(
        io.BytesIO(contact_sheet([("", [image]), ("", [image])], captions=[["0.1"], ["0.2"]]))
    )
    assert told.height == plain.height + 2 * LINE and told.width == plain.width
