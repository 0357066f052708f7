"""Files that are predicted are read as those of the training archive were."""

import shlex
import shutil
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

import synthograph as sg
from synthograph.archive.reader import Archive, open_archive
from synthograph.cli import main
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.downstream.trained import TrainedInfo
from synthograph.workflows.downstream_requests import ClassifyPredictRequest
from synthograph.workflows.predict_inputs import Inputs, open_inputs, png_names
from tests.sources.test_dicom import scan

RNG = np.random.default_rng(0)


def scans(folder: Path, **elements: object) -> Path:
    """A folder with one DICOM file, which one process prepares."""
    folder.mkdir()
    about = {"Modality": "CT", "PixelSpacing": [1.0, 1.0], "RescaleSlope": 1, "RescaleIntercept": 0}
    about |= {"WindowCenter": 1000, "WindowWidth": 500}
    pixels = RNG.integers(800, 1200, (48, 48)).astype(np.uint16)
    (folder / "a.dcm").write_bytes(scan(pixels, **{**about, **elements}))
    return folder


def prepared(folder: Path, **options: object) -> Archive:
    dest = folder.with_name("set.zip")
    asked = {"size": 32, "transform": "center-crop", "invariant": "none", "workers": 1, **options}
    return open_archive(sg.prepare(folder, dest, **asked).archive)


def trained_on(archive: Archive, **view: object) -> TrainedInfo:
    about = archive.info
    return TrainedInfo(
        task="classify",
        package_version="1",
        classes=["a", "b"],
        spec=about.spec,
        selection={},
        group_digests=["a"],
        image_digests=["a"],
        data=archive.path.name,
        preparation={"view": {**(about.view or {}), **view} or None, "sizing": about.sizing},
    )


def opened(path: Path, info: TrainedInfo) -> tuple[Inputs, list[np.ndarray]]:
    request = ClassifyPredictRequest(model=Path("m"), data=str(path), out=Path("o.csv"))
    with open_inputs(request, info, Silent()) as inputs:
        return inputs, [inputs.rows.archive.read(row) for row in inputs.rows.archive.rows]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"window": "dicom"},
        {"window": "full"},
        {"window": "750,1250"},
        {"window": "center=1000,width=501"},
        {"window": "1%,99%"},
        {"spacing": 1.4, "window": "full"},
        {"window": "dicom", "colour": "grey"},
    ],
)
def test_dicom_files_look_as_in_training(tmp_path: Path, options: dict[str, object]) -> None:
    folder = scans(tmp_path / "in", PhotometricInterpretation="MONOCHROME1")
    archive = prepared(folder, **options)
    _, found = opened(folder, trained_on(archive))
    wanted = [archive.read(row) for row in archive.rows]
    assert found[0].dtype == wanted[0].dtype and np.array_equal(found, wanted)


def test_an_archive_of_an_archive_says_so_too(tmp_path: Path) -> None:
    folder = scans(tmp_path / "in")
    first = prepared(folder, window="full", spacing=2.0, size=16)
    dest = tmp_path / "again.zip"
    sg.prepare(first.path, dest, colour="grey", invariant="none", workers=1)
    known = {"dicom": "full", "spacing": 2.0}
    assert first.info.view == known
    assert open_archive(dest).info.view == {**known, "colour": "grey"}


def test_dicom_files_are_refused_where_nobody_said_how_they_were_read(tmp_path: Path) -> None:
    folder = scans(tmp_path / "in")
    archive = prepared(folder)
    older = trained_on(archive).model_copy(update={"preparation": {"sizing": archive.info.sizing}})
    with pytest.raises(UserError, match=r"does not say how DICOM files were read.*--window"):
        opened(folder, older)
    assert len(opened(archive.path, older)[1]) == 1
    window = {"low": 0.0, "high": 4095.0, "percentiles": False, "scope": "archive", "limits": {}}
    known = older.model_copy(
        update={"preparation": {**older.preparation, "view": {"window": window}}}
    )
    assert len(opened(folder, known)[1]) == 1


def test_the_way_out_for_one_file_is_a_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "two words"
    folder.mkdir()
    Image.fromarray(RNG.integers(0, 255, (24, 20, 3)).astype(np.uint8)).save(folder / "0.png")
    archive = prepared(folder, size=16, window="10,240", resize_filter="box")
    Image.fromarray(np.full((24, 20), 99, np.uint8)).save(folder / "0.png")
    info = trained_on(archive)
    with pytest.raises(UserError, match="was trained on") as caught:
        opened(folder / "0.png", info)
    words = shlex.split(str(caught.value).rpartition("images.zip: ")[2])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [*words, "--workers", "1"])
    with pytest.raises(SystemExit) as end:
        main.run()
    assert not end.value.code
    made = open_archive(tmp_path / "images.zip")
    assert made.info.spec == info.spec and made.info.sizing == archive.info.sizing
    assert made.info.view == {**(archive.info.view or {}), "colour": "rgb"}
    assert opened(Path("images.zip"), info)[0].rows.rows


def test_files_of_which_no_image_is_made_are_named(tmp_path: Path) -> None:
    for name in ("old/1.png", "new/2.png", "new/3.png", "new/3_roi.png", "a#1.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (16, 16)).astype(np.uint8)).save(path)
    info = trained_on(prepared(tmp_path / "in", size=16))
    found, _ = opened(tmp_path / "in", info)
    assert list(found.left_out) == ["new/3_roi.png"] and len(found.rows.rows) == 4
    (tmp_path / "in" / "dataset.json").write_text('{"labels": [["old/1.png", 0]]}')
    found, _ = opened(tmp_path / "in", info)
    assert sorted(found.left_out) == ["a#1.png", "new/2.png", "new/3.png", "new/3_roi.png"]
    assert "4 files were left out: a#1.png" in found.left_out_note()


def test_slices_that_are_rejected_are_named_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    for name, side in ("a.nii", 16), ("bigger.nii", 24):
        values = RNG.integers(0, 900, (side, 16, 3)).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), folder / name)
    (tmp_path / "one").mkdir()
    shutil.copy(folder / "a.nii", tmp_path / "one")
    info = trained_on(prepared(tmp_path / "one", size=None, transform=None, window="0,900"))
    found, _ = opened(folder, info)
    assert found.left_out and all(name.startswith("bigger.nii#") for name in found.left_out)


def test_a_single_header_comes_with_its_values(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    values = RNG.integers(0, 900, (16, 16, 5)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Pair(values, np.eye(4)), folder / "x.img")
    info = trained_on(prepared(folder, size=16, window="0,900"))
    for named in (folder, folder / "x.hdr"):
        found, pixels = opened(named, info)
        assert len(pixels) == 5 and not found.left_out


def test_ways_out_that_are_options_of_prepare_say_so(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    plain = RNG.integers(0, 255, (16, 16)).astype(np.uint8)
    Image.fromarray(plain).save(folder / "0.png")
    info = trained_on(prepared(folder, size=16))
    tifffile.imwrite(folder / "s.tif", np.stack([plain] * 3), photometric="minisblack")
    with pytest.raises(UserError, match="--pages .*options are those of 'synthograph prepare'"):
        opened(folder / "s.tif", info)
    assert "'synthograph prepare'" in opened(folder, info)[0].left_out_note()


def test_an_archive_of_an_archive_remembers_its_cut(tmp_path: Path) -> None:
    """Files are then treated as those of the first archive were."""
    Image.fromarray(RNG.integers(0, 255, (48, 64)).astype(np.uint8)).save(
        folder_of(tmp_path) / "0.png"
    )
    first = prepared(tmp_path / "in", size=16)
    dest = tmp_path / "again.zip"
    sg.prepare(first.path, dest, invariant="mirror", workers=1)
    again = open_archive(dest)
    assert (
        again.info.sizing == first.info.sizing == {"fit": "center-crop", "resize_filter": "lanczos"}
    )
    _, pixels = opened(tmp_path / "in", trained_on(again))
    assert np.array_equal(pixels[0], again.read(again.rows[0]))
    sg.prepare(tmp_path / "in", tmp_path / "t.zip", tile=32, invariant="none", workers=1)
    sg.prepare(tmp_path / "t.zip", tmp_path / "t2.zip", size=16, invariant="none", workers=1)
    for size, refused in ({"size": 8}, False), ({"width": 24, "height": 12}, True):
        more = {**size, "transform": "center-crop", "invariant": "none", "workers": 1}
        made = sg.prepare(dest, tmp_path / f"{refused}.zip", **more)
        info = trained_on(open_archive(made.archive))
        if refused:
            with pytest.raises(UserError, match="were cut twice, one after the other"):
                opened(tmp_path / "in", info)
        else:
            assert opened(tmp_path / "in", info)
    with pytest.raises(UserError, match="trained on tiles of 32"):
        opened(tmp_path / "in", trained_on(open_archive(tmp_path / "t2.zip")))


def test_two_windows_one_after_the_other_are_refused(tmp_path: Path) -> None:
    pixels = RNG.integers(0, 4095, (16, 16)).astype(np.uint16)
    Image.fromarray(pixels).save(folder_of(tmp_path) / "0.png")
    first = prepared(tmp_path / "in", size=16, window="0,4095")
    sg.prepare(first.path, tmp_path / "b.zip", window="1%,99%", invariant="none", workers=1)
    with pytest.raises(UserError, match="two windows.*the same two steps"):
        opened(tmp_path / "in", trained_on(open_archive(tmp_path / "b.zip")))
    sg.prepare(first.path, tmp_path / "c.zip", invariant="mirror", workers=1)
    assert opened(tmp_path / "in", trained_on(open_archive(tmp_path / "c.zip")))


def folder_of(root: Path) -> Path:
    (root / "in").mkdir()
    return root / "in"


def test_every_image_has_a_file_of_its_own_in_any_order() -> None:
    files = {
        "deep/b.jpg": "deep/b.png",
        "v.nii.gz#axial003": "v.nii.gz#axial003.png",
        "v.nii.gz#axial010": "v.nii.gz#axial010.png",
        "1.2.840.113": "1.2.840.113.png",
        "a.jpg": "a.jpg.png",
        "A.png": "A.png.png",
        "a.jpg.png": "a.jpg.png.png",
    }
    assert png_names(list(files)) == files
    assert png_names(list(files)[::-1]) == files
    archive = ["00000/img00000000.png", "00000/img00000001.png"]
    assert png_names(archive) == dict(zip(archive, archive, strict=True))
