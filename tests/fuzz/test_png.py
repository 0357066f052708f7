"""Whatever stands in the PNGs of a zip: pixels as the archive says, or a refusal."""

import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthograph.archive.png import decode_png, encode_png
from synthograph.archive.reader import open_archive
from tests.conftest import make_archive
from tests.fuzz.damage import answers, damaged, fuzz

NOISE = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
SAMPLES = (
    encode_png(NOISE),
    encode_png(NOISE[:, :, :1]),
    encode_png(NOISE[:, :, :1].astype(np.uint16) * 257),
)
LIMIT = 32 << 20


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def mended(data: bytes) -> bytes:
    """The same chunks with right checksums, so that damage reaches the decoder."""
    result, place = data[:8], 8
    while place + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        length = min(length, len(data) - place - 12)
        result += chunk(kind, data[place + 8 : place + 8 + length])
        place += 12 + length
    return result


def decode(data: bytes) -> None:
    pixels = answers(lambda: decode_png(data, "x.png"), LIMIT)
    if pixels is not None:
        assert isinstance(pixels, np.ndarray)
        assert pixels.dtype in (np.uint8, np.uint16)
        assert pixels.shape[2] in (1, 3)


@fuzz(300)
@given(st.sampled_from([b"", SAMPLES[0][:8], SAMPLES[0][:33]]), st.binary(max_size=100))
def test_arbitrary_bytes(start: bytes, data: bytes) -> None:
    decode(start + data)


@fuzz(400)
@given(damaged(SAMPLES, (b"IHDR", b"IDAT", b"IEND", b"tRNS", b"PLTE", b"\0\0\0\0")), st.booleans())
def test_damaged_images(data: bytes, mend: bool) -> None:
    decode(mended(data) if mend else data)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("fuzz") / "set.zip", count=2, size=(8, 8))


@fuzz(150)
@given(st.data())
def test_damaged_zips(archive: Path, data: st.DataObject) -> None:
    path = archive.with_name("damaged.zip")
    path.unlink(missing_ok=True)
    path.write_bytes(data.draw(damaged((archive.read_bytes(),), (b"PK\1\2", b"PK\3\4", b"PK\5\6"))))

    def read() -> None:
        found = open_archive(path)
        for row in found.rows:
            found.read(row)
            found.read_mask(row)

    answers(read, LIMIT)


def test_a_large_image_in_an_archive_of_small_ones(archive: Path, tmp_path: Path) -> None:
    side = 8000
    packed = zlib.compress(bytes((side + 1) * side), 9)
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = SAMPLES[0][:8] + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            new.writestr(name, bomb if name.endswith("00.png") else old.read(name))
    assert len(bomb) < 1 << 17
    found = open_archive(path)
    answers(lambda: found.read(found.rows[0]), LIMIT)
