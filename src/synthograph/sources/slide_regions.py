"""What polygons that were drawn on a whole slide say of its tiles."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.overlays import COLOURS
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container
from synthograph.sources.base import Regions, SourceFile, Unmarked
from synthograph.sources.polygon_files import polygon_file, read_polygons
from synthograph.sources.polygons import HOLE, Polygons

IGNORED = 255
"""In masks: nobody said what is there."""
_MOST = 254


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn on one slide.

    Attributes:
        polygons: in pixels of the whole slide, from `corner` on.
        corner: of the scanned part of the slide in files of QuPath, else 0, 0.
        left_out: kind of what is no area with a class -> how many.
        file: that holds them; None where there is none.
    """

    polygons: Polygons = Polygons(())
    corner: tuple[float, float] = (0.0, 0.0)
    left_out: Mapping[str, int] = field(default_factory=dict)
    file: str | None = None


def drawing_of(slide: SourceFile, bounds: tuple[float, float], regions: Regions) -> Drawing:
    """The polygons of a slide; none where it has no file of them.

    Args:
        slide: the slide.
        bounds: corner of its scanned part, which QuPath counts from.
        regions: what is wanted.

    Raises:
        UnreadableError: their file is damaged, or there are two.
    """
    file = polygon_file(slide, regions.folder)
    if file is None:
        return Drawing()
    stamp = file.container.stamp(file.name)
    return _read(file, stamp, bounds, tuple(sorted(regions.renamed)))


@lru_cache(maxsize=4)
def _read(
    file: SourceFile, stamp: str, bounds: tuple[float, float], renamed: tuple[tuple[str, str], ...]
) -> Drawing:
    found = read_polygons(file.read(), file.name, dict(renamed))
    corner = bounds if found.of_bounds else (0.0, 0.0)
    return Drawing(Polygons.of(found.polygons), corner, found.left_out, file.name)


def stamp_of(slide: SourceFile, regions: Regions) -> str:
    """A text that changes with the polygons of a slide."""
    try:
        file = polygon_file(slide, regions.folder)
    except UnreadableError:
        return "two files"
    return "none" if file is None else f"{file.name} {file.container.stamp(file.name)}"


def label_tiles(
    drawing: Drawing, corners: np.ndarray, side: float, regions: Regions
) -> list[str | None]:
    """The class of each tile: that which covers the largest share of it, if that is enough; else
    what tiles outside are called.

    Args:
        drawing: what is drawn on the slide.
        corners: left and top of each tile, [n, 2], in pixels of the whole slide.
        side: of a tile.
        regions: what is wanted.
    """
    labels = []
    for x, y in (corners - drawing.corner).tolist():
        shares = drawing.polygons.shares((x, y), side, regions.ids)
        best = max(shares, key=lambda name: shares[name], default=None)
        enough = best is not None and shares[best] >= regions.share
        labels.append(best if enough else regions.outside)
    return labels


def mask_of(
    drawing: Drawing, corner: tuple[float, float], step: float, side: int, regions: Regions
) -> np.ndarray:
    """Class ids of a tile, [side, side], uint8.

    Args:
        drawing: what is drawn on the slide.
        corner: left and top of the tile, in pixels of the whole slide.
        step: pixels of the whole slide for one of the tile.
        side: of the tile in its own pixels.
        regions: what is wanted.
    """
    x, y = np.subtract(corner, drawing.corner).tolist()
    ids = drawing.polygons.paint((x, y), step, side, regions.ids)
    if regions.masks is Unmarked.IGNORED:
        ids[ids == 0] = IGNORED
    return ids


def classes_of(
    slides: Mapping[str, Container], folder: Container | None, renamed: Mapping[str, str]
) -> tuple[tuple[str, ...], list[str]]:
    """All classes of polygons on some slides, sorted, and what there is to say of them.

    Args:
        slides: name -> where it lies.
        folder: of the files of polygons; None for beside each slide.
        renamed: class in the files -> class.

    Raises:
        UserError: no slide has such a file, they hold no polygon with a class, or more classes than
            masks can hold.
    """
    classes: set[str] = set()
    left_out: Counter[str] = Counter()
    bare, damaged = list[str](), list[str]()
    regions = Regions(folder, renamed=tuple(renamed.items()))
    for name, container in slides.items():
        try:
            drawing = drawing_of(SourceFile(container, name), (0.0, 0.0), regions)
        except UnreadableError as error:  # the slide is rejected when it is cut
            damaged.append(str(error))
            continue
        classes |= {polygon.name for polygon in drawing.polygons.polygons}
        left_out.update(drawing.left_out)
        bare += [name] if drawing.file is None else []
    classes -= {HOLE}
    where = "beside a slide" if folder is None else f"in {folder}"
    if len(bare) == len(slides):
        raise UserError(
            f"--polygons: there is no file of polygons {where}, such as {_example(slides)}; give "
            "the folder that they are in"
        )
    if not classes and damaged:
        raise UserError(f"--polygons: {damaged[0]}")
    if not classes or len(classes) > _MOST:
        kinds = first_few(f"{count} {kind}" for kind, count in left_out.items()) or "nothing"
        raise UserError(
            f"--polygons: the files {where} hold polygons of {len(classes)} classes, 1 to {_MOST} "
            f"are wanted (left out: {kinds}); give polygons classes in QuPath or ASAP"
        )
    remarks = [f"{count} {kind}: left out" for kind, count in left_out.items()]
    if bare:
        remarks.append(f"{len(bare)} slide(s) have no file of polygons: {first_few(bare)}")
    return tuple(sorted(classes)), remarks


def colours_of(regions: Regions) -> dict[str, tuple[int, int, int]]:
    """Colour of each class in pictures, that of its id in pictures of masks."""
    return {name: COLOURS[k % len(COLOURS)] for k, name in enumerate(regions.classes)}


def _example(slides: Mapping[str, Container]) -> str:
    name = next(iter(slides), "slide.svs")
    return f"{name.rpartition('.')[0] or name}.geojson"
