"""Label images of ITK-SNAP and 3D Slicer, against those that ITK writes."""

import gzip
import tracemalloc
from pathlib import Path

import nibabel
import numpy as np
import pytest

from synthograph.annotation.volumes import read_nifti, read_nrrd
from synthograph.core.record import UnreadableError

DATA = Path(__file__).parents[1] / "data" / "annotations"
TRUTH = np.loadtxt(DATA / "truth.txt", dtype=int)
READERS = {".nii.gz": read_nifti, ".nrrd": read_nrrd}


@pytest.mark.parametrize(
    ("name", "turned"),
    [
        ("itk2d.nii.gz", False),
        ("itk3d.nii.gz", False),
        ("turned.nii.gz", True),
        ("itk3d.nrrd", False),
        ("turned.nrrd", True),
    ],
)
def test_rows_and_columns_are_those_of_the_picture(name: str, turned: bool) -> None:
    read = READERS["." + name.partition(".")[2]]
    found = read((DATA / name).read_bytes())
    np.testing.assert_array_equal(found.layers[0], TRUTH)
    assert found.turned is turned


def test_a_segmentation_of_slicer_says_its_names_and_its_place() -> None:
    found = read_nrrd((DATA / "slicer.seg.nrrd").read_bytes())
    assert [(each.name, each.value) for each in found.classes] == [
        ("iris", 5),
        ("pupil", 1),
        ("sclera", 2),
    ]
    assert found.offset == (1, 1) and found.layers.shape == (1, 7, 7)
    assert found.classes[0].colour == (64, 128, 64)


def nrrd(*lines: str, data: bytes = bytes(64), kind: str = "uint8") -> bytes:
    head = ["NRRD0004", f"type: {kind}", "dimension: 2", "sizes: 8 8", "encoding: raw", *lines]
    return "\n".join(head).encode() + b"\n\n" + data


def test_a_bomb_is_not_unpacked_beyond_what_its_header_says() -> None:
    bomb = gzip.compress(bytes(200 << 20), compresslevel=1)
    nifti = nibabel.Nifti1Image(np.zeros((5000, 5000), "u1"), np.eye(4)).to_bytes()
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="more than 64 bytes"):
        read_nrrd(nrrd("encoding: gzip", data=bomb))
    with pytest.raises(UnreadableError, match="more than 135266304 bytes"):
        read_nifti(bomb)
    with pytest.raises(UnreadableError, match="25000000 values are more"):
        read_nifti(nifti)
    assert tracemalloc.get_traced_memory()[1] < 300 << 20
    tracemalloc.stop()


def test_damaged_nrrd_is_refused() -> None:
    assert not read_nrrd(nrrd()).layers.any()
    bad = {
        "holds 60 bytes": nrrd(data=bytes(60)),
        "whole numbers": nrrd(kind="float"),
        "another file": nrrd("data file: x.raw"),
        "999998000001 values are more": nrrd("sizes: 999999 999999"),
        "compressed as bzip2": nrrd("encoding: bzip2"),
        "are not packed by it": nrrd("encoding: gzip"),
        "no NRRD file": b"P5 8 8",
        "can be read": nrrd("Segment0_LabelValue:=1"),
        "in layer -9": nrrd("Segment0_Name:=cell", "Segment0_Layer:=-9"),
        "slices": nrrd("dimension: 3", "sizes: 4 4 4"),
    }
    for reason, data in bad.items():
        with pytest.raises(UnreadableError, match=reason):
            read_nrrd(data)


def test_damaged_nifti_is_refused() -> None:
    def packed(values: np.ndarray) -> bytes:
        return bytes(nibabel.Nifti1Image(values, np.diag([-1, -1, 1, 1])).to_bytes())

    whole = packed(np.zeros((4, 5, 1), np.uint8))
    assert read_nifti(whole).layers.shape == (1, 5, 4)
    for reason, data in {
        "has 3 slices": packed(np.zeros((4, 5, 3), np.uint8)),
        "fractions": packed(np.full((4, 5, 1), 0.5, np.float32)),
        "no sound NIfTI": whole[:100],
        "is packed by gzip, and damaged": b"\x1f\x8b" + whole,
        "no sound": b"",
    }.items():
        with pytest.raises(UnreadableError, match=reason):
            read_nifti(data)


@pytest.mark.parametrize("number", ["nan", "inf"])
def test_axes_that_are_no_numbers_are_refused(number: str) -> None:
    one = ["sizes: 8 8 1", "space: left-posterior-superior"]
    axes = nrrd(*one, f"space directions: ({number},0,0) (0,1,0) (0,0,1)")
    image = nibabel.Nifti1Image(np.zeros((8, 8, 1), np.uint8), np.eye(4))
    image.header["sform_code"] = 1
    data = bytearray(image.to_bytes())
    data[280:284] = np.float32(number).tobytes()
    for read, hostile in ((read_nrrd, axes), (read_nifti, bytes(data))):
        with pytest.raises(UnreadableError, match="nothing sound of its axes"):
            read(hostile)


def test_values_beyond_every_class_are_refused() -> None:
    for values in (np.full((8, 8, 1), 1e30), np.full((8, 8, 1), 1j)):
        data = nibabel.Nifti1Image(values, np.eye(4)).to_bytes()
        with pytest.raises(UnreadableError, match="no numbers of classes"):
            read_nifti(data)


@pytest.mark.parametrize("space", ["l", "scanner-xyz", "left"])
def test_an_unknown_space_is_refused_in_one_line(space: str) -> None:
    axes = nrrd("sizes: 8 8 1", f"space: {space}", "space directions: (1,0,0) (0,1,0) (0,0,1)")
    with pytest.raises(UnreadableError, match="names an unknown space"):
        read_nrrd(axes)
