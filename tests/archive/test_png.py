"""PNG files of archives: what goes in comes out, in few bytes, and all else is refused by name."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synthograph.archive import png
from synthograph.archive.png import MAGIC, decode_png, encode_png
from synthograph.core.errors import UserError


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width: int, height: int, bits: int, kind: int, raw: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    return MAGIC + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def saved(image: Image.Image, **kwargs: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format="PNG", **kwargs)
    return file.getvalue()


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (1, np.uint16)])
def test_round_trip_is_lossless(channels: int, dtype: type) -> None:
    top = np.iinfo(dtype).max
    pixels = np.random.default_rng(0).integers(0, top, (9, 5, channels), dtype, endpoint=True)
    pixels[0, 0], pixels[0, 1] = 0, top
    read = decode_png(encode_png(pixels), "x")
    assert read.dtype == dtype and np.array_equal(read, pixels)
    assert encode_png(read) == encode_png(pixels)


def test_an_image_of_width_three_is_not_taken_for_rgb() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(4, 3, 1)
    assert np.array_equal(decode_png(encode_png(pixels), "x"), pixels)


def drawn(content: str, shape: tuple[int, int, int], dtype: type) -> np.ndarray:
    """Pixels over the whole range of a type, by a name for what is in them."""
    height, width, channels = shape
    top = np.iinfo(dtype).max
    rng = np.random.default_rng(height * 1000 + width)
    if content == "noise":
        return rng.integers(0, top, shape, dtype, endpoint=True)
    if content == "extremes":
        return rng.choice(np.array([0, 1, top - 1, top], dtype), shape)
    if content == "flat":
        return np.full(shape, top // 3, dtype)
    y, x, c = np.mgrid[:height, :width, :channels]
    if content == "ids":
        return ((x // 5 + y // 7) % 3).astype(dtype)
    if content == "mask":
        return ((x - width / 2) ** 2 + (y - height / 2) ** 2 < height * width / 9).astype(dtype)
    if content == "ramp":
        return ((x * 3 + y * 5 + c * 7) * (top // 255) % (top + 1)).astype(dtype)
    waves = np.sin(x / 9 + c) + np.cos(y / 13 - x / 31) + rng.normal(size=shape) * 0.05
    return ((waves + 3) / 6 * top).astype(dtype)


CONTENTS = ["noise", "extremes", "flat", "ids", "mask", "ramp", "photo"]
KINDS = [(1, np.uint8), (3, np.uint8), (1, np.uint16)]


@given(st.sampled_from(CONTENTS), st.integers(1, 70), st.integers(1, 70), st.sampled_from(KINDS))
@settings(max_examples=200, deadline=None)
def test_both_decoders_read_what_was_written(
    content: str, height: int, width: int, kind: tuple[int, type]
) -> None:
    pixels = drawn(content, (height, width, kind[0]), kind[1])
    before = pixels.copy()
    data = encode_png(pixels)
    assert np.array_equal(pixels, before)
    read = decode_png(data, "x")
    assert read.dtype == pixels.dtype and np.array_equal(read, pixels)
    squeezed = pixels[:, :, 0] if kind[0] == 1 else pixels
    with (
        Image.open(io.BytesIO(data)) as image,
        Image.open(io.BytesIO(saved(Image.fromarray(squeezed)))) as other,
    ):
        assert (image.mode, image.size, image.info) == (other.mode, other.size, other.info)
        assert np.array_equal(np.asarray(image), np.asarray(other))


@pytest.mark.parametrize(("channels", "dtype"), KINDS)
def test_rows_that_are_filtered_block_by_block(
    channels: int, dtype: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = drawn("photo", (37, 20, channels), dtype)
    whole = encode_png(pixels)
    for size in (1, 20 * pixels.itemsize * channels * 5, 1 << 30):
        monkeypatch.setattr(png, "FILTERED_AT_ONCE", size)
        assert encode_png(pixels) == whole


@pytest.mark.parametrize(("channels", "dtype"), KINDS)
def test_bytes_depend_on_the_values_alone(channels: int, dtype: type) -> None:
    large = drawn("photo", (40, 60, channels), dtype)
    part = large[5:37:2, 50:3:-3]
    same = np.asfortranarray(part.copy())
    assert encode_png(part) == encode_png(part.copy()) == encode_png(same)
    swapped = part.astype(part.dtype.newbyteorder(">"))
    assert encode_png(swapped) == encode_png(part)


@pytest.mark.parametrize("side", [32, 64, 256])
@pytest.mark.parametrize(("channels", "dtype"), KINDS)
@pytest.mark.parametrize("content", [c for c in CONTENTS if c != "extremes"])
def test_files_are_not_larger_than_those_of_pillow(
    content: str, channels: int, dtype: type, side: int
) -> None:
    # random picks of four values, "extremes", grow by an eighth; they are no image of anything
    pixels = drawn(content, (side, side, channels), dtype)
    squeezed = pixels[:, :, 0] if channels == 1 else pixels
    theirs = len(saved(Image.fromarray(squeezed), compress_level=1))
    assert len(encode_png(pixels)) <= 1.1 * theirs + 32


def test_masks_are_smaller_than_those_of_pillow() -> None:
    mask = drawn("mask", (128, 128, 1), np.uint8)
    theirs = len(saved(Image.fromarray(mask[:, :, 0]), compress_level=1))
    assert len(encode_png(mask)) < 0.8 * theirs


def test_patterns_are_searched_for_longer_matches(monkeypatch: pytest.MonkeyPatch) -> None:
    squares = ((np.indices((256, 256)) // 8).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, None]
    found = encode_png(squares)
    monkeypatch.setattr(png, "PATTERNED", 1 << 30)
    assert 2 * len(found) < len(encode_png(squares))
    assert np.array_equal(decode_png(found, "x"), squares)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((8, 8, 2), np.uint8),
        ((8, 8, 3), np.uint16),
        ((8, 8, 1), np.int8),
        ((8, 8, 1), np.float16),
        ((8, 8, 1), bool),
        ((8, 0, 1), np.uint8),
    ],
)
def test_other_pixels_are_never_cast(shape: tuple[int, int, int], dtype: type) -> None:
    with pytest.raises(AssertionError, match="holds no PNG of"):
        encode_png(np.zeros(shape, dtype))


GREY = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
GOOD = saved(GREY)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a PNG"),
        (b"\xff\xd8\xff\xe0 jpeg", "is not a PNG"),
        (MAGIC, "no header"),
        (GOOD[:30], "no header"),
        (GOOD[:50], "cut short"),
        (GOOD[:-12], "cut short"),
        (GOOD[:60] + bytes([GOOD[60] ^ 1]) + GOOD[61:], "wrong checksum"),
        (saved(GREY.convert("P")), "8 bits and colour type 3"),
        (saved(GREY.convert("RGBA")), "8 bits and colour type 6"),
        (saved(GREY.convert("LA")), "8 bits and colour type 4"),
        (saved(GREY.convert("1")), "1 bits and colour type 0"),
        (raw_png(2, 1, 4, 0, b"\0\x12"), "4 bits and colour type 0"),
        (raw_png(1, 1, 16, 2, b"\0" + b"\x01\x02" * 3), "16 bits and colour type 2"),
        (
            raw_png(100_000, 100_000, 8, 0, b"\0"),
            "100000x100000 is more than 200 megapixels, the limit",
        ),
        (raw_png(2**31 - 1, 2**31 - 1, 8, 0, b"\0"), "the limit"),
        (raw_png(12_000, 12_000, 8, 2, b"\0"), "too few bytes for 12000x12000 pixels"),
        (raw_png(8, 8, 8, 0, b"\0" * 20), "broken PNG"),
        (raw_png(8, 8, 16, 0, (b"\0" + b"\x12\x34" * 8) * 4), "cut short: 68 of 136 bytes"),
        (raw_png(0, 8, 8, 0, b""), "broken PNG"),
        (MAGIC + GOOD[8:33] + chunk(b"IEND", b""), "broken PNG"),
    ],
)
def test_refusals(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        decode_png(data, "set.zip: a.png")
    assert str(caught.value).startswith("set.zip: a.png")


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255), st.booleans())
@settings(max_examples=100, deadline=None)
def test_damage_is_never_taken_for_an_image(place: int, flip: int, cut: bool) -> None:
    data = GOOD[:place] if cut else GOOD[:place] + bytes([GOOD[place] ^ flip]) + GOOD[place + 1 :]
    with pytest.raises(UserError):
        decode_png(data, "x")


@given(st.binary(max_size=100), st.integers(0, 40), st.integers(0, 40))
@settings(max_examples=150, deadline=None)
def test_any_chunks_are_an_image_or_a_user_error(raw: bytes, width: int, height: int) -> None:
    for data in (MAGIC + raw, raw_png(width, height, 8, 0, raw), MAGIC + GOOD[8:33] + raw):
        try:
            assert decode_png(data, "x").ndim == 3
        except UserError:
            pass
