"""Polygons of QuPath and ASAP, as these write them, and damaged ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Folder
from synthograph.sources.base import SourceFile
from synthograph.sources.polygon_files import polygon_file, read_polygons
from synthograph.sources.polygons import HOLE

RING = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]]
INNER = [[2, 2], [4, 2], [4, 4], [2, 4], [2, 2]]


def feature(geometry: Any, classification: Any = None) -> dict[str, Any]:
    told = {} if classification is None else {"classification": classification}
    return {
        "type": "Feature",
        "id": "PathAnnotationObject",
        "geometry": geometry,
        "properties": {"objectType": "annotation", **told},
    }


def area(*rings: Any) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": list(rings)}


def geojson(tree: Any, **renamed: str) -> Any:
    return read_polygons(json.dumps(tree).encode(), "a.geojson", renamed)


def asap(annotations: str, groups: str = "", **renamed: str) -> Any:
    text = (
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{annotations}</Annotations>'
        f"<AnnotationGroups>{groups}</AnnotationGroups></ASAP_Annotations>"
    )
    return read_polygons(text.encode(), "a.xml", renamed)


def annotation(group: str, kind: str = "Polygon", order: tuple[int, ...] = (0, 1, 2, 3)) -> str:
    places = ((0, 0), (10, 0), (10, 10), (0, 10))
    rows = "".join(
        f'<Coordinate Order="{n}" X="{places[n][0]}" Y="{places[n][1]}"/>' for n in order
    )
    return (
        f'<Annotation Name="one" Type="{kind}" PartOfGroup="{group}" Color="#F4FA58">'
        f"<Coordinates>{rows}</Coordinates></Annotation>"
    )


def group(name: str, above: str = "None") -> str:
    return f'<Group Name="{name}" PartOfGroup="{above}" Color="#00ff00"><Attributes/></Group>'


@pytest.mark.parametrize(
    "told",
    [
        "Tumor",
        {"name": "Tumor", "colorRGB": -3670016},
        {"name": "Tumor", "color": [200, 0, 0]},
        {"names": ["Tumor"], "color": [200, 0, 0]},
    ],
)
def test_classes_of_qupath_in_all_its_versions(told: Any) -> None:
    one = feature(area(RING, INNER), told)
    for tree in (one, [one], {"type": "FeatureCollection", "features": [one]}):
        drawn = geojson(tree)
        (polygon,) = drawn.polygons
        assert polygon.name == "Tumor" and polygon.area() == 96 and drawn.of_bounds


def test_shapes_of_qupath() -> None:
    several = {"type": "MultiPolygon", "coordinates": [[RING, INNER], [INNER]]}
    mixed = {"type": "GeometryCollection", "geometries": [area(RING), {"type": "Point"}]}
    drawn = geojson(
        [
            feature(several, "Tumor"),
            feature(mixed, "Stroma"),
            feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, "Stroma"),
            feature(area(RING)),
            feature(area(RING), "Ignore*"),
            feature(area(RING), "Artefact"),
        ],
        Artefact="",
        Stroma="stroma",
    )
    assert [(p.name, p.area()) for p in drawn.polygons] == [
        ("Tumor", 96),
        ("Tumor", 4),
        ("stroma", 100),
        (HOLE, 100),
    ]
    assert drawn.left_out == {
        "Point, which has no area": 1,
        "LineString, which has no area": 1,
        "polygons without a class": 1,
        "polygons of Artefact": 1,
    }


def test_groups_and_order_of_asap() -> None:
    drawn = asap(
        annotation("metastases")
        + annotation("fat", "Spline", (3, 1, 0, 2))
        + annotation("inner")
        + annotation("None")
        + annotation("metastases", "Dot", (0,))
        + annotation("_2"),
        group("metastases") + group("Exclusion") + group("inner", "Exclusion") + group("fat"),
        **{"_2": HOLE, "metastases": "tumour"},
    )
    assert [p.name for p in drawn.polygons] == ["tumour", "fat", HOLE, HOLE]
    assert not drawn.of_bounds
    wanted = [(0, 0), (10, 0), (10, 10), (0, 10)]
    assert all(np.array_equal(p.rings[0], wanted) for p in drawn.polygons)
    assert drawn.left_out == {"polygons without a class": 1, "Dot, which has no area": 1}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": 1}, "entry 0 is no GeoJSON feature"),
        ({"type": "FeatureCollection"}, "holds no GeoJSON features"),
        ([feature(None, "x")], "feature 0 has no geometry"),
        ([feature(area(RING[:2]), "x")], "fewer than three points"),
        ([feature(area([[0, 0], [1], [2, 2]]), "x")], "no pair of numbers"),
        ([feature(area([[0, 0], ["a", 1], [2, 2]]), "x")], "no pair of numbers"),
        ([feature(area([[0, 0], [10**400, 1], [2, 2]]), "x")], "no pair of numbers"),
        ([feature(area([[0, 0], [1e300, 1], [2, 2]]), "x")], "a place that no slide has"),
        ([feature({"type": "Polygon", "coordinates": 5}, "x")], "a geometry without places"),
        ([feature(area(RING), {"colour": 1})], None),
        ([feature(area(RING), 5)], "a classification without a name"),
    ],
)
def test_damaged_geojson(tree: Any, words: str | None) -> None:
    if words is None:
        assert geojson(tree).left_out == {"polygons without a class": 1}
        return
    with pytest.raises(UnreadableError, match=words):
        geojson(tree)


def test_damaged_xml_and_text() -> None:
    with pytest.raises(UnreadableError, match="not valid JSON: nested more deeply"):
        read_polygons(b"[" * 100_000, "a.json", {})
    with pytest.raises(UnreadableError, match="not UTF-8"):
        read_polygons(b"\xff\xfe\x01", "a.json", {})
    with pytest.raises(UnreadableError, match="XML of another program"):
        read_polygons(b"<Annotations/>", "a.xml", {})
    with pytest.raises(UnreadableError, match="not valid XML"):
        read_polygons(b"<ASAP_", "a.xml", {})
    with pytest.raises(UnreadableError, match="part of each other"):
        asap(annotation("a"), group("a", "b") + group("b", "a"))
    with pytest.raises(UnreadableError, match="fewer than three points"):
        asap(annotation("a", order=(0, 1)))
    with pytest.raises(UnreadableError, match="'one' has a coordinate that is no number"):
        asap(annotation("a").replace('X="10"', 'X="1,5"'))


def test_files_beside_slides_and_in_a_folder(tmp_path: Path) -> None:
    slide = SourceFile(Folder(tmp_path), "p1/a.svs")
    (tmp_path / "p1").mkdir()
    (tmp_path / "drawn").mkdir()
    assert polygon_file(slide, None) is None
    (tmp_path / "p1" / "a.xml").touch()
    (tmp_path / "drawn" / "a.geojson").touch()
    beside, apart = polygon_file(slide, None), polygon_file(slide, Folder(tmp_path / "drawn"))
    assert beside is not None and beside.name == "p1/a.xml"
    assert apart is not None and apart.name == "a.geojson"
    (tmp_path / "p1" / "a.json").touch()
    with pytest.raises(UnreadableError, match="two files of its polygons"):
        polygon_file(slide, None)
