"""Whatever is wrong with a file, every reader ends with an image or with the one reason why not:
no other error, no endless list of images, no memory that the file does not account for.
"""

import contextlib
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from synthograph.annotation.volumes import read_nifti, read_nrrd
from synthograph.core.record import UnreadableError, array_of
from synthograph.core.untrusted.containers import Folder
from synthograph.sources.base import Reading, Regions, Slides, SourceFile, Unmarked
from synthograph.sources.polygon_files import read_polygons
from synthograph.sources.readers import FileDecoder, frames_of
from tests.sources import fuzzed

resource = pytest.importorskip("resource")
SAMPLES = fuzzed.samples()
COUNT = 160
MOST_FRAMES = 1000
"""More images than any of these small files can hold."""
MOST_MEMORY = 700 << 10
"""KiB by which the process may grow: files of a few KB that claim to be as large as is allowed."""


@pytest.fixture(autouse=True)
def bounded() -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert after - before < MOST_MEMORY


def read_all(file: SourceFile, reading: Reading) -> int:
    """Reads up to two images of a file; the number of its images."""
    frames = list(islice(frames_of(file, reading), MOST_FRAMES))
    masked = reading.slides is not None and file.name.endswith("svs")
    for frame in frames[:2]:
        decode = FileDecoder(
            (("image", file.container, file.name),),
            (file.container, file.name) if masked else None,
            frame.name,
            reading,
        )
        picture = decode()
        assert array_of(picture.modalities["image"]).ndim == 3
    return len(frames)


@pytest.mark.parametrize("kind", SAMPLES)
def test_damaged_files(kind: str, tmp_path: Path) -> None:
    files, container, reading = SAMPLES[kind], Folder(tmp_path), Reading(pages=True)
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    name = next(iter(files))
    assert 0 < read_all(SourceFile(container, name), reading) < MOST_FRAMES
    for data in fuzzed.damaged(files[name], len(kind), COUNT):
        (tmp_path / name).write_bytes(data)
        with contextlib.suppress(UnreadableError), warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_all(SourceFile(container, name), reading) < MOST_FRAMES


def test_damaged_slides(tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    regions = Regions(classes=("Tumor",), outside="none", masks=Unmarked.IGNORED)
    reading = Reading(slides=Slides(tile=64, mpp=0.5, regions=regions))
    (tmp_path / "a.geojson").write_bytes(fuzzed.geojson())
    file, sound = SourceFile(Folder(tmp_path), "a.svs"), fuzzed.slide()
    (tmp_path / "a.svs").write_bytes(sound)
    assert read_all(file, reading) == 12
    for number, data in enumerate(fuzzed.damaged(sound, 3, COUNT)):
        path = tmp_path / f"{number}.svs"
        path.write_bytes(data)
        with contextlib.suppress(UnreadableError):
            read_all(SourceFile(Folder(tmp_path), path.name), reading)


@pytest.mark.parametrize("name", ["a.geojson", "a.xml"])
def test_damaged_polygons(name: str) -> None:
    sound = fuzzed.asap() if name.endswith("xml") else fuzzed.geojson()
    assert read_polygons(sound, name, {}).polygons
    for data in fuzzed.damaged(sound, 5, 2 * COUNT):
        with contextlib.suppress(UnreadableError):
            read_polygons(data, name, {})


def test_damaged_label_images() -> None:
    single = fuzzed.SINGLE_SLICE
    assert read_nrrd(fuzzed.nrrd()) and read_nifti(single)
    for data in fuzzed.damaged(fuzzed.nrrd(), 7, 2 * COUNT):
        with contextlib.suppress(UnreadableError):
            read_nrrd(data)
    for data in fuzzed.damaged(single, 8, 2 * COUNT):
        with contextlib.suppress(UnreadableError):
            read_nifti(data)


def test_claims_beyond_the_bytes_of_a_file(tmp_path: Path) -> None:
    file = SourceFile(Folder(tmp_path), "a.dcm")
    claims = ((fuzzed.ExplicitVRLittleEndian, b"99"), (fuzzed.RLELossless, b"999999"))
    for syntax, claimed in claims:
        claim = b"IS" + len(claimed).to_bytes(2, "little") + claimed
        (tmp_path / "a.dcm").write_bytes(fuzzed.dicom(3, syntax).replace(b"IS\2\x003 ", claim))
        with pytest.raises(UnreadableError, match=f"says {int(claimed)} frames, more than"):
            read_all(file, Reading())
    volume = bytearray(fuzzed.samples()["NIfTI"]["a.nii"])
    volume[42:48] = np.array([700, 700, 700], "<i2").tobytes()
    (tmp_path / "a.nii").write_bytes(volume)
    with pytest.raises(UnreadableError, match="the file is cut short: it says"):
        read_all(SourceFile(Folder(tmp_path), "a.nii"), Reading())
