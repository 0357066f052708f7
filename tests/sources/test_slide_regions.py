"""Where polygons lie: QuPath counts from the scanned part of a slide, ASAP from its corner."""

from pathlib import Path

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Folder
from synthograph.sources.base import Regions, SourceFile, Unmarked
from synthograph.sources.slide_regions import classes_of, drawing_of, label_tiles, mask_of
from tests.sources import fuzzed

BOUNDS = (100.0, 50.0)


def test_only_places_of_qupath_count_from_the_scanned_part(tmp_path: Path) -> None:
    slide, regions = SourceFile(Folder(tmp_path), "a.mrxs"), Regions(classes=("Tumor",))
    assert drawing_of(slide, BOUNDS, regions).file is None
    (tmp_path / "a.geojson").write_bytes(fuzzed.geojson())  # a square from 0 to 90
    drawing = drawing_of(slide, BOUNDS, regions)
    corners = np.array([[0, 0], [100, 50], [140, 50], [170, 50]])
    assert label_tiles(drawing, corners, 40.0, regions) == [None, "Tumor", "Tumor", "Tumor"]
    assert mask_of(drawing, (140, 50), 1.0, 64, regions).sum() == 50 * 64
    ignored = Regions(classes=("Tumor",), masks=Unmarked.IGNORED)
    assert set(np.unique(mask_of(drawing, (140, 50), 1.0, 64, ignored))) == {1, 255}
    (tmp_path / "a.geojson").unlink()
    (tmp_path / "a.xml").write_bytes(fuzzed.asap())
    assert drawing_of(slide, BOUNDS, regions).corner == (0, 0)


def test_classes_of_all_slides(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    slides = {"a.svs": folder, "b.svs": folder}
    (tmp_path / "a.geojson").write_bytes(fuzzed.geojson())
    classes, remarks = classes_of(slides, None, {})
    assert classes == ("Tumor",) and remarks == ["1 slide(s) have no file of polygons: b.svs"]
    (tmp_path / "b.xml").write_bytes(fuzzed.asap())
    assert classes_of(slides, None, {"t": "stroma"}) == (("Tumor", "stroma"), [])
    with pytest.raises(UserError, match="polygons of 0 classes"):
        classes_of(slides, None, {"t": "", "Tumor": "hole"})
