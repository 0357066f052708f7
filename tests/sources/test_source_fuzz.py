"""Whatever stands in a file, readers end in an answer or in the one error they promise."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import open_container, unwrap
from synthograph.sources.raster import read_image, read_mask
from synthograph.sources.tables import compile_name_regex, parse_columns, read_dataset_json

MAGIC = [
    b"",
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff\xe0",
    b"II*\0\x08\0\0\0",
    b"MM\0*\0\0\0\x08",
    b"BM",
]


def _samples() -> list[bytes]:
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    grey = noise[:, :, 0]
    images = [Image.fromarray(pixels) for pixels in (noise, grey, grey > 99, grey * np.uint16(9))]
    images.append(images[0].quantize(8))
    found = []
    for image in images:
        for kind in ("PNG", "JPEG", "TIFF", "BMP"):
            file = io.BytesIO()
            with contextlib.suppress(OSError):  # not every format holds every mode
                image.save(file, kind)
                found.append(file.getvalue())
    for pixels in (grey.astype(np.uint32), grey * np.uint16(9)):
        file = io.BytesIO()
        tifffile.imwrite(file, pixels, byteorder=">", photometric="miniswhite")
        found.append(file.getvalue())
    return found


SAMPLES = _samples()
READERS = pytest.mark.parametrize("reader", [read_image, read_mask])
SLOW = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])


@READERS
@SLOW
@given(st.sampled_from(MAGIC), st.binary(max_size=200))
def test_arbitrary_bytes(reader: Callable[[bytes], object], magic: bytes, data: bytes) -> None:
    with contextlib.suppress(UnreadableError):
        reader(magic + data)


@READERS
@SLOW
@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_images(
    reader: Callable[[bytes], object], sample: bytes, data: st.DataObject
) -> None:
    damaged = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.one_of(st.none(), st.integers(0, len(damaged))))
    with contextlib.suppress(UnreadableError):
        reader(bytes(damaged[:end]))


@SLOW
@given(st.text(max_size=200))
def test_arbitrary_text_as_dataset_json(text: str) -> None:
    with contextlib.suppress(UserError):
        read_dataset_json(text, "dataset.json")


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a/1.png", "b/2.png", "dataset.json"):
            archive.writestr(name, name * 20)
    return file.getvalue()


ZIP = _zip()


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_damaged_zips(tmp_path: Path, data: st.DataObject) -> None:
    damaged = bytearray(ZIP)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "set.zip"
    path.write_bytes(damaged)
    with contextlib.suppress(UserError):
        container = unwrap(open_container(path, "SOURCE"))
        for name in container.members().names:
            with contextlib.suppress(UnreadableError):
                container.read(name)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)
ENTRIES = st.lists(st.lists(JSON, max_size=5), max_size=4) | JSON


@SLOW
@given(st.fixed_dictionaries({"labels": ENTRIES}, optional={"meta": ENTRIES, "classes": JSON}))
def test_arbitrary_trees_as_dataset_json(tree: dict[str, object]) -> None:
    try:
        read_dataset_json(json.dumps(tree), "dataset.json")
    except UserError as error:
        str(error).encode()  # printable on any terminal


@given(st.text(max_size=50))
def test_arbitrary_options(text: str) -> None:
    with contextlib.suppress(UserError):
        parse_columns(text)
    with contextlib.suppress(UserError):
        compile_name_regex(text)
