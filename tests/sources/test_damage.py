"""Damaged files are refused, sound ones with odd metadata are read."""

import contextlib
import io
import struct
import zlib
from itertools import product

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, PngImagePlugin

from synthograph.archive.png import decode_png, encode_png
from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError, array_of
from synthograph.sources.raster import read_image, read_mask
from tests.sources.test_raster import COLOUR, GREY, encode, png, tiff

EOI = b"\xff\xd9"
IMAGE_DEPTH = 32997


def photo(height: int = 97, width: int = 131, mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 60 * np.sin(x / 9 + k) + 50 * np.cos(y / 13 * (k + 1)) for k in range(3)]
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)).convert(
        mode
    )


def scan_of(data: bytes) -> tuple[int, int]:
    return data.index(b"\xff\xda") + 14, len(data) - 2


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_sound_jpegs_are_read(mode: str, progressive: bool) -> None:
    images = [photo(mode=mode), Image.new(mode, (96, 64)), photo(8, 8, mode)]
    images.append(Image.new("RGB", (96, 64), (128, 128, 128)).convert(mode))
    for image, quality, optimize, rows in product(images, (5, 75, 100), (False, True), (0, 1)):
        options = {"quality": quality, "optimize": optimize, "restart_marker_rows": rows}
        data = encode(image, "JPEG", progressive=progressive, **options)
        for tail in (b"", bytes(100), b"\xff\xd8\xffmore"):
            read_image(data + tail)
        _, notes = read_image(data[:-2])
        assert "end of the JPEG is not marked" in notes


def test_a_jpeg_with_much_filling_is_read_in_no_time() -> None:
    data = encode(photo(), "JPEG", restart_marker_rows=1)
    filled = data[:-2] + b"\xff" * 300_000 + b"\0" + EOI
    with contextlib.suppress(UnreadableError):  # damaged or not, it does not take minutes
        read_image(filled)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("rows", [0, 1])
def test_jpegs_whose_scan_is_cut_or_zeroed(progressive: bool, share: float, rows: int) -> None:
    for mode in ("RGB", "L"):
        data = encode(
            photo(mode=mode),
            "JPEG",
            quality=75,
            progressive=progressive,
            restart_marker_rows=rows,
        )
        start, end = scan_of(data)
        cut = int(start + (end - start) * share)
        for damaged in (
            data[:cut],
            data[:cut] + EOI,
            data[:cut] + bytes(end - cut) + EOI,
            data[:cut] + bytes(len(data) - cut),
            data[:cut] + b"\xff" * (end - cut) + EOI,
        ):
            with pytest.raises(UnreadableError, match="JPEG is"):
                read_image(damaged)


def test_padding_in_a_jpeg_scan_is_none_of_the_picture() -> None:
    data = encode(photo(), "JPEG", quality=75)
    for padding in (bytes(500), b"\xff" * 500):
        pixels, _ = read_image(data[:-2] + padding + EOI)
        assert np.array_equal(array_of(pixels), array_of(read_image(data)[0]))


LEFT_OVER = "a few bytes of the JPEG are left over, which may be damage"


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("restarts", [{}, {"restart_marker_rows": 1}, {"restart_marker_blocks": 7}])
def test_jpegs_with_bytes_of_their_scan_changed(mode: str, restarts: dict[str, int]) -> None:
    """Eight in ten end elsewhere than their picture; a change that keeps the number of blocks shows
    in no way but its pixels.
    """
    data = encode(photo(mode=mode), "JPEG", quality=75, **restarts)
    start, end = scan_of(data)
    rng, found = np.random.default_rng(0), 0
    for _ in range(40):
        changed = bytearray(data)
        for place in rng.integers(start, end, 16):
            changed[place] = rng.integers(255)
        try:
            found += LEFT_OVER in read_image(bytes(changed))[1]
        except UnreadableError:
            found += 1
    assert found >= 30


def test_bytes_behind_the_picture_in_a_jpeg_scan() -> None:
    data = encode(photo(), "JPEG", quality=75)
    wanted = array_of(read_image(data)[0])
    pixels, notes = read_image(data[:-2] + b"\x12\x34\x56\x78" * 3 + EOI)
    assert np.array_equal(array_of(pixels), wanted) and notes == (LEFT_OVER,)
    with pytest.raises(UnreadableError, match="its picture ends before its scan does"):
        read_image(data[:-2] + b"\x12\x34\x56\x78" * 25 + EOI)
    start, end = scan_of(data)
    half = (start + end) // 2
    for changed in (data[half:end] + data[start:half], data[start:half] + data[half + 200 : end]):
        with pytest.raises(UnreadableError, match="JPEG is"):
            read_image(data[:start] + changed + EOI)
    more = encode(photo(40, 30), "JPEG")  # a further picture is none of the scan
    assert np.array_equal(array_of(read_image(data + more)[0]), wanted)


def test_png_with_missing_rows() -> None:
    rows = [b"\0" + bytes(range(i, i + 8)) for i in range(6)]
    whole = png(8, 0, b"".join(rows), (8, 6))
    assert array_of(read_image(whole)[0])[5, 7, 0] == 12
    for count in (0, 3, 5):
        data = png(8, 0, b"".join(rows[:count]), (8, 6))
        with pytest.raises(UnreadableError, match="PNG is damaged"):
            read_image(data)
        with pytest.raises(UserError, match="x: is a broken PNG"):
            decode_png(data, "x")
    for kind, length in ((2, 24), (4, 16), (6, 32), (3, 8)):
        chunks = {"PLTE": bytes(768)} if kind == 3 else {}
        data = png(8, kind, (b"\0" + b"\7" * length) * 5, (8, 6), **chunks)
        with pytest.raises(UnreadableError, match="cut short"):
            read_image(data)


def test_png_whose_last_row_looks_like_a_missing_one() -> None:
    pixels = np.full((6, 8, 1), 165, np.uint8)
    assert np.array_equal(array_of(read_image(encode_png(pixels))[0]), pixels)


def test_interlaced_png_with_missing_rows() -> None:
    header = struct.pack(">2I5B", 4, 4, 8, 0, 0, 0, 1)
    passes = b"\0\1" + b"\0\2" + b"\0\2\3" + (b"\0\4\5") * 2 + (b"\0\6\7\x08\x09") * 2
    for data, sound in ((passes, True), (passes[:-5], False)):
        chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(data)), (b"IEND", b""))
        parts = [
            struct.pack(">I", len(v)) + k + v + struct.pack(">I", zlib.crc32(k + v))
            for k, v in chunks
        ]
        file = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
        if sound:
            assert array_of(read_image(file)[0])[3, 3, 0] == 9
        else:
            with pytest.raises(UnreadableError, match="cut short"):
                read_image(file)


def chunk(kind: bytes, data: bytes, *, crc: int | None = None) -> bytes:
    stated = zlib.crc32(kind + data) if crc is None else crc
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", stated)


@pytest.mark.parametrize(
    "broken",
    [
        chunk(b"eXIf", b"garbage!"),
        chunk(b"tEXt", b"a\0b", crc=1),
        chunk(b"iCCP", b"name\0\0garbage"),
        chunk(b"zTXt", b"a\0\0" + zlib.compress(b"x" * (PngImagePlugin.MAX_TEXT_CHUNK + 1))),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + b"garbage"),
        chunk(b"pHYs", b"1"),
    ],
    ids=["exif", "checksum", "profile", "huge", "xmp", "short"],
)
def test_png_with_broken_metadata_is_read(broken: bytes) -> None:
    data = encode(COLOUR)
    pixels, notes = read_image(data[:33] + broken + data[33:])
    assert np.array_equal(array_of(pixels), COLOUR)
    assert set(notes) <= {"metadata could not be read and is left out"}


def test_jpeg_with_broken_metadata_is_read() -> None:
    data = encode(photo(), "JPEG")
    turned = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\1\0\0\0\1\1\0\0\0"  # of a wrong type
    others = (b"MPF\0garbage", b"ICC_PROFILE\0\1\1garbage", b"Photoshop 3.0\x008BIM\4")
    for body in (b"Exif\0\0garbage", turned, *others):
        marker = {b"E": 0xE1, b"M": 0xE2, b"I": 0xE2, b"P": 0xED}[body[:1]]
        segment = struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        pixels, _ = read_image(data[:2] + segment + data[2:])
        assert np.array_equal(array_of(pixels), array_of(read_image(data)[0]))


def test_alpha_that_hides_everything_is_dropped() -> None:
    for mode, top in (("RGBA", 0), ("RGBA", 1), ("LA", 0)):
        image = Image.new(mode, (4, 3), (100, top) if mode == "LA" else (100, 50, 20, top))
        for kind in ("PNG", "TIFF"):
            pixels, notes = read_image(encode(image, kind))
            assert array_of(pixels)[0, 0, 0] == 100
            assert notes == ("alpha that hides everything dropped",)


def test_profiles_other_than_srgb_are_noted() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmp0").replace(b"bXYZ", b"rXYZ").replace(b"tmp0", b"bXYZ")
    for kind in ("PNG", "JPEG", "TIFF"):
        assert read_image(encode(COLOUR, kind, icc_profile=srgb))[1] == ()
        for profile, said in ((swapped, "other than sRGB"), (lab, "colour profile")):
            (note,) = read_image(encode(COLOUR, kind, icc_profile=profile))[1]
            assert said in note
    linear = chunk(b"gAMA", struct.pack(">I", 100000))
    data = encode(GREY)
    assert read_image(data[:33] + linear + data[33:])[1] == ("gamma of the file is not applied",)


def ome(size_z: int, files: tuple[str, ...] = ()) -> str:
    planes = "".join(f'<TiffData><UUID FileName="{name}"/></TiffData>' for name in files)
    return (
        f'<OME><Image ID="0"><Pixels DimensionOrder="XYZCT" SizeX="8" SizeY="6" SizeZ="{size_z}" '
        f'SizeC="1" SizeT="1">{planes}</Pixels></Image></OME>'
    )


@pytest.mark.parametrize(
    ("text", "tags", "pages"),
    [
        ("ImageJ=1.53t\nimages=5\nslices=5\nunit=mm\n", (), 5),
        ("ImageJ=1.53t\nslices=2\nframes=3\n", (), 6),
        ('{"shape": [5, 6, 8]}', (), 5),
        (ome(5), (), 5),
        ("", ((IMAGE_DEPTH - 1, 4, 1, 5, True),), 5),
        ("ImageJ=1.53t\nmin=0.0\nmax=255.0\n", (), 1),
        ('{"shape": [6, 8]}', (), 1),
        ('{"shape": "x"}', (), 1),
        (ome(1), (), 1),
        (ome(5, ("a.tif", "b.tif")), (), 1),
    ],
)
def test_stacks_that_are_listed_as_one_image(
    text: str, tags: tuple[tuple[int, int, int, int, bool], ...], pages: int
) -> None:
    data = tiff(GREY, description=text, extratags=tags, metadata=None)
    # tifffile does not write that tag on request
    data = data.replace(struct.pack("<HH", IMAGE_DEPTH - 1, 4), struct.pack("<HH", IMAGE_DEPTH, 4))
    if pages == 1:
        assert np.array_equal(array_of(read_image(data)[0])[:, :, 0], GREY)
    else:
        with pytest.raises(UnreadableError, match=f"holds {pages} pages"):
            read_image(data)


def test_stacks_of_imagej_and_tifffile() -> None:
    for options in ({"imagej": True}, {}, {"volumetric": True, "tile": (16, 16)}):
        file = io.BytesIO()
        tifffile.imwrite(file, np.zeros((5, 32, 32), np.uint8), **options)  # type: ignore[arg-type]
        with pytest.raises(UnreadableError, match="5 pages|neither grey nor RGB"):
            read_image(file.getvalue())


@pytest.mark.parametrize("kind", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, bool])
def test_masks_in_tiff_keep_their_ids(kind: str, dtype: type) -> None:
    ids = (GREY % 2 if dtype is bool else GREY % 5).astype(dtype)
    assert np.array_equal(read_mask(tiff(ids, photometric=kind)), ids)


def test_masks_of_grey_in_rgb_and_palettes_in_tiff() -> None:
    ids = GREY % 3
    assert np.array_equal(read_mask(encode(Image.fromarray(ids).convert("RGB"))), ids)
    palette = Image.fromarray(ids, "P")
    palette.putpalette([255, 255, 255, 200, 0, 0, 0, 0, 255])
    assert np.array_equal(read_mask(encode(palette, "TIFF")), ids)
    assert np.array_equal(read_mask(encode(palette, "BMP")), ids)


def tags_of(*tags: tuple[int, int, int]) -> bytes:
    """A TIFF of one value per tag, and nothing behind them."""
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4)


def test_a_tiff_without_its_pixels_is_refused() -> None:
    side = ((256, 4, 9000), (257, 4, 9000))
    strip = ((273, 4, 0), (277, 3, 1), (278, 4, 9000), (279, 4, 0))
    for bits, kind in ((64, 3), (16, 1), (8, 1)):
        about = ((258, 3, bits), (259, 3, 8 if bits == 64 else 1), (262, 3, 1))
        with pytest.raises(UnreadableError, match="leaves out parts of its image"):
            read_image(tags_of(*side, *about, *strip, (339, 3, kind)))


def test_a_tiff_with_tiles_far_larger_than_its_image_is_refused() -> None:
    huge = tags_of(
        (256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1),
        (322, 4, 32768), (323, 4, 32768), (324, 4, 8), (325, 4, 8),
    )  # fmt: skip
    with pytest.raises(UnreadableError, match="tiles of 32768x32768 for 16x16 pixels"):
        read_image(huge)


def test_a_tiff_that_grows_as_bombs_do_is_refused() -> None:
    file = io.BytesIO()
    values = np.zeros((3000, 3000), np.float64)
    tifffile.imwrite(file, values, compression="zlib", rowsperstrip=3000)
    with pytest.raises(UnreadableError, match="as compression bombs do"):
        read_image(file.getvalue())
