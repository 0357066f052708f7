"""Files of polygons that were drawn on a slide: GeoJSON of QuPath, XML of ASAP."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import as_text, parse_json
from synthograph.core.untrusted.markup import MAX_XML_BYTES, parse_xml
from synthograph.sources.base import SourceFile
from synthograph.sources.polygons import HOLE, Polygon

SUFFIXES = (".geojson", ".json", ".xml")
_HOLES = frozenset(("hole", "holes", "exclude", "excluded", "exclusion", "exclusions"))
_MAX_POINTS = 5_000_000
_MAX_PLACE = 1e7  # pixels; no slide is as large
_WAY = "export it again, as GeoJSON of QuPath or XML of ASAP"


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a file holds.

    Attributes:
        polygons: those that have a class.
        left_out: kind of what is no area with a class -> how many.
        of_bounds: whether places are counted from the corner of the scanned part of the slide, as
            QuPath does; else from that of the whole slide, as ASAP does.
    """

    polygons: tuple[Polygon, ...]
    left_out: Mapping[str, int]
    of_bounds: bool


def read_polygons(data: bytes, name: str, renamed: Mapping[str, str]) -> Drawn:
    """The polygons of a file.

    Args:
        data: the whole file.
        name: of the file, by whose ending its format goes.
        renamed: class in the file -> class; nothing for polygons that are left out, `hole` for
            those that cut others.

    Raises:
        UnreadableError: neither of both formats, damaged, or too large.
    """
    if len(data) > MAX_XML_BYTES:
        raise UnreadableError(f"{name}: is larger than {MAX_XML_BYTES >> 20} MiB")
    xml = name.lower().endswith(".xml")
    try:
        found = _asap(parse_xml(data, name)) if xml else _geojson(_json(data, name), name)
        return _classed(found, renamed, of_bounds=not xml)
    except UserError as error:
        raise UnreadableError(str(error)) from None
    except _DamagedError as error:
        raise UnreadableError(f"{name}: {error}; {_WAY}") from None


def polygon_file(slide: SourceFile, folder: Container | None) -> SourceFile | None:
    """The file of polygons that is called like a slide, beside it or in a folder of such files,
    where it may lie below the same sub-folders; None where there is none.

    Raises:
        UnreadableError: there are two.
    """
    stem = slide.name.rpartition(".")[0] or slide.name
    stems = dict.fromkeys((stem, stem.rpartition("/")[2]) if folder else (stem,))
    files = [SourceFile(folder or slide.container, s + end) for s in stems for end in SUFFIXES]
    found = [file for file in files if _is_there(file)]
    if len(found) > 1:
        raise UnreadableError(
            f"there are two files of its polygons, {found[0].name} and {found[1].name}: keep one"
        )
    return found[0] if found else None


def _is_there(file: SourceFile) -> bool:
    path = file.local()
    if path is not None:
        return path.is_file()
    try:
        return bool(file.head())
    except UnreadableError:
        return False


class _DamagedError(Exception):
    """What is wrong with a file of polygons."""


Found = Iterator[tuple[str | None, str, Sequence[np.ndarray]]]
"""Class, kind of shape, and rings; no rings of what is no area."""


def _classed(found: Found, renamed: Mapping[str, str], *, of_bounds: bool) -> Drawn:
    polygons: list[Polygon] = []
    left_out: Counter[str] = Counter()
    points = 0
    for name, kind, rings in found:
        points += sum(map(len, rings))
        if points > _MAX_POINTS:
            raise _DamagedError(f"has more than {_MAX_POINTS} points")
        called = None if name is None else renamed.get(name, _usual(name))
        if not rings:
            left_out[f"{kind}, which has no area"] += 1
        elif not called:
            left_out["polygons without a class" if name is None else f"polygons of {name}"] += 1
        else:
            polygons.append(Polygon(called, tuple(rings)))
    return Drawn(tuple(polygons), left_out, of_bounds)


def _usual(name: str) -> str:
    """Classes that cut others by their names: holes, and those that QuPath ignores (`Ignore*`)."""
    return HOLE if name.lower() in _HOLES or name.endswith("*") else name


def _json(data: bytes, name: str) -> Any:  # noqa: ANN401 - JSON
    return parse_json(as_text(data, name, _WAY), name)


def _geojson(tree: Any, name: str) -> Found:  # noqa: ANN401 - JSON
    """What a FeatureCollection, a list of features or a single one holds (RFC 7946)."""
    if isinstance(tree, dict) and tree.get("type") == "FeatureCollection":
        tree = tree.get("features")
    features = [tree] if isinstance(tree, dict) else tree
    if not isinstance(features, list):
        raise _DamagedError("holds no GeoJSON features")
    for number, feature in enumerate(features):
        if not (isinstance(feature, dict) and feature.get("type") == "Feature"):
            raise _DamagedError(f"entry {number} is no GeoJSON feature")
        try:
            called = _class_of(feature.get("properties"))
            for kind, rings in _shapes(feature.get("geometry")):
                yield called, kind, rings
        except _DamagedError as error:
            raise _DamagedError(f"feature {number} {error}") from None


def _class_of(properties: Any) -> str | None:  # noqa: ANN401 - JSON
    """The class of an object of QuPath: a name, an object with one, or (0.5) with several."""
    told = properties.get("classification") if isinstance(properties, dict) else None
    if isinstance(told, dict):
        several = told.get("names")
        joined = ": ".join(map(str, several)) if isinstance(several, list) else None
        told = told.get("name", joined)
    if told is not None and not isinstance(told, str):
        raise _DamagedError("has a classification without a name")
    return told or None


def _shapes(geometry: Any) -> Iterator[tuple[str, list[np.ndarray]]]:  # noqa: ANN401 - JSON
    """Kind of shape and rings of every part of a geometry."""
    if not isinstance(geometry, dict):
        raise _DamagedError("has no geometry")
    kind, places = str(geometry.get("type"))[:40], geometry.get("coordinates")
    if kind == "GeometryCollection":
        for inner in _listed(geometry.get("geometries")):
            yield from _shapes(inner)
    elif kind == "Polygon":
        yield kind, [_ring(ring) for ring in _listed(places)]
    elif kind == "MultiPolygon":
        for polygon in _listed(places):
            yield kind, [_ring(ring) for ring in _listed(polygon)]
    else:
        yield kind, []


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    if not isinstance(value, list):
        raise _DamagedError("has a geometry without places")
    return value


def _ring(places: Any) -> np.ndarray:  # noqa: ANN401 - JSON
    try:
        ring = np.array([place[:2] for place in _listed(places)], np.float64)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise _DamagedError("has a place that is no pair of numbers") from None
    return _checked(ring)


def _checked(ring: np.ndarray) -> np.ndarray:
    if ring.ndim != 2 or ring.shape[1] != 2 or len(ring) < 3:
        raise _DamagedError("has an outline of fewer than three points")
    if not np.isfinite(ring).all() or np.abs(ring).max() > _MAX_PLACE:
        raise _DamagedError("has a place that no slide has")
    return ring


def _asap(root: Element) -> Found:
    """Annotations of ASAP; the class of each is its group, and a group in one of holes is one."""
    if root.tag != "ASAP_Annotations":
        raise _DamagedError(f"is XML of another program (it begins with {root.tag[:40]!r})")
    above = {g.get("Name", ""): g.get("PartOfGroup", "None") for g in root.iter("Group")}
    for annotation in root.iter("Annotation"):
        kind = annotation.get("Type", "Polygon")[:40]
        group = annotation.get("PartOfGroup", "None")
        called = None if group == "None" else _with_holes(group, above)
        if kind in ("Polygon", "Rectangle", "Spline"):
            yield called, kind, [_places(annotation)]
        else:
            yield called, kind, []


def _with_holes(group: str, above: Mapping[str, str]) -> str:
    place, seen = group, {group}
    while place not in ("None", ""):
        if place.lower() in _HOLES:
            return HOLE
        place = above.get(place, "None")
        if place in seen:
            raise _DamagedError(f"has groups that are part of each other ({place[:40]!r})")
        seen.add(place)
    return group


def _places(annotation: Element) -> np.ndarray:
    try:
        rows = [
            tuple(float(c.get(key, "")) for key in ("Order", "X", "Y"))
            for c in annotation.iter("Coordinate")
        ]
    except ValueError:
        name = annotation.get("Name", "")[:40]
        raise _DamagedError(f"annotation {name!r} has a coordinate that is no number") from None
    ordered = np.array(sorted(rows, key=lambda row: row[0]), np.float64).reshape(-1, 3)
    return _checked(ordered[:, 1:])
