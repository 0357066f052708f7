"""Every rule of fitting against results worked out by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synthograph.archive.transform import (
    CROPPED,
    ENLARGED,
    TransformOptions,
    resize_ids,
    resize_pixels,
    tile_starts,
    transform,
)
from synthograph.core.errors import UserError
from synthograph.core.record import DecodedImage, UnreadableError, array_of


def options(**kwargs: object) -> TransformOptions:
    return TransformOptions.parse(kwargs)


def picture(height: int, width: int, channels: int = 1, dtype: type = np.uint8) -> DecodedImage:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, np.iinfo(dtype).max, (height, width, channels), dtype, endpoint=True)
    return DecodedImage({"image": pixels}, (pixels[:, :, 0] % 5).astype(np.uint8), ("a note",))


def only(source: DecodedImage, **kwargs: object) -> np.ndarray:
    (piece,) = transform(source, options(**kwargs))
    told = piece.picture.notes[len(source.notes) :]
    assert piece.corner is None and piece.picture.notes == source.notes + told
    assert set(told) <= {ENLARGED, CROPPED}
    mask = piece.picture.mask
    assert mask is not None and mask.shape == piece.picture.size
    return array_of(piece.picture.modalities["image"])


def test_without_a_size_pixels_stay() -> None:
    source = picture(5, 7, 3)
    assert np.array_equal(only(source), source.modalities["image"])
    assert np.array_equal(only(source, width=7, height=5), source.modalities["image"])


@pytest.mark.parametrize("kind", ["lanczos", "box"])
@pytest.mark.parametrize(("height", "width"), [(30, 41), (41, 30), (33, 33)])
def test_center_crop_is_pillows_crop_and_resize(height: int, width: int, kind: str) -> None:
    source = picture(height, width, 3)
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    cut = Image.fromarray(array_of(source.modalities["image"])).crop(
        (left, top, left + side, top + side)
    )
    method = Image.Resampling.LANCZOS if kind == "lanczos" else Image.Resampling.BOX
    expected = np.asarray(cut.resize((16, 16), method))
    got = only(source, width=16, height=16, fit="center-crop", resize_filter=kind)
    assert np.array_equal(got, expected)
    assert only(source, fit="center-crop").shape == (side, side, 3)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"width": 16, "height": 16, "fit": "center-crop"},
        {"width": 16, "height": 8, "fit": "center-crop-wide"},
        {"width": 16, "height": 16, "fit": "pad", "resize_filter": "box"},
        {"width": 9, "height": 16, "fit": "stretch"},
        {"tile": 8, "overlap": 3},
        {"tile": 16, "width": 8, "height": 8},
    ],
)
def test_pixels_that_pillow_holds_become_the_same(channels: int, wanted: dict) -> None:
    source = picture(30, 41, channels)
    held = Image.fromarray(array_of(source.modalities["image"]).squeeze())
    plain, other = (
        list(transform(DecodedImage({"image": pixels}, source.mask), options(**wanted)))
        for pixels in (source.modalities["image"], held)
    )
    assert len(plain) == len(other)
    for one, two in zip(plain, other, strict=True):
        got, expected = (array_of(p.picture.modalities["image"]) for p in (two, one))
        assert got.shape == expected.shape and np.array_equal(got, expected)
        assert one.picture.size == two.picture.size and one.corner == two.corner
        assert np.array_equal(one.picture.mask, two.picture.mask)


def test_center_crop_to_another_shape_does_not_distort() -> None:
    columns = np.tile(np.arange(40, dtype=np.uint8), (20, 1))[:, :, None]
    got = only(
        DecodedImage({"image": columns}, columns[:, :, 0]), width=8, height=16, fit="center-crop"
    )
    # the largest 1:2 part is 10 wide (columns 15 to 24) and 20 high, shrunk by 1.25 on both sides
    assert got.shape == (16, 8, 1)
    assert 15 <= got.min() and got.max() <= 24
    assert abs(float(got.mean()) - 19.5) < 0.5


def test_pad_keeps_all_and_centres_it() -> None:
    pixels = np.full((4, 8, 1), 200, np.uint8)
    got = only(DecodedImage({"image": pixels}, pixels[:, :, 0]), width=8, height=9, fit="pad")[
        :, :, 0
    ]
    assert got[2:6].min() == 200 and not got[:2].any() and not got[6:].any()
    small = only(DecodedImage({"image": pixels}, pixels[:, :, 0]), width=16, height=16, fit="pad")
    assert (small[4:12] == 200).all() and int((small == 0).sum()) == 8 * 16


def test_stretch_ignores_the_shape() -> None:
    pixels = np.repeat(np.array([[10], [90]], np.uint8), 2, axis=0)[:, :, None]
    got = only(
        DecodedImage({"image": np.tile(pixels, (1, 8, 1))}, np.tile(pixels[:, :, 0], (1, 8))),
        width=4,
        height=4,
        fit="stretch",
        resize_filter="box",
    )
    assert got[:, :, 0].tolist() == [[10] * 4] * 2 + [[90] * 4] * 2


def test_center_crop_wide_crops_shrinks_and_puts_bars() -> None:
    rows = np.repeat(np.arange(1, 41, dtype=np.uint8), 32).reshape(40, 32)[:, :, None]
    source = DecodedImage({"image": rows}, rows[:, :, 0])
    got = only(source, width=16, height=8, fit="center-crop-wide", resize_filter="box")[:, :, 0]
    # 32 wide, so 16 rows (12 to 27) are cut, halved to 8 and put between two bars of 4
    assert got.shape == (16, 16) and not got[:4].any() and not got[12:].any()
    # the mean of the values of rows 12 and 13, 13.5, which Pillow rounds up
    assert got[4:12, 0].tolist() == [14, 16, 18, 20, 22, 24, 26, 28]
    with pytest.raises(UnreadableError, match="32x40 is too small for a crop of 64x32"):
        only(source, width=64, height=32, fit="center-crop-wide")


def test_another_shape_without_a_rule_is_refused() -> None:
    with pytest.raises(UnreadableError, match="8x6 has another shape than 16x16: add --transform"):
        only(picture(6, 8), width=16, height=16)
    assert only(picture(6, 8), width=16, height=12).shape == (12, 16, 1)


@pytest.mark.parametrize(
    ("size", "settings", "notes"),
    [
        ((20, 20), {"width": 16, "height": 16}, ()),
        ((12, 12), {"width": 16, "height": 16}, (ENLARGED,)),
        ((20, 41), {"width": 16, "height": 16, "fit": "center-crop"}, (CROPPED,)),
        ((20, 39), {"width": 16, "height": 16, "fit": "center-crop"}, ()),
        ((12, 30), {"width": 16, "height": 16, "fit": "center-crop"}, (ENLARGED, CROPPED)),
        ((8, 30), {"width": 16, "height": 16, "fit": "pad"}, ()),
        ((8, 12), {"width": 16, "height": 16, "fit": "pad"}, (ENLARGED,)),
        ((8, 30), {"width": 16, "height": 16, "fit": "stretch"}, (ENLARGED,)),
        ((8, 30), {"tile": 8}, ()),
    ],
)
def test_enlarging_and_cropping_away_more_than_half_are_told(
    size: tuple[int, int], settings: dict[str, object], notes: tuple[str, ...]
) -> None:
    source = DecodedImage({"image": np.zeros((*size, 1), np.uint8)})
    for piece in transform(source, TransformOptions.parse(settings)):
        assert piece.picture.notes == notes


def test_resized_masks_hold_only_ids_that_came_in() -> None:
    ids = np.random.default_rng(0).choice(np.array([3, 7, 200], np.uint8), (37, 53))
    source = DecodedImage({"image": ids[:, :, None]}, ids)
    for fit in ("center-crop", "stretch"):
        for side in (16, 128):
            options = TransformOptions.parse({"width": side, "height": side, "fit": fit})
            (piece,) = transform(source, options)
            assert piece.picture.mask is not None
            assert set(np.unique(piece.picture.mask)) <= {3, 7, 200}


def test_sixteen_bits_keep_their_range() -> None:
    flat = np.full((9, 9, 1), 65535, np.uint16)
    assert (resize_pixels(flat, 4, 4, options().resize_filter) == 65535).all()
    edges = np.zeros((16, 16, 1), np.uint16)
    edges[:, 8:] = 65535
    got = resize_pixels(edges, 12, 12, options().resize_filter)  # lanczos overshoots at edges
    assert got.dtype == np.uint16 and got.min() == 0 and got.max() == 65535
    ramp = (np.arange(64, dtype=np.uint16) * 1000)[None, :, None].repeat(64, 0)
    box = resize_pixels(ramp, 32, 32, options(resize_filter="box").resize_filter)
    assert box[0, :, 0].tolist() == [2000 * i + 500 for i in range(32)]


def test_masks_take_the_nearest_id_and_modalities_stay_registered() -> None:
    marker = np.zeros((32, 32, 1), np.uint8)
    marker[8:16, 16:24] = 200
    mask = (marker[:, :, 0] > 0).astype(np.uint8) * 7
    source = DecodedImage({"vis": marker.repeat(3, 2), "nir": marker.astype(np.uint8)}, mask)
    (piece,) = transform(source, options(width=16, height=16, resize_filter="box"))
    out = piece.picture
    assert out.mask is not None and set(np.unique(out.mask)) == {0, 7}
    for pixels in map(array_of, out.modalities.values()):
        assert np.array_equal(pixels[:, :, 0] == 200, out.mask == 7)
    assert (out.mask[4:8, 8:12] == 7).all() and int((out.mask == 7).sum()) == 16


@given(st.integers(4, 60), st.integers(1, 60), st.integers(0, 59))
@settings(max_examples=200, deadline=None)
def test_tiles_cover_a_side_and_stay_inside(length: int, tile: int, overlap: int) -> None:
    if overlap >= tile:
        return
    if length < tile:
        with pytest.raises(UnreadableError, match="shorter than a tile"):
            tile_starts(length, tile, overlap)
        return
    starts = tile_starts(length, tile, overlap)
    assert starts == sorted(set(starts)) and starts[0] == 0 and starts[-1] == length - tile
    steps = [b - a for a, b in zip(starts, starts[1:], strict=False)]
    assert all(step == tile - overlap for step in steps[:-1])
    assert all(step <= tile - overlap for step in steps)


def test_the_published_example_of_tiles_loses_no_row() -> None:
    assert tile_starts(1916, 512, 0) == [0, 512, 1024, 1404]
    assert tile_starts(1053, 512, 0) == [0, 512, 541]


def test_tiles_put_together_are_the_image() -> None:
    source = picture(21, 30, 3)
    canvas, ids = np.zeros((21, 30, 3), np.uint8), np.zeros((21, 30), np.uint8)
    pieces = list(transform(source, options(tile=8, overlap=2)))
    for piece in pieces:
        assert piece.corner is not None
        x, y = piece.corner
        canvas[y : y + 8, x : x + 8] = array_of(piece.picture.modalities["image"])
        assert piece.picture.mask is not None
        ids[y : y + 8, x : x + 8] = piece.picture.mask
    assert np.array_equal(canvas, source.modalities["image"]) and np.array_equal(ids, source.mask)
    halved = list(transform(source, options(tile=8, width=4, height=4)))
    assert {p.picture.size for p in halved} == {(4, 4)}


@pytest.mark.parametrize(
    ("kwargs", "words"),
    [
        ({"width": 8}, "given together"),
        ({"fit": "pad"}, "transform pad needs a width and a height"),
        ({"fit": "stretch"}, "transform stretch needs"),
        ({"fit": "center-crop-wide"}, "needs a width and a height"),
        ({"fit": "center-crop-wide", "width": 8, "height": 16}, "at least the height"),
        ({"fit": "center-crob"}, "'center-crob' is unknown: did you mean 'center-crop'"),
        ({"resize_filter": "bicubic"}, "known are: lanczos, box"),
        ({"overlap": 2}, "give the tile size too"),
        ({"tile": 8, "overlap": 8}, "smaller than the tile"),
        ({"width": 0, "height": 0}, "at least 4"),
        ({"tile": -4}, "at least 4"),
    ],
)
def test_options_that_make_no_sense(kwargs: dict[str, object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        options(**kwargs)


def test_the_size_to_be_is_known_before() -> None:
    assert options().result is None and options(fit="center-crop").result is None
    assert options(tile=16).result == (16, 16)
    assert options(width=16, height=8, fit="pad").result == (8, 16)
    assert options(width=16, height=8, fit="center-crop-wide").result == (16, 16)


def line(start: int, width: int, *, upright: bool) -> np.ndarray:
    """A line of id 2 across areas of ids 0 and 7."""
    mask = np.zeros((96, 128), np.uint8)
    mask[:, 64:] = 7
    mask[np.s_[:, start : start + width] if upright else np.s_[start : start + width]] = 2
    return mask


@pytest.mark.parametrize("upright", [True, False])
@pytest.mark.parametrize("start", range(20, 28))
@pytest.mark.parametrize("factor", [2, 3.2, 4])
def test_what_is_half_a_pixel_wide_survives_a_resize(
    factor: float, start: int, upright: bool
) -> None:
    """Wherever it lies; and no id comes up that was not there."""
    width = int(np.ceil(factor / 2))
    mask = line(start, width, upright=upright)
    small = resize_ids(mask, round(96 / factor), round(128 / factor))
    assert set(np.unique(small)) <= {0, 2, 7}
    found = (small == 2).any(0 if upright else 1)
    across = (small == 2).sum(1 if upright else 0)
    assert across.min() >= 1 and across.max() <= 2  # unbroken, and no thicker than it must be
    middle = (np.flatnonzero(found).mean() + 0.5) * factor
    assert abs(middle - (start + width / 2)) <= factor / 2


def test_large_areas_keep_their_place_and_size() -> None:
    y, x = np.mgrid[:120, :120]
    mask = (np.hypot(y - 53.3, x - 61.8) < 31).astype(np.uint8)
    for side in (60, 41, 30):
        small = resize_ids(mask, side, side)
        scale = 120 / side
        rows, columns = (small == 1).nonzero()
        centre = (rows.mean() + 0.5) * scale - 0.5, (columns.mean() + 0.5) * scale - 0.5
        assert np.hypot(centre[0] - 53.3, centre[1] - 61.8) < 0.5
        assert small.sum() * scale**2 == pytest.approx(mask.sum(), rel=0.02)


def test_larger_masks_hold_the_same_ids() -> None:
    mask = np.random.default_rng(0).integers(0, 256, (9, 7)).astype(np.uint8)
    large = resize_ids(mask, 27, 21)
    assert (large == mask.repeat(3, 0).repeat(3, 1)).all()
