"""Polygons on slides through `prepare`: labels, masks, pictures, against a slide whose colours are
the truth.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.workflows import prepare
from synthograph.workflows.prepare_stamp import stamp_of_items
from synthograph.workflows.reading import read_as
from synthograph.workflows.requests import PrepareRequest
from synthograph.workflows.slide_polygons import regions_of

pytest.importorskip("openslide")
SIDE = 512
STROMA, TUMOUR = (200, 120, 170), (110, 50, 140)


def coloured() -> np.ndarray:
    """Stroma with a square of tumour, in whose middle there is stroma again."""
    slide = np.full((SIDE, SIDE, 3), 240, np.uint8)
    slide[:, :384] = STROMA
    slide[64:256, 64:256] = TUMOUR
    slide[128:192, 128:192] = STROMA
    return slide


def box(low: float, high: float) -> list[list[float]]:
    return [[low, low], [high, low], [high, high], [low, high], [low, low]]


def feature(rings: list[list[list[float]]], name: str) -> dict[str, object]:
    geometry = {"type": "Polygon", "coordinates": rings}
    told = {"classification": {"name": name}}
    return {"type": "Feature", "geometry": geometry, "properties": told}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    told = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate"}
    with tifffile.TiffWriter(folder / "a.tif") as file:
        for step in (1, 2, 4):
            scale = {"resolution": (20000 / step,) * 2, "resolutionunit": "CENTIMETER"}
            file.write(coloured()[::step, ::step], subfiletype=int(step > 1), **told, **scale)
    wide = [[0, 0], [384, 0], [384, 512], [0, 512], [0, 0]]
    features = [feature([box(64, 256), box(128, 192)], "Tumor"), feature([wide], "Stroma")]
    (folder / "a.geojson").write_text(json.dumps(features))
    return folder


def request(folder: Path, **more: object) -> PrepareRequest:
    wanted = {"tile": 64, "mpp": 0.5, "polygons": Path("beside"), "workers": 1, **more}
    return PrepareRequest(source=folder, dest=folder.parent / "o.zip", **wanted)  # type: ignore[arg-type]


def test_labels_and_masks_are_those_of_the_colours(folder: Path) -> None:
    sheet = folder.parent / "s.png"
    prepare.run(request(folder, polygon_masks="background", slide_sheet=sheet), progress=Silent())
    archive = open_archive(folder.parent / "o.zip")
    assert archive.info.classes == ["Stroma", "Tumor"]
    assert archive.info.polygons == {
        "ids": {"Stroma": 1, "Tumor": 2},
        "share": 0.5,
        "outside": None,
        "masks": "background",
    }
    assert len(archive.rows) == 48 and sheet.is_file()
    for item, row in zip(archive.items(), archive.rows, strict=True):
        picture = item.decode()
        pixels, mask = np.asarray(picture.modalities["image"]), picture.mask
        assert mask is not None
        tumour = (pixels == TUMOUR).all(axis=2)
        assert np.array_equal(mask == 2, tumour)
        assert row.label == ("Tumor" if tumour.mean() >= 0.5 else "Stroma")


def test_masks_at_another_scale_and_outside(folder: Path) -> None:
    features = [feature([box(64, 256), box(128, 192)], "Tumor")]
    (folder / "a.geojson").write_text(json.dumps(features))
    more = {"mpp": 1.0, "tile": 128, "polygon_masks": "ignored", "polygon_outside": "none"}
    prepare.run(request(folder, **more), progress=Silent())
    archive = open_archive(folder.parent / "o.zip")
    assert [row.label for row in archive.rows] == ["Tumor", "none", "none", "none"]
    mask = archive.items()[0].decode().mask
    assert mask is not None and sorted(np.unique(mask)) == [1, 255]
    assert (mask == 1).sum() == (192**2 - 64**2) // 4


def test_asap_in_a_folder_and_renamed_classes(folder: Path, tmp_path: Path) -> None:
    (folder / "a.geojson").unlink()
    drawn = tmp_path / "drawn"
    drawn.mkdir()
    outlines = ((box(64, 256), "_0"), (box(128, 192), "_2"))
    annotations = "".join(
        f'<Annotation Name="x" Type="Polygon" PartOfGroup="{name}"><Coordinates>'
        + "".join(f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>' for n, (x, y) in enumerate(ring))
        + "</Coordinates></Annotation>"
        for ring, name in outlines
    )
    (drawn / "a.xml").write_text(f"<ASAP_Annotations>{annotations}</ASAP_Annotations>")
    more = {"polygons": drawn, "polygon_classes": ("_0=tumour", "_2=hole")}
    prepare.run(request(folder, **more, polygon_outside="none"), progress=Silent())
    archive = open_archive(folder.parent / "o.zip")
    assert [row.label for row in archive.rows].count("tumour") == 8 and len(archive.rows) == 48


def test_an_unfinished_archive_is_not_continued_with_other_polygons(folder: Path) -> None:
    wanted = request(folder, polygon_masks="background")

    def stamp() -> str:
        regions, _ = regions_of(wanted)
        files = read_files(FileSourceOptions(source=folder, reading=read_as(wanted, regions)))
        return stamp_of_items(files.items)

    before = stamp()
    assert stamp() == before
    text = (folder / "a.geojson").read_text()
    (folder / "a.geojson").write_text(text.replace("64", "68"))
    assert stamp() != before


def test_what_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match="polygons are about tiles of slides: add --tile"):
        prepare.run(request(folder, tile=None, mpp=None), progress=Silent())
    with pytest.raises(UserError, match="--polygon-masks: .*add --polygons beside"):
        prepare.run(request(folder, polygons=None, polygon_masks="ignored"), progress=Silent())
    for texts in (("Tumor",), ("=a",), ("a=b", "a=c")):
        with pytest.raises(UserError, match="give each class in the files once"):
            prepare.run(request(folder, polygon_classes=texts), progress=Silent())
    with pytest.raises(UserError, match="polygons of 0 classes"):
        prepare.run(request(folder, polygon_classes=("Tumor=", "Stroma=hole")), progress=Silent())
    (folder / "a.geojson").write_text("{")
    with pytest.raises(UserError, match="--polygons: a.geojson, line 1.* not valid JSON"):
        prepare.run(request(folder), progress=Silent())
    (folder / "c.geojson").write_text(json.dumps([feature([box(0, 99)], "Tumor")]))
    (folder / "c.tif").write_bytes((folder / "a.tif").read_bytes())
    (folder / "b.xml").touch()
    (folder / "b.geojson").write_text(json.dumps([feature([box(1, 9)], "Tumor")]))
    (folder / "b.tif").write_bytes((folder / "a.tif").read_bytes())
    with pytest.raises(
        UserError, match="2 of .* files rejected, .*a.tif: a.geojson.* not valid JSON"
    ):
        prepare.run(request(folder), progress=Silent())
    (folder / "a.geojson").unlink()
    (folder / "b.xml").unlink()
    (folder / "b.geojson").unlink()
    (folder / "c.geojson").unlink()
    with pytest.raises(UserError, match="no file of polygons beside a slide, such as a.geojson"):
        prepare.run(request(folder), progress=Silent())


def test_polygons_that_nobody_asked_for_are_told(folder: Path) -> None:
    regions, remarks = regions_of(request(folder, polygons=None))
    assert regions is None and "1 slide(s) have polygons beside them (a.tif)" in remarks[0]
    (folder / "a.geojson").unlink()
    assert regions_of(request(folder, polygons=None)) == (None, [])
