"""Exports of annotation programs that name images and areas in one file: COCO, Label Studio,
CVAT.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from jaxtyping import Bool

from synthograph.annotation import regions
from synthograph.annotation.palettes import PaletteClass
from synthograph.core.overlays import GREY
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.markup import parse_xml

MAX_AREAS = 100_000
"""Areas of one file."""
Draw = Callable[[int, int], Bool[np.ndarray, "h w"]]
"""Height and width -> the pixels of an area."""


@dataclass(frozen=True)
class Area:
    """An area of a class.

    Attributes:
        of_class: name of the class.
        draw: gives its pixels.
        order: areas of a higher one cover those of a lower one; equal ones cover those before them.
    """

    of_class: str
    draw: Draw
    order: float = 0


@dataclass(frozen=True)
class AreasOf:
    """All areas of an image.

    Attributes:
        image: file of the image, as the program calls it.
        height: of the image in pixels; `width` likewise.
        areas: in the order of the file.
        layers: how many annotations of the image the file holds; only one can be meant.
    """

    image: str
    height: int
    width: int
    areas: tuple[Area, ...]
    layers: int = 1


@dataclass(frozen=True)
class Export:
    """What a file of areas holds.

    Attributes:
        images: with their areas.
        classes: that the file names; grey where it gives them no colour.
        tasks: number of a task -> file of its image, for masks that are named by tasks.
        without_area: points, lines and tags, which no mask shows.
    """

    images: tuple[AreasOf, ...]
    classes: tuple[PaletteClass, ...] = ()
    tasks: Mapping[int, str] = field(default_factory=dict)
    without_area: int = 0


def read_coco(tree: Mapping[str, Any]) -> Export:
    """COCO: polygons and run lengths.

    Raises:
        UnreadableError: an entry is missing or of another kind than it should be, or only the box
            of an area is known.
    """
    with _entries("COCO"):
        names = {int(each["id"]): str(each["name"]) for each in tree["categories"]}
        areas: dict[int, list[Area]] = {int(each["id"]): [] for each in tree["images"]}
        if len(areas) < len(tree["images"]):
            raise UnreadableError(
                "COCO: two images have one id; nobody knows whose areas are whose"
            )
        for number, each in enumerate(tree["annotations"]):
            _refuse_many(number)
            if not (outline := each.get("segmentation")):
                raise UnreadableError(
                    f"annotation {each.get('id', number)} of COCO has no segmentation, only a box "
                    "around its area is known: draw the outline, or remove the annotation"
                )
            draw = _coco_area(outline)
            areas[int(each["image_id"])].append(Area(names[int(each["category_id"])], draw))
        images = tuple(
            AreasOf(
                str(each["file_name"]),
                int(each["height"]),
                int(each["width"]),
                tuple(areas[int(each["id"])]),
            )
            for each in tree["images"]
        )
    return Export(images, tuple(PaletteClass(name, GREY) for name in names.values()))


def _coco_area(segmentation: Any) -> Draw:  # noqa: ANN401 - data of others
    if isinstance(segmentation, dict):
        counts = segmentation["counts"]
        high, wide = (int(side) for side in segmentation["size"])
        if not isinstance(counts, str):
            counts = [int(count) for count in counts]

        def draw(height: int, width: int) -> np.ndarray:
            if (high, wide) != (height, width):
                raise UnreadableError(f"run lengths of {wide}x{high} in a {width}x{height} image")
            return regions.coco_runs(counts, height, width)

        return draw
    corners = [np.array(each, dtype=float).reshape(-1, 2) for each in segmentation]

    def fill(height: int, width: int) -> np.ndarray:
        filled = np.zeros((height, width), dtype=bool)
        for points in corners:
            filled |= regions.polygon(points, height, width)
        return filled

    return fill


def read_label_studio(tree: Sequence[Any]) -> Export:
    """Label Studio's JSON export: brushes, polygons, rectangles and ellipses of each task.

    Raises:
        UnreadableError: an entry is missing or of another kind than it should be, or an area is of
            a kind that is not drawn here.
    """
    images, tasks, names, points = [], {}, dict[str, None](), 0
    with _entries("Label Studio"):
        for task in tree:
            file = _studio_image(task["data"])
            tasks[int(task["id"])] = file
            done = [a for a in task.get("annotations", []) if not a.get("was_cancelled")]
            result = done[0]["result"] if done else []
            found = list(_studio_areas(result))
            points += sum(str(each.get("type", "")).startswith("keypoint") for each in result)
            _refuse_many(len(found))
            names |= dict.fromkeys(area.of_class for area, _ in found)
            height, width = found[0][1] if found else (0, 0)
            if {size for _, size in found} - {(height, width)}:
                raise UnreadableError(f"the areas of {file} are of images of different sizes")
            areas = tuple(area for area, _ in found)
            images.append(AreasOf(file, height, width, areas, max(len(done), 1)))
    return Export(tuple(images), tuple(PaletteClass(n, GREY) for n in names), tasks, points)


def _studio_image(data: Mapping[str, Any]) -> str:
    """The image's name: the first entry that ends like one."""
    texts = [value for value in data.values() if isinstance(value, str)]
    fitting = (t for t in texts if re.search(r"\.(?:png|tiff?|bmp|jpe?g)$", t, re.IGNORECASE))
    return next(fitting, texts[0] if texts else "")


def _studio_areas(result: Iterable[Any]) -> Iterator[tuple[Area, tuple[int, int]]]:
    """Areas, each with height and width of its image."""
    for each in result:
        kind = str(each.get("type", ""))
        if kind.startswith(_UNKNOWN_AREAS) and kind not in _STUDIO_AREAS:
            raise UnreadableError(
                f"an area of the kind {kind[:40]!r} of Label Studio is not read: give it a class "
                "as a brush, polygon, rectangle or ellipse, or remove it"
            )
        if kind not in _STUDIO_AREAS:
            continue
        value = each["value"]
        size = int(each["original_height"]), int(each["original_width"])
        if each.get("image_rotation", 0):
            raise UnreadableError("an image was rotated in Label Studio; turn it back")
        names = value[kind]
        if len(names) != 1:
            raise UnreadableError(f"an area has {len(names)} labels, a pixel has one class")
        yield Area(str(names[0]), _studio_area(kind, value, size)), size


def _studio_area(kind: str, value: Mapping[str, Any], size: tuple[int, int]) -> Draw:
    """An area of an image of that height and width, whose places are in percent."""
    if kind == "brushlabels":
        if value.get("format") != "rle":
            raise UnreadableError(f"a brush in the format {str(value.get('format'))[:40]}")
        data = value["rle"]
        return lambda height, width: regions.studio_runs(data, height, width)

    def in_pixels(percent: np.ndarray) -> np.ndarray:
        return percent / 100 * np.array([size[1], size[0]])

    if kind == "polygonlabels":
        corners = in_pixels(np.array(value["points"], dtype=float).reshape(-1, 2))
    else:
        box = kind == "rectanglelabels"
        sides = ("width", "height") if box else ("radiusX", "radiusY")
        x, y, w, h = (float(value[name]) for name in ("x", "y", *sides))
        shape = regions.box(x, y, x + w, y + h) if box else regions.ellipse(x, y, w, h)
        around, turn = in_pixels(np.array([x, y])), float(value.get("rotation", 0))
        corners = regions.turned(in_pixels(shape), turn, around)
    return lambda height, width: regions.polygon(corners, height, width)


_STUDIO_AREAS = ("brushlabels", "polygonlabels", "rectanglelabels", "ellipselabels")
_UNKNOWN_AREAS = ("brush", "polygon", "rectangle", "ellipse", "bitmask", "magicwand", "vector")
"""How the kinds of Label Studio begin that have an area, with a class of their own or without."""
_WITHOUT_AREA = ("tag", "points", "polyline", "skeleton")
"""Of CVAT."""


def read_cvat(data: bytes, where: str) -> Export:
    """CVAT's XML for images: polygons, boxes, ellipses and masks.

    Raises:
        UserError: it is no XML, or declares entities.
        UnreadableError: an entry is missing or of another kind, or an area is of a kind that is
            not drawn here.
    """
    root = parse_xml(data, where)
    with _entries("CVAT"):
        classes = tuple(
            PaletteClass(str(each.findtext("name")), _hex(each.findtext("color") or "#808080"))
            for each in root.iter("label")
            if each.findtext("name")
        )
        images, others = [], 0
        for each in root.iter("image"):
            _refuse_many(len(each))
            areas = tuple(_cvat_area(shape) for shape in each if shape.tag not in _WITHOUT_AREA)
            others += len(each) - len(areas)
            height, width = int(each.attrib["height"]), int(each.attrib["width"])
            images.append(AreasOf(each.attrib["name"], height, width, areas))
    return Export(tuple(images), classes, without_area=others)


def _hex(text: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(text.lstrip("#"))
    return red, green, blue


def _cvat_area(shape: Element) -> Area:
    of, turn = shape.attrib, float(shape.attrib.get("rotation", 0))
    order = float(of.get("z_order", 0))
    if shape.tag == "mask":
        box = tuple(int(float(of[name])) for name in ("left", "top", "width", "height"))
        counts = [int(count) for count in of["rle"].split(",")]
        left, top, wide, high = box
        return Area(
            of["label"],
            lambda h, w: regions.box_runs(counts, (left, top, wide, high), h, w),
            order,
        )
    if shape.tag == "polygon":
        pairs = [pair.split(",") for pair in of["points"].split(";")]
        points = np.array(pairs, dtype=float)
    elif shape.tag == "box":
        x, y, x2, y2 = (float(of[name]) for name in ("xtl", "ytl", "xbr", "ybr"))
        points = regions.turned(regions.box(x, y, x2, y2), turn, np.array([x + x2, y + y2]) / 2)
    elif shape.tag == "ellipse":
        x, y, w, h = (float(of[name]) for name in ("cx", "cy", "rx", "ry"))
        points = regions.turned(regions.ellipse(x, y, w, h), turn, np.array([x, y]))
    else:
        raise UnreadableError(
            f"a shape of the kind {shape.tag[:40]!r} of CVAT is not read: draw it as a polygon, "
            "box, ellipse or mask, or remove it"
        )
    return Area(of["label"], lambda h, w: regions.polygon(points, h, w), order)


def _refuse_many(number: int) -> None:
    if number >= MAX_AREAS:
        raise UnreadableError(f"holds more than {MAX_AREAS} areas")


@contextlib.contextmanager
def _entries(program: str) -> Iterator[None]:
    """Whatever data of others lack becomes the reason why they are unreadable."""
    try:
        yield
    except KeyError as error:
        raise UnreadableError(f"is no sound export of {program} ({error} is missing)") from error
    except (TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        raise UnreadableError(f"is no sound export of {program} ({str(error)[:100]})") from error
