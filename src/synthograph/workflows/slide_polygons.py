"""What a request for an archive wants of polygons that were drawn on whole slides."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container, Folder, open_container
from synthograph.core.untrusted.documents import JsonObject
from synthograph.sources.base import Regions, SourceFile, Unmarked
from synthograph.sources.masks import BESIDE
from synthograph.sources.polygon_files import polygon_file
from synthograph.sources.slide_regions import classes_of
from synthograph.sources.slides import SlideReader
from synthograph.workflows.requests import PrepareRequest

_ENDINGS = (*SlideReader.suffixes, ".tif", ".tiff")


def regions_of(request: PrepareRequest) -> tuple[Regions | None, list[str]]:
    """What becomes of polygons, and what there is to say of them; None where they are not wanted.

    Raises:
        UserError: an option of polygons without polygons or tiles, a rule for classes that is none,
            or no polygon is found.
    """
    wanted = request.polygons is not None
    if not wanted or request.tile is None:
        names = ("polygons", "polygon_classes", "polygon_outside", "polygon_masks")
        given = [request.flags()[name] for name in names if getattr(request, name)]
        if given:
            way = "--polygons beside (or their folder)" if not wanted else "--tile 256 --mpp 0.5"
            raise UserError(f"{', '.join(given)}: polygons are about tiles of slides: add {way}")
        return None, _hint(request) if request.tile is not None else []
    slides, renamed = _slides(request), _renamed(request.polygon_classes)
    folder = _folder(request.polygons)
    classes, remarks = classes_of(slides, folder, renamed)
    regions = Regions(
        folder=folder,
        classes=classes,
        renamed=tuple(renamed.items()),
        share=request.polygon_share,
        outside=request.polygon_outside,
        masks=None if request.polygon_masks is None else Unmarked(request.polygon_masks),
    )
    return regions, [f"polygons: {remark}" for remark in (*_said(regions), *remarks)]


def record_of(regions: Regions | None) -> JsonObject | None:
    """What the archive keeps of it."""
    if regions is None:
        return None
    return {
        "ids": regions.ids,
        "share": regions.share,
        "outside": regions.outside,
        "masks": None if regions.masks is None else str(regions.masks),
    }


def _said(regions: Regions) -> list[str]:
    outside = (
        "others are left out (--polygon-outside NAME keeps them under that label)"
        if regions.outside is None
        else f"others are {regions.outside!r}"
    )
    told = [f"a tile has the class that covers {regions.share:.0%} of it; {outside}"]
    if regions.masks is not None:
        ids = ", ".join(f"{k} {name}" for name, k in regions.ids.items())
        told.append(f"masks hold {ids}; elsewhere {regions.masks}")
    return told


def _hint(request: PrepareRequest) -> list[str]:
    """A word on files of polygons that nobody asked for."""
    there = [name for name, container in _slides(request).items() if _drawn(container, name)]
    if not there:
        return []
    return [
        f"{len(there)} slide(s) have polygons beside them ({first_few(there)}): --polygons beside "
        "makes labels of them, and --polygon-masks masks"
    ]


def _drawn(container: Container, name: str) -> bool:
    try:
        return polygon_file(SourceFile(container, name), None) is not None
    except UnreadableError:
        return True


def _slides(request: PrepareRequest) -> Mapping[str, Container]:
    source = open_container(request.source, "SOURCE")
    names = source.members().names if isinstance(source, Folder) else ()
    return {name: source for name in names if name.lower().endswith(_ENDINGS)}


def _folder(path: Path | None) -> Container | None:
    if path is None or (path == Path(BESIDE) and not path.exists()):
        return None
    return open_container(path, "--polygons")


def _renamed(texts: Sequence[str]) -> dict[str, str]:
    """Class in the files -> class, of `NAME=CLASS`."""
    renamed: dict[str, str] = {}
    for text in texts:
        name, sign, called = text.rpartition("=")
        if not (sign and name) or renamed.setdefault(name, called) != called:
            raise UserError(
                f"--polygon-classes {text!r}: give each class in the files once as NAME=CLASS, "
                "such as Tumor=tumour,_2=hole"
            )
    return renamed
