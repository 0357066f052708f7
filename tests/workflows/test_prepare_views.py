"""Ways out that `prepare` names, each tried: windows, colours and masks."""

import json
import re
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

import synthograph as sg
from synthograph.archive.manifest import SOURCE_FILE
from synthograph.archive.reader import open_archive
from synthograph.archive.split import rewrite
from synthograph.core.progress import Printed
from synthograph.core.request import Result

RNG = np.random.default_rng(0)


def save(root: Path, count: int, draw: object, ending: str) -> Path:
    root.mkdir()
    for number in range(count):
        pixels = draw(number)  # type: ignore[operator]
        if ending == "tif":
            tifffile.imwrite(root / f"{number}.tif", pixels)
        else:
            Image.fromarray(pixels).save(root / f"{number}.{ending}")
    return root


def said(result: Result) -> str:
    return "\n".join(result.lines())


def test_small_range_of_16_bits_is_told_and_its_window_helps(tmp_path: Path) -> None:
    root = save(
        tmp_path / "in", 5, lambda n: (RNG.random((16, 16)) * 3000 + 90).astype(np.uint16), "png"
    )
    told = said(sg.prepare(root, tmp_path / "a.zip", workers=1, invariant="none"))
    match = re.search(r"use (\d+) to (\d+) of 0 to 65535.*--window (\S+) spreads", told, re.DOTALL)
    assert match is not None
    for window in (match[3], "0.5%,99.5%"):
        name = tmp_path / f"{window}.zip"
        told = said(sg.prepare(root, name, window=window, workers=1, invariant="none"))
        assert "of 0 to 65535" not in told and "5 files: grey values windowed" in told
        archive = open_archive(name)
        pixels = np.concatenate([archive.read(row).reshape(-1) for row in archive.rows])
        assert pixels.min() == 0 and pixels.max() == 65535
        assert archive.info.view is not None and "window" in archive.info.view
    again = sg.prepare(tmp_path / "a.zip", tmp_path / "b.zip", window=match[3], workers=1)
    assert "grey values windowed" in said(again)


def test_values_after_a_window_are_not_proposed_as_a_window_of_the_files(tmp_path: Path) -> None:
    root = save(
        tmp_path / "in", 5, lambda n: (RNG.random((16, 16)) * 300 + 1800).astype(np.uint16), "png"
    )
    told = said(sg.prepare(root, tmp_path / "a.zip", window="0,4095", workers=1, invariant="none"))
    assert "nearly black" in told and "a narrower window of the same files" in told
    assert re.search(r"--window \d+,", told) is None


def test_windows_of_volumes_under_pseudonyms(tmp_path: Path) -> None:
    """Slices of a file stay together, though nobody can read its name."""
    (tmp_path / "in").mkdir()
    for number in (1, 2):
        values = np.arange(4 * 256).reshape(16, 16, 4, order="F").astype(np.int16) * number
        nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "in" / f"Roe{number}.nii")
    (tmp_path / "secret").write_text("0123456789abcdef")
    hidden = {"pseudonymise": tmp_path / "secret", "invariant": "none", "workers": 1}
    sg.prepare(tmp_path / "in", tmp_path / "a", **hidden)
    assert "Roe" not in (tmp_path / "a" / "manifest.csv").read_text()
    by_volume = {"window": "1%,99%", "window_scope": "volume", "invariant": "none", "workers": 1}
    sg.prepare(tmp_path / "a", tmp_path / "b", **by_volume)
    ends = [row.columns["window_high"] for row in open_archive(tmp_path / "b").rows]
    assert len(ends) == 8 and len(set(ends)) == 2
    archive = open_archive(tmp_path / "a")
    older = [
        replace(row, columns={**row.columns, SOURCE_FILE: row.source.partition("#")[2]})
        for row in archive.rows
    ]
    rewrite(archive, older)
    with pytest.raises(sg.UserError, match="which slices are of one volume: take archive or image"):
        sg.prepare(tmp_path / "a", tmp_path / "c", **by_volume)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_values_beyond_16_bits_name_a_window_that_takes_them(tmp_path: Path, dtype: type) -> None:
    root = save(
        tmp_path / "in", 3, lambda n: (RNG.random((16, 16)) * 2000 - 1000).astype(dtype), "tif"
    )
    with pytest.raises(sg.UserError) as caught:
        sg.prepare(root, tmp_path / "a.zip", workers=1, invariant="none")
    window = str(caught.value).rpartition("--window ")[2].split()[0]
    made = sg.prepare(root, tmp_path / "a.zip", window=window, workers=1, invariant="none")
    assert made.summary.spec.bits == 16 and made.summary.images == 3
    by_image = sg.prepare(
        root, tmp_path / "b.zip", window="1%,99%", window_scope="image", workers=1, invariant="none"
    )
    row = open_archive(by_image.archive).rows[0]
    assert float(row.columns["window_low"]) < float(row.columns["window_high"])


def test_mixture_of_grey_and_rgb_names_the_flag_that_converts_it(tmp_path: Path) -> None:
    def draw(number: int) -> np.ndarray:
        return RNG.integers(0, 256, (16, 16, 3) if number % 3 else (16, 16)).astype(np.uint8)

    root = save(tmp_path / "in", 6, draw, "png")
    with pytest.raises(sg.UserError, match=r"add --colour grey \(or rgb\)"):
        sg.prepare(root, tmp_path / "a.zip", workers=1, invariant="none")
    for colour, channels in (("grey", 1), ("rgb", 3)):
        made = sg.prepare(
            root, tmp_path / f"{colour}.zip", colour=colour, workers=1, invariant="none"
        )
        assert made.summary.spec.channels == channels
        assert open_archive(made.archive).info.view == {"colour": colour}


def test_masks_are_offered_kept_and_their_ids_listed(tmp_path: Path) -> None:
    root = save(tmp_path / "in", 4, lambda n: np.full((16, 16), n, np.uint8), "png")
    ids = np.zeros((16, 16), np.uint8)
    ids[:4] = 2
    for number in range(4):
        Image.fromarray(ids).save(root / f"{number}_mask.png")
    assert sg.prepare(root, tmp_path / "a.zip", workers=1, invariant="none").summary.masks == 0
    made = sg.prepare(root, tmp_path / "b.zip", mask_suffix="_mask", workers=1, invariant="none")
    assert made.summary.images == made.summary.masks == 4
    assert "ids: 0 (75.0%), 2 (25.0%)" in said(made)
    facts = json.loads(json.dumps(sg.inspect(tmp_path / "b.zip").json()))
    assert facts["mask ids"] == {"0": "75 %", "2": "25 %"}


def test_percentiles_are_those_of_training_images_where_a_split_is_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "in"
    for split, value in (("train", 100), ("test", 200)):
        (root / split).mkdir(parents=True)
        for number in range(3):
            pixels = np.full((16, 16), value - number * 10, np.uint8)
            Image.fromarray(pixels).save(root / split / f"{split}{number}.png")
    asked = {"window": "0%,100%", "workers": 1, "invariant": "none"}
    sg.prepare(root, tmp_path / "a.zip", folders="split", **asked, progress=Printed())
    assert "80 becomes black and 100 white, percentiles of 3 training images" in (
        capsys.readouterr().out
    )
    archive = open_archive(tmp_path / "a.zip")
    assert archive.info.view is not None and archive.info.view["window"]["split"] == "train"
    assert archive.info.view["window"]["limits"] == {"image": [80, 100]}
    assert {int(archive.read(row).max()) for row in archive.rows if row.split == "test"} == {255}
    sg.prepare(root, tmp_path / "b.zip", folders="*", **asked, progress=Printed())
    assert "80 becomes black and 200 white, percentiles of all images" in capsys.readouterr().out
    view = open_archive(tmp_path / "b.zip").info.view
    assert view is not None and "split" not in view["window"]
