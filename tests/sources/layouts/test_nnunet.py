"""Channels of nnU-Net, whose names say how to normalise them, and need not differ."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError, array_of
from synthograph.sources.layouts.base import read_layout
from synthograph.sources.layouts.nnunet import NnUnet


def folder(path: Path, names: list[str], files: int, bands: int = 1) -> Path:
    """Two cases, whose channels hold their number."""
    (path / "imagesTr").mkdir(parents=True)
    for case in "ab":
        for place in range(files):
            pixels = np.full((8, 8, bands), place, np.uint8)
            image = Image.fromarray(pixels[:, :, 0] if bands == 1 else pixels)
            image.save(path / f"imagesTr/{case}_{place:04d}.png")
    tree = {"channel_names": {str(n): name for n, name in enumerate(names)}, "labels": {}}
    (path / "dataset.json").write_text(json.dumps(tree))
    return path


@pytest.mark.parametrize(
    ("names", "files", "bands", "modalities"),
    [
        (["zscore"] * 2, 2, 1, {"zscore0": 1, "zscore1": 1}),
        (["noNorm"] * 3, 3, 1, {"noNorm0": 1, "noNorm1": 1, "noNorm2": 1}),
        (["T2", "ADC", "T2", "T20"], 4, 1, {"T20_": 1, "ADC": 1, "T21": 1, "T20": 1}),
        (["R", "NIR"], 2, 1, {"R": 1, "NIR": 1}),
        (["R", "G", "B"], 3, 1, {"R": 1, "G": 1, "B": 1}),
        (["R", "G", "B"], 1, 3, {"image": 3}),
        (["Red", "Green", "Blue"], 1, 3, {"image": 3}),
        (["rgb_to_0_1"] * 3, 1, 3, {"image": 3}),
        (["vis.0", "vis.1", "vis.2", "nir"], 4, 1, {"vis": 3, "nir": 1}),
        (["b.0", "b.1"], 2, 1, {"b_0": 1, "b_1": 1}),
    ],
)
def test_modalities(
    names: list[str], files: int, bands: int, modalities: dict[str, int], tmp_path: Path
) -> None:
    items, _ = read_layout(NnUnet(), folder(tmp_path / "set", names, files, bands))
    assert len(items) == 2
    decoded = items[1].decode().modalities
    arrays = {name: array_of(pixels) for name, pixels in decoded.items()}
    assert {name: array.shape[2] for name, array in arrays.items()} == modalities
    planes = [plane for array in arrays.values() for plane in np.moveaxis(array, 2, 0)]
    numbers = range(files) if bands == 1 else [0] * 3
    assert [int(plane[0, 0]) for plane in planes] == list(numbers)


def test_what_does_not_fit(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="case 'a' has 1 of 3 files"):
        read_layout(NnUnet(), folder(tmp_path / "a", ["T1", "T2", "ADC"], 1))
    mixed = folder(tmp_path / "b", ["noNorm"] * 3, 3)
    (mixed / "imagesTr" / "b_0002.png").unlink()
    with pytest.raises(UserError, match="case 'b' has 2 of 3 files"):
        read_layout(NnUnet(), mixed)
    colours = folder(tmp_path / "c", ["vis.0", "vis.1", "vis.2"], 3, 3)
    (item, _), _ = read_layout(NnUnet(), colours)
    with pytest.raises(UnreadableError, match="have 9 together, expected 3"):
        item.decode()


def test_a_zip_of_the_whole_folder(tmp_path: Path) -> None:
    folder(tmp_path / "zipped" / "Dataset501_x", ["R", "NIR"], 2)
    packed = Path(shutil.make_archive(str(tmp_path / "set"), "zip", tmp_path / "zipped"))
    items, unnamed = read_layout(NnUnet(), packed)
    assert len(items) == 2 and not unnamed
    assert set(items[0].decode().modalities) == {"R", "NIR"}
