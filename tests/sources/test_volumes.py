"""Volumes: slices as nibabel's canonical order has them, places, time, packed files, BIDS."""

import gzip
import itertools
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

from synthograph.core.record import UnreadableError, array_of
from synthograph.core.untrusted.containers import Folder
from synthograph.sources import volumes
from synthograph.sources.base import AS_IT_COMES, Axis, Reading, SourceFile
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.readers import READERS
from synthograph.sources.volumes import VolumeReader
from tests.sources.contract import ReaderContract

READER = next(reader for reader in READERS if isinstance(reader, VolumeReader))
VALUES = np.random.default_rng(0).integers(0, 4000, (5, 6, 7), dtype=np.uint16)
AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])


def nifti(values: np.ndarray = VALUES, affine: np.ndarray = AFFINE) -> bytes:
    return bytes(nibabel.Nifti1Image(values, affine).to_bytes())


def mgh() -> bytes:
    return bytes(nibabel.MGHImage(VALUES.astype(np.int16), AFFINE).to_bytes())


def saved(folder: Path, name: str, data: bytes) -> SourceFile:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return SourceFile(Folder(folder), name)


class TestVolumeReader(ReaderContract):
    reader = READER
    samples = {
        "a.nii": nifti(),
        "b.nii.gz": gzip.compress(nifti()),
        "c.nii": bytes(nibabel.Nifti2Image(VALUES, AFFINE).to_bytes()),
        "d.mgh": mgh(),
        "e.mgz": gzip.compress(mgh()),
    }
    images = 7


@pytest.mark.parametrize("axis", Axis)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3))[1::3])
def test_slices_are_those_of_canonical_order(
    tmp_path: Path, axis: Axis, order: tuple[int, ...], signs: tuple[int, ...]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) * signs)[:, order] * 1.5
    image = nibabel.Nifti1Image(VALUES, affine)
    file = saved(tmp_path, "v.nii", bytes(image.to_bytes()))
    canonical = np.asarray(nibabel.as_closest_canonical(image).dataobj)
    reading = Reading(axis=axis)
    across = list(Axis).index(axis)
    for number, frame in enumerate(READER.frames(file, reading)):
        pixels, notes = READER.read(file, frame.name, reading)
        # the patient's right at the left (or the front), superior (or anterior) above
        expected = np.take(canonical, number, axis=across)[::-1, ::-1].T
        assert np.array_equal(array_of(pixels)[:, :, 0], expected) and not notes
    assert number + 1 == canonical.shape[across]


def test_scaled_values_are_those_of_the_file(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VALUES.astype(np.int16), AFFINE)
    image.header.set_slope_inter(2.5, -1024)
    image.header.set_data_dtype(np.int16)
    file = saved(tmp_path, "v.nii", bytes(image.to_bytes()))
    expected = np.asarray(nibabel.Nifti1Image.from_bytes(file.read()).dataobj)
    pixels, _ = READER.read(file, "axial003", AS_IT_COMES)
    assert np.allclose(array_of(pixels)[:, :, 0], expected[::-1, ::-1, 3].T)


def test_volumes_are_cut_in_the_plane_they_were_taken_in(tmp_path: Path) -> None:
    thick = saved(tmp_path, "thick.nii", nifti(affine=np.diag([1, 5, 1, 1])))
    even = saved(tmp_path, "even.nii", nifti(affine=np.diag([1, 1.1, 1, 1])))
    assert next(iter(READER.frames(thick, AS_IT_COMES))).columns["axis"] == "coronal"
    first = next(iter(READER.frames(even, AS_IT_COMES)))
    assert first.name == "axial000" and first.columns["pixel_mm"] == "1.1x1"
    assert first.group == "even"


def test_slices_are_thinned_by_number_and_by_content(tmp_path: Path) -> None:
    values = np.zeros((10, 10, 6), np.int16)
    values[2:8, 2:8, 1] = values[:2, :2, 2] = values[:, :, 4] = 900
    file = saved(tmp_path, "v.nii", nifti(values))
    assert [f.name for f in READER.frames(file, Reading(every=4))] == ["axial000", "axial004"]
    names = [f.name for f in READER.frames(file, Reading(min_foreground=0.3))]
    assert names == ["axial001", "axial004"]


def test_the_threshold_of_the_foreground_is_of_all_slices(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 20, (1024, 1024, 2), dtype=np.uint8)
    values[200:500, 200:500, 1] = 200  # 9 % of that slice
    file = saved(tmp_path, "v.nii", nifti(values))
    assert not list(READER.frames(file, Reading(axis=Axis.AXIAL, min_foreground=0.2)))


def test_slices_are_brought_to_square_pixels(tmp_path: Path) -> None:
    values = np.zeros((20, 10, 4), np.uint8)
    values[:, :5] = 200
    file = saved(tmp_path, "v.nii", nifti(values, np.diag([1, 2, 4, 1])))
    reading = Reading(axis=Axis.AXIAL, spacing=2.0)
    pixels, notes = READER.read(file, "axial001", reading)
    assert array_of(pixels).shape == (10, 10, 1) and array_of(pixels).dtype == np.uint8
    assert "pixels of 2 mm" in notes[0]
    ids = READER.read_mask(file, "axial001", reading)
    assert ids.shape == (10, 10) and set(np.unique(ids)) == {0, 200}


def test_every_volume_of_a_series_in_time_is_read(tmp_path: Path) -> None:
    series = np.stack([VALUES, VALUES + 1], axis=3)
    file = saved(tmp_path, "v.nii.gz", gzip.compress(nifti(series)))
    frames = list(READER.frames(file, AS_IT_COMES))
    assert len(frames) == 14 and frames[7].name == "axial000t1"
    early, late = (READER.read(file, f"axial002t{n}", AS_IT_COMES)[0] for n in (0, 1))
    assert np.array_equal(array_of(early) + 1, array_of(late))


def test_header_and_values_in_two_files(tmp_path: Path) -> None:
    image = nibabel.Nifti1Pair(VALUES, AFFINE)
    nibabel.save(image, tmp_path / "pair.img")
    nibabel.save(nibabel.Spm99AnalyzeImage(VALUES.astype(np.int16), AFFINE), tmp_path / "old.img")
    found = read_files(FileSourceOptions(source=tmp_path))
    assert len(found.items) == 14 and not found.rejects
    assert array_of(found.items[-1].decode().modalities["image"]).max() < 4000
    (tmp_path / "pair.hdr").unlink()
    (tmp_path / "old.img").unlink()
    (tmp_path / "old.mat").unlink()
    found = read_files(FileSourceOptions(source=tmp_path))
    assert not found.items
    reasons = {reject.name: reject.reason for reject in found.rejects}
    assert "header pair.hdr is missing" in reasons["pair.img"]
    assert "values old.img are missing" in reasons["old.hdr"]


def test_patients_come_from_bids(tmp_path: Path) -> None:
    saved(tmp_path, "participants.tsv", b"participant_id\tsex\tage\nsub-01\tF\tn/a\n")
    for subject in ("01", "02"):
        name = f"sub-{subject}/ses-a/anat/sub-{subject}_ses-a_T1w.nii.gz"
        saved(tmp_path, name, gzip.compress(nifti()))
    found = read_files(FileSourceOptions(source=tmp_path))
    assert {item.group for item in found.items} == {"sub-01", "sub-02"}
    told = found.items[0].columns
    assert told["session"] == "a" and told["sex"] == "F" and "age" not in told
    assert "sex" not in found.items[-1].columns


def test_partners_must_lie_in_the_same_place(tmp_path: Path) -> None:
    for folder in ("t1", "t2", "far", "masks"):
        (tmp_path / folder).mkdir()
    moved, turned = np.eye(4), np.diag([-1.0, -1, 1, 1])
    moved[0, 3], turned[:2, 3] = 3, (4, 5)
    saved(tmp_path, "t1/p.nii", nifti())
    saved(tmp_path, "t2/p.nii.gz", gzip.compress(nifti(VALUES[::-1, ::-1].copy(), turned)))
    saved(tmp_path, "far/p.nii", nifti(affine=moved))
    saved(tmp_path, "masks/p.nii", nifti((VALUES > 2000).astype(np.uint8)))
    options = FileSourceOptions(
        source=tmp_path / "t1",
        primary="t1",
        modalities={"t2": tmp_path / "t2"},
        masks=tmp_path / "masks",
    )
    found = read_files(options)
    picture = found.items[3].decode()
    one, two = (array_of(picture.modalities[name]) for name in ("t1", "t2"))
    assert np.array_equal(one, two) and picture.mask is not None
    assert np.array_equal(picture.mask, one[:, :, 0] > 2000)
    elsewhere = FileSourceOptions(source=tmp_path / "t1", modalities={"t2": tmp_path / "far"})
    (reject,) = read_files(elsewhere).rejects
    assert "does not lie where the image does" in reject.reason


def test_what_no_rule_fits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    colours = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    bad = {
        "colour.nii": nifti(colours),
        "complex.nii": nifti(VALUES.astype(np.complex64)),
        "flat.nii": nifti(VALUES[0]),
        "bomb.nii.gz": gzip.compress(bytes(40 << 20)),
        "text.nii": b"text",
        "packed.nii.gz": gzip.compress(b"text"),
    }
    for name, data in bad.items():
        file = saved(tmp_path, name, data)
        with pytest.raises(UnreadableError):
            list(READER.frames(file, AS_IT_COMES))
    with pytest.raises(UnreadableError, match="as compression bombs do; unpack it with gunzip"):
        list(READER.frames(SourceFile(Folder(tmp_path), "bomb.nii.gz"), AS_IT_COMES))
    monkeypatch.setattr(volumes, "MAX_VOLUME_BYTES", 100)
    with pytest.raises(UnreadableError, match="more than"):
        list(READER.frames(saved(tmp_path, "large.nii", nifti()), AS_IT_COMES))
    with pytest.raises(UnreadableError, match="class ids are 0 to 255"):
        monkeypatch.undo()
        READER.read_mask(saved(tmp_path, "ids.nii", nifti()), "axial000", AS_IT_COMES)


def test_a_volume_is_no_mask_of_a_picture(tmp_path: Path) -> None:
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
    Image.new("L", (5, 6)).save(tmp_path / "in" / "a.png")
    saved(tmp_path, "masks/a.nii", nifti())
    (item,) = read_files(FileSourceOptions(source=tmp_path / "in", masks=tmp_path / "masks")).items
    with pytest.raises(UnreadableError, match=r"'a.nii': is a volume of slices, and has no image"):
        item.decode()


def test_otsu_parts_two_kinds() -> None:
    random = np.random.default_rng(1)
    values = np.concatenate([random.normal(10, 2, 900), random.normal(90, 5, 100), [np.nan]])
    assert 20 < volumes.otsu(values) < 75
    assert volumes.otsu(np.full(9, 3.0)) == 3.0 and volumes.otsu(np.array([np.nan])) == 0.0


def test_more_slices_than_anybody_has_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    many = gzip.compress(nifti(np.zeros((1, 1, 1000, 101), np.uint8)))
    with pytest.raises(UnreadableError, match="claims 101000 slices, more than 100000"):
        next(iter(READER.frames(saved(tmp_path, "a.nii.gz", many), AS_IT_COMES)))
