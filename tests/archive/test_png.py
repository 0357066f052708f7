"""PNG files of archives: what goes in comes out, and all else is refused by name."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synthograph.archive.png import MAGIC, decode_png, encode_png
from synthograph.core.errors import UserError


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, bits: int, kind: int, raw: bytes) -> bytes:
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
        (png(2, 1, 4, 0, b"\0\x12"), "4 bits and colour type 0"),
        (png(1, 1, 16, 2, b"\0" + b"\x01\x02" * 3), "16 bits and colour type 2"),
        (
            png(100_000, 100_000, 8, 0, b"\0"),
            "100000x100000 is more than 200 megapixels, the limit",
        ),
        (png(2**31 - 1, 2**31 - 1, 8, 0, b"\0"), "the limit"),
        (png(12_000, 12_000, 8, 2, b"\0"), "too few bytes for 12000x12000 pixels"),
        (png(8, 8, 8, 0, b"\0" * 20), "broken PNG"),
        (png(0, 8, 8, 0, b""), "broken PNG"),
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
    for data in (MAGIC + raw, png(width, height, 8, 0, raw), MAGIC + GOOD[8:33] + raw):
        try:
            assert decode_png(data, "x").ndim == 3
        except UserError:
            pass
