"""Class numbers of synthetic masks mean what those of the real ones do."""

from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.workflows.segmenting import same_classes

EYE = {"background": 0, "sclera": 1, "iris": 2}


def made(folder: Path, *about: object) -> Archive:
    writer = ArchiveWriter(folder / "made.zip", {})
    image = np.zeros((8, 8, 1), np.uint8)
    row = Row("", None, "synthetic", None, None, "synthetic", {})
    writer.add([encode({"image": image}, image[:, :, 0], row)])
    spec = ImageSpec(height=8, width=8, modalities={"image": 1})
    records = [{"mask_generator": each} for each in about]
    writer.finish(ArchiveInfo(spec=spec, namespace="n", snapshots=records))
    return open_archive(folder / "made.zip")


def classes(*names: str) -> dict[str, object]:
    return {"classes": [{"name": name, "colour": [0, 0, 0]} for name in names]}


def test_the_same_numbers_for_the_same_names(tmp_path: Path) -> None:
    archive = made(tmp_path, classes("nothing", "Sclera", "iris", "pupil"))
    assert same_classes(archive, EYE) == []


def test_other_numbers_are_refused(tmp_path: Path) -> None:
    archive = made(tmp_path, None, classes("background", "iris", "sclera"))
    with pytest.raises(UserError, match="value 1 is 'sclera' in the real masks and 'iris' in the"):
        same_classes(archive, EYE)


def test_numbers_without_names_are_noted_once(tmp_path: Path) -> None:
    archive = made(tmp_path, classes("background", "iris"), classes("background", "iris"))
    (note,) = same_classes(archive, {"0": 0, "1": 1})
    assert "0 background, 1 iris; name those of the real masks" in note


def test_records_of_others(tmp_path: Path) -> None:
    assert same_classes(made(tmp_path, {"classes": "x"}, 7, {"classes": [1]}), EYE) == []
