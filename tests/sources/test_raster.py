"""Every rule of decoding, and every refusal."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthograph.core.record import UnreadableError, array_of
from synthograph.sources import colour_modes, raster
from synthograph.sources.raster import read_mask

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
COLOUR = np.stack([GREY, GREY * 2, 255 - GREY], axis=2)
DEEP = (np.arange(48, dtype=np.uint16) * 1300).reshape(6, 8)


def read_image(data: bytes) -> tuple[np.ndarray, tuple[str, ...]]:
    pixels, notes = raster.read_image(data)
    return array_of(pixels), notes


def encode(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)  # type: ignore[arg-type]
    return file.getvalue()


def png(depth: int, colour: int, rows: bytes, size: tuple[int, int], **chunks: bytes) -> bytes:
    """A PNG by hand, for the kinds that Pillow does not write."""
    header = struct.pack(">2I5B", *size, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), *((k.encode(), v) for k, v in chunks.items())]
    parts += [(b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v)) for k, v in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
@pytest.mark.parametrize("pixels", [GREY, COLOUR], ids=["grey", "rgb"])
def test_lossless_kinds_keep_pixels(kind: str, pixels: np.ndarray) -> None:
    decoded, notes = read_image(encode(pixels, kind))
    assert decoded.dtype == np.uint8
    assert decoded.shape == (6, 8, 1 if pixels.ndim == 2 else 3)
    assert np.array_equal(decoded.squeeze(), pixels)
    assert notes == ()


def test_pillow_keeps_what_it_cuts_without_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(raster.read_image(encode(COLOUR))[0], Image.Image)
    assert colour_modes._CUT_SILENTLY < (Image.MAX_IMAGE_PIXELS or 0)
    monkeypatch.setattr(colour_modes, "_CUT_SILENTLY", 6 * 8 - 1)
    assert isinstance(raster.read_image(encode(COLOUR))[0], np.ndarray)


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_keeps_channels(mode: str) -> None:
    decoded, notes = read_image(encode(Image.new(mode, (16, 8)), "JPEG"))
    assert decoded.shape == (8, 16, 1 if mode == "L" else 3)
    assert notes == ()


RICH = np.random.default_rng(1).integers(0, 1 << 16, (6, 8, 4)).astype(np.uint16)
"""Colours of 16 bits with alpha."""


def rows(pixels: np.ndarray) -> bytes:
    """The rows of a 16-bit PNG as they are packed, without a filter."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)


@pytest.mark.parametrize(
    "data",
    [
        png(16, 2, rows(RICH[:, :, :3]), (8, 6)),
        tiff(RICH[:, :, :3], photometric="rgb"),
        tiff(RICH[:, :, :3], photometric="rgb", byteorder=">"),
        tiff(RICH[:, :, :3], photometric="rgb", compression="zlib", predictor=True),
        tiff(RICH[:, :, :3], photometric="rgb", tile=(16, 16)),
        tiff(RICH[:, :, :3].transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
    ],
)
def test_16_bit_colours_keep_all_their_bits(data: bytes) -> None:
    pixels, notes = raster.read_values(data)
    assert array_of(pixels).dtype == np.uint16
    assert np.array_equal(array_of(pixels), RICH[:, :, :3]) and notes == ()
    with pytest.raises(UnreadableError, match="--channels red,green,blue keeps"):
        read_image(data)


def test_16_bit_alpha_is_dropped_or_put_on_black() -> None:
    opaque = RICH.copy()
    opaque[:, :, 3] = 65535
    pixels, notes = raster.read_values(png(16, 6, rows(opaque), (8, 6)))
    assert np.array_equal(array_of(pixels), RICH[:, :, :3]) and notes == ("opaque alpha dropped",)
    grey, notes = raster.read_values(png(16, 4, rows(RICH[:, :, 2:]), (8, 6)))
    expected = RICH[:, :, 2].astype(float) * RICH[:, :, 3] / 65535
    assert np.abs(array_of(grey)[:, :, 0] - expected).max() <= 0.5
    assert notes == ("transparent pixels put on black",)
    key = struct.pack(">3H", *(int(v) for v in RICH[0, 0, :3]))
    keyed, _ = raster.read_values(png(16, 2, rows(RICH[:, :, :3]), (8, 6), tRNS=key))
    assert not array_of(keyed)[0, 0].any() and array_of(keyed)[0, 1].any()


def test_colours_of_fractions_keep_their_values() -> None:
    values = (RICH[:, :, :3] / 65536).astype(np.float32)
    pixels, _ = raster.read_values(tiff(values, photometric="rgb"))
    assert np.array_equal(array_of(pixels), values)
    with pytest.raises(UnreadableError, match="floating-point"):
        read_image(tiff(values, photometric="rgb"))


def test_webp_gif_and_jpeg_2000_are_read() -> None:
    lossless: dict[str, dict[str, object]] = {"WEBP": {"lossless": True}, "JPEG2000": {}}
    for kind, options in lossless.items():
        decoded, _ = read_image(encode(COLOUR, kind, **options))
        assert np.array_equal(decoded, COLOUR)
    grey, notes = read_image(encode(GREY, "GIF"))
    assert np.array_equal(grey[:, :, 0], GREY) and notes == ("grey palette expanded to grey",)
    few = Image.fromarray(COLOUR).quantize(8)
    decoded, notes = read_image(encode(few, "GIF"))
    assert np.array_equal(decoded, np.asarray(few.convert("RGB")))
    assert notes == ("palette expanded to RGB",)
    deep, notes = read_image(encode(DEEP, "JPEG2000"))
    assert deep.dtype == np.uint16 and np.array_equal(deep[:, :, 0], DEEP) and not notes
    grey, notes = read_image(encode(GREY, "JPEG2000", no_jp2=True))
    assert np.array_equal(grey[:, :, 0], GREY)


@pytest.mark.parametrize(("depth", "reason"), [(0x8F, "signed"), (0x03, "4 bits")])
def test_jpeg_2000_that_pillow_would_change_is_refused(depth: int, reason: str) -> None:
    data = bytearray(encode(GREY, "JPEG2000", no_jp2=True))
    data[42] = depth
    with pytest.raises(UnreadableError, match=reason):
        read_image(bytes(data))


PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2))
COLOURS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Colour type of a PNG -> samples of a pixel."""
KINDS = [(d, c) for c in (0, 2, 3, 4, 6) for d in (1, 2, 4, 8, 16)]
KINDS = [(d, c) for d, c in KINDS if d >= 8 or c in (0, 3)]
KINDS = [(d, c) for d, c in KINDS if (d, c) != (16, 3)]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(("depth", "colour"), KINDS)
def test_every_kind_of_png(depth: int, colour: int, interlaced: bool) -> None:
    """The pixels are made here sample by sample, so the expectation needs no decoder."""
    samples = RICH.repeat(2, axis=0)[:, :, : COLOURS[colour]] & ((1 << depth) - 1)
    if COLOURS[colour] in (2, 4):
        samples[:, :, -1] = (1 << depth) - 1

    def packed(part: np.ndarray) -> bytes:
        bits = (part[..., None] >> np.arange(depth)[::-1]) & 1
        lines = np.packbits(bits.reshape(len(part), -1).astype(np.uint8), axis=1)
        return b"".join(b"\0" + line.tobytes() for line in lines)

    parts = [samples[y::v, x::h] for x, y, h, v in (*PASSES, (0, 1, 1, 2))]
    data = b"".join(packed(p) for p in parts if p.size) if interlaced else packed(samples)
    ramp = bytes(range(256)) * 3
    chunks = {"PLTE": ramp[: 3 << depth]} if colour == 3 else {}
    file = bytearray(png(depth, colour, data, (8, 12), **chunks))
    file[28] = interlaced
    file[29:33] = struct.pack(">I", zlib.crc32(bytes(file[12:29])))
    pixels, _ = raster.read_values(bytes(file))
    expected = samples[:, :, : 1 if COLOURS[colour] < 3 else 3]
    if colour == 3:
        expected = np.frombuffer(ramp, np.uint8)[3 * samples + np.arange(3)]
    elif depth < 8:
        expected = expected * (255 // ((1 << depth) - 1))
    assert array_of(pixels).dtype == (np.uint16 if depth == 16 else np.uint8)
    assert np.array_equal(array_of(pixels), expected)


@pytest.mark.parametrize(
    "data",
    [
        encode(DEEP),
        encode(DEEP, "TIFF"),
        encode(DEEP, "TIFF", compression="tiff_lzw"),
        encode(DEEP, "TIFF", compression="tiff_deflate"),
        tiff(DEEP, byteorder=">"),
        tiff(DEEP, byteorder=">", compression="zlib", predictor=True),
        tiff(DEEP, byteorder="<", compression="zlib", predictor=True),
        tiff(DEEP, tile=(16, 16)),
        tiff(DEEP, bigtiff=True),
        tiff(DEEP.astype(np.uint32), byteorder=">"),
        tiff(DEEP.astype(np.int32)),
        encode(Image.fromarray(DEEP.astype(np.int32)), "TIFF"),
    ],
)
def test_16_bit_grey_stays(data: bytes) -> None:
    decoded, notes = read_image(data)
    assert decoded.dtype == np.uint16
    assert np.array_equal(decoded[:, :, 0], DEEP)
    assert notes == ()


@pytest.mark.parametrize("order", ["<", ">"])
def test_white_is_zero_16_bit_is_inverted_and_noted(order: str) -> None:
    data = tiff(DEEP, photometric="miniswhite", byteorder=order)
    decoded, notes = read_image(data)
    assert np.array_equal(decoded[:, :, 0], 65535 - DEEP)
    assert notes == ("white-is-zero grey inverted",)


@pytest.mark.parametrize("pixels", [DEEP / np.float32(65535), DEEP.astype(np.uint32) * 9])
def test_white_is_zero_of_values_without_a_largest_one_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(UnreadableError, match="0 is white .* save it with 0 as black") as refused:
        raster.read_values(tiff(pixels, photometric="miniswhite"))
    assert "--window" not in str(refused.value), "no window helps"


@pytest.mark.parametrize("low", [-5, 70_000])
def test_integers_outside_16_bits_are_refused(low: int) -> None:
    with pytest.raises(UnreadableError, match="16 bits hold"):
        read_image(tiff(np.full((4, 4), low, np.int32)))


def test_palette_becomes_rgb() -> None:
    decoded, notes = read_image(encode(Image.fromarray(COLOUR).quantize(16)))
    assert decoded.shape == (6, 8, 3)
    assert notes == ("palette expanded to RGB",)


def test_grey_palette_becomes_grey() -> None:
    image = Image.fromarray(GREY % 4, "P")
    image.putpalette([v for i in range(4) for v in (80 * i,) * 3])
    decoded, notes = read_image(encode(image))
    assert np.array_equal(decoded[:, :, 0], GREY % 4 * 80)
    assert notes == ("grey palette expanded to grey",)


def test_transparent_palette_entry_goes_on_black() -> None:
    image = Image.fromarray(GREY % 2, "P")
    image.putpalette([200, 10, 10, 10, 200, 10])
    decoded, notes = read_image(encode(image, transparency=0))
    assert decoded[0, 0].tolist() == [0, 0, 0]
    assert decoded[0, 1].tolist() == [10, 200, 10]
    assert notes == ("palette expanded to RGB", "transparent pixels put on black")


@pytest.mark.parametrize(("alpha", "note"), [(255, "opaque alpha dropped"), (128, "black")])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha(mode: str, alpha: int, note: str) -> None:
    image = Image.new(mode, (4, 3), (100, alpha) if mode == "LA" else (100, 50, 0, alpha))
    decoded, notes = read_image(encode(image))
    assert decoded.shape == (3, 4, 1 if mode == "LA" else 3)
    assert decoded[0, 0, 0] == (100 if alpha == 255 else 50)
    assert len(notes) == 1
    assert note in notes[0]


def test_declared_transparent_grey_goes_on_black() -> None:
    for data in (encode(GREY, transparency=7), encode(DEEP, transparency=int(DEEP[0, 7]))):
        decoded, notes = read_image(data)
        assert decoded[0, 7] == 0
        assert decoded[0, 6] != 0
        assert notes == ("transparent pixels put on black",)


def test_declared_transparent_4_bit_grey_goes_on_black() -> None:
    data = png(4, 0, b"\0\x37" * 2, (2, 2), tRNS=b"\0\7")
    decoded, notes = read_image(data)
    assert decoded[:, :, 0].tolist() == [[3 * 17, 0]] * 2
    assert notes == ("4-bit expanded to 8-bit grey", "transparent pixels put on black")


def test_1_bit_becomes_grey() -> None:
    decoded, notes = read_image(encode(Image.fromarray(GREY % 2 * 255).convert("1")))
    assert np.array_equal(decoded[:, :, 0], GREY % 2 * 255)
    assert notes == ("1-bit expanded to 8-bit grey",)


def test_cmyk_becomes_rgb() -> None:
    decoded, notes = read_image(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert decoded.shape == (8, 8, 3)
    assert decoded[0, 0, 0] > 200
    assert notes == ("CMYK converted to RGB",)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF"])
def test_orientation_is_applied(kind: str) -> None:
    image = Image.new("L", (8, 4))
    image.paste(255, (0, 0, 8, 2))
    exif = image.getexif()
    exif[0x0112] = 6
    decoded, notes = read_image(encode(image, kind, exif=exif))
    assert decoded.shape == (8, 4, 1)
    assert decoded[4, 3, 0] > 200
    assert decoded[4, 0, 0] < 50
    assert notes == ("EXIF orientation applied",)


def test_multi_picture_jpeg_gives_the_first_and_says_so() -> None:
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8))
    data = encode(first, "MPO", save_all=True, append_images=[second])
    decoded, notes = read_image(data)
    assert decoded[0, 0, 0] > 200
    assert notes == ("first picture of a multi-picture JPEG taken",)


def one_value_for_all(data: bytes) -> bytes:
    """A TIFF of three channels whose bits are given once, as some writers do."""
    place = data.index(struct.pack("<HHI", 258, 3, 3))
    return data[:place] + struct.pack("<HHIHH", 258, 3, 1, 16, 0) + data[place + 12 :]


def bmp(
    bits: int, colours: bytes, row: bytes, size: tuple[int, int], *, old: bool = False
) -> bytes:
    """A BMP of one row by hand, with the header of OS/2 if `old`."""
    if old:
        header = struct.pack("<I4H", 12, *size, 1, bits)
    else:
        header = struct.pack("<I2i2H6I", 40, *size, 1, bits, 0, 0, 0, 0, len(colours) // 4, 0)
    start = 14 + len(header) + len(colours)
    body = header + colours + row
    return struct.pack("<2sI2HI", b"BM", 14 + len(body), 0, 0, start) + body


BLACK_WHITE = bytes((0, 0, 0, 0, 255, 255, 255, 0))
RAMP = b"".join(bytes((i, i, i)) for i in range(16))


def test_1_bit_bmp_is_read() -> None:
    decoded, _ = read_image(bmp(1, BLACK_WHITE, b"\x50\0\0\0", (4, 1)))
    assert decoded[0, :, 0].tolist() == [0, 255, 0, 255]


def test_turned_16_bit_tiff_is_turned_or_refused() -> None:
    turned = {"extratags": [(274, 3, 1, 3, True)]}
    decoded, notes = read_image(tiff(DEEP, **turned))
    assert np.array_equal(decoded[:, :, 0], DEEP[::-1, ::-1])
    assert notes == ("EXIF orientation applied",)
    for pixels, kind in ((DEEP.astype(np.uint32), "minisblack"), (DEEP, "miniswhite")):
        data = tiff(pixels, byteorder=">", photometric=kind, **turned)
        with pytest.raises(UnreadableError, match="orientation 3"):
            read_image(data)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (tiff(np.array([[-8, 7]], np.int8)), "signed 8-bit"),
        (tiff(np.array([[-8, 7]], np.int8), byteorder=">"), "signed 8-bit"),
        (
            one_value_for_all(tiff(np.full((4, 4, 3), 1000, np.uint16), photometric="rgb")),
            "16-bit colour",
        ),
        (bmp(8, BLACK_WHITE, b"\0\1\0\1", (4, 1)), "BMP of 8 bits with a grey palette"),
        (bmp(4, RAMP, b"\x01\x23\0\0", (4, 1), old=True), "BMP of 4 bits with a grey palette"),
        (png(16, 2, (b"\0" + b"\1\2" * 6) * 2, (2, 2)), "16-bit colour"),
        (tiff(np.zeros((4, 4, 3), np.uint16), photometric="rgb"), "16-bit colour"),
        (tiff(np.zeros((4, 4), np.float32)), "floating-point"),
        (tiff(np.zeros((4, 4), np.float64)), "floating-point"),
        (tiff(np.full((4, 4), np.nan, np.float32)), "no pixel has a finite value"),
        (tiff(np.array([[1, 2], [np.inf, np.nan]], np.float32)), "--window 1,2"),
        (tiff(np.zeros((3, 4, 4), np.uint8), photometric="minisblack"), "3 pages"),
        (
            tiff(np.zeros((4, 4, 4), np.uint8), photometric="rgb", extrasamples=["unspecified"]),
            "4 channels",
        ),
        (encode(Image.new("LAB", (4, 4)), "TIFF"), "mode LAB"),
        (encode(GREY, save_all=True, append_images=[Image.new("L", (8, 6))]), "2 animation"),
        (encode(GREY, "PPM"), "not a PNG, JPEG, TIFF, BMP, WebP, GIF or JPEG 2000 file"),
        (encode(GREY, "GIF", save_all=True, append_images=[Image.new("L", (8, 6))]), "2 animation"),
        (encode(COLOUR, "WEBP", save_all=True, append_images=[Image.new("RGB", (8, 6))]), "2 anim"),
        (tiff(np.zeros((2, 4, 4), np.float32), photometric="minisblack"), "2 pages; --pages takes"),
        (b"", "empty"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_lose_information_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_image(data)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "JPEG2000"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    data = encode(noise, kind)
    with pytest.raises(UnreadableError):
        read_image(data[: int(len(data) * share)])


def test_flipped_bit_in_stored_png() -> None:
    data = bytearray(encode(COLOUR, compress_level=0))
    data[len(data) // 2] ^= 1
    with pytest.raises(UnreadableError, match="wrong checksum"):
        read_image(bytes(data))


def test_pixel_limit_is_checked_before_decoding(recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(UnreadableError, match="20000x20000 is more than 200 megapixels"):
        read_image(png(8, 0, b"", (20_000, 20_000)))
    with pytest.raises(UnreadableError, match="damaged"):  # below our limit, above Pillow's
        read_image(png(8, 0, b"", (13_000, 13_000)))
    assert not recwarn


def test_tiff_whose_strips_are_not_all_listed() -> None:
    data = bytearray(tiff(DEEP, rowsperstrip=6))
    place = data.index(struct.pack("<HHII", 257, 4, 1, 6))
    data[place + 8] = 60
    with pytest.raises(UnreadableError, match="10 pieces needed, 1 listed"):
        read_image(bytes(data))


def test_pixel_limit_in_tiff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raster, "MAX_PIXELS", 40)
    for order in "<>":
        with pytest.raises(UnreadableError, match="more than"):
            read_image(tiff(DEEP.astype(np.uint32), byteorder=order))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_masks_hold_grey_values(kind: str) -> None:
    assert np.array_equal(read_mask(encode(GREY, kind)), GREY)


def test_masks_hold_palette_indices() -> None:
    image = Image.fromarray(GREY % 3, "P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 0, 255])
    assert np.array_equal(read_mask(encode(image, transparency=0)), GREY % 3)


def test_masks_of_1_2_and_4_bits_hold_small_ids() -> None:
    assert np.array_equal(read_mask(encode(Image.fromarray(GREY % 2 == 1))), GREY % 2)
    assert read_mask(png(2, 0, b"\0\x1b", (4, 1))).tolist() == [[0, 1, 2, 3]]
    assert read_mask(png(4, 0, b"\0\x1b", (2, 1))).tolist() == [[1, 11]]


def test_16_bit_masks_with_small_ids() -> None:
    assert np.array_equal(read_mask(encode(GREY.astype(np.uint16))), GREY)
    assert np.array_equal(read_mask(tiff(GREY.astype(np.uint16), byteorder=">")), GREY)
    with pytest.raises(UnreadableError, match="0 to 255"):
        read_mask(encode(DEEP))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode(COLOUR), "RGB colours"),
        (encode(Image.new("LA", (4, 4))), "LA colours"),
        (encode(GREY, "JPEG"), "blurred"),
        (encode(COLOUR, "WEBP", lossless=True), "mask in WebP has blurred"),
        (tiff(np.zeros((4, 4, 3), np.uint16), photometric="rgb"), "16-bit colours"),
        (tiff(np.zeros((4, 4), np.float32)), "one class id"),
        (b"no mask", "not a PNG"),
    ],
)
def test_masks_that_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadableError, match=reason):
        read_mask(data)
