"""Masks that people painted, as class ids: which files of a folder are masks of which images, and
what their colours, numbers and areas mean.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

import numpy as np
from jaxtyping import Bool, Int, UInt8

from synthograph.annotation import exports
from synthograph.annotation.exports import Area, AreasOf, Export
from synthograph.annotation.palettes import (
    UNKNOWN,
    Palette,
    PaletteClass,
    read_palette,
    unknown_words,
)
from synthograph.annotation.volumes import LabelImage, read_nifti, read_nrrd
from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import parse_json
from synthograph.sources.masks import KNOWN
from synthograph.sources.raster import Painting, read_painting
from synthograph.sources.readers import stem_key
from synthograph.stats.masks import IGNORED

LABELMAP = "labelmap.txt"
_SKIPPED = ("SegmentationObject", "JPEGImages", "images")
"""Folders of exports of CVAT that hold something else than masks of classes."""
_TASK = re.compile(r"task-(\d+)-annotation-\d+-.*?tag-(.+)-(\d+)\.png")
"""How Label Studio names the PNG of an area."""
_UPLOAD = re.compile(r"^[0-9a-f]{8}-")
"""What Label Studio puts before the name of an uploaded file."""
MOST_DIFFERENT = 0.1
"""Share of the painted pixels of which the panels of a sheet may say different classes."""


@dataclass(frozen=True)
class Size:
    """Of the images of a set: pixels, and how many modalities stand side by side on a sheet."""

    height: int
    width: int
    panels: int

    def check(self, height: int, width: int, where: str) -> None:
        """Refuse another size.

        Raises:
            UserError: it is neither that of an image nor that of a sheet.
        """
        if height != self.height or width not in {self.width, self.width * self.panels}:
            sheet = f" or {self.width * self.panels}x{self.height}" if self.panels > 1 else ""
            raise UserError(
                f"{where}: is {width}x{height} pixels, the images are {self.width}x{self.height}"
                f"{sheet}: paint on the image as it is, without resizing or cutting it"
            )


@dataclass(frozen=True)
class Reading:
    """How masks are read.

    Attributes:
        palette: what colours, numbers and names mean.
        size: of the images.
        tolerance: largest difference of a channel from the colour of a class.
        ignore_unknown: whether pixels of other colours are ignored instead of refused.
    """

    palette: Palette
    size: Size
    tolerance: int = 0
    ignore_unknown: bool = False


@dataclass(frozen=True)
class ReadMask:
    """A mask as class ids.

    Attributes:
        ids: of the classes; `IGNORED` where nobody says.
        notes: what was done to pixels -> how many.
    """

    ids: UInt8[np.ndarray, "h w"]
    notes: Mapping[str, int]


@dataclass(frozen=True)
class MaskFile:
    """A file, or a part of one, that is the mask of an image.

    Attributes:
        image: name of the image as the file has it, without folder and ending.
        source: file, for messages.
        read: makes class ids of it.
        classes: that the file names itself, without what its numbers mean elsewhere.
        shown: its colours, to recognise an image that was not painted; None where there are none.
    """

    image: str
    source: str
    read: Callable[[Reading], ReadMask]
    classes: tuple[PaletteClass, ...] = ()
    shown: UInt8[np.ndarray, "h w 3"] | None = None


@dataclass(frozen=True)
class Found:
    """What a folder of masks holds.

    Attributes:
        files: the masks.
        classes: that its files name; empty where none does.
        others: files that are no masks.
        without_area: points, lines and tags that files of areas hold.
    """

    files: tuple[MaskFile, ...]
    classes: tuple[PaletteClass, ...]
    others: tuple[str, ...]
    without_area: int = 0


def find_masks(container: Container) -> Found:
    """Look for masks in a folder or zip file, by the endings and the content of its files.

    Raises:
        UserError: a file cannot be read.
    """
    found, pieces = list[MaskFile](), list[_Piece]()
    classes, others = list[PaletteClass](), list[str]()
    tasks, drawn, without_area = dict[int, str](), set[str](), 0
    for name in container.members().names:
        where = f"{container}/{name}"
        try:
            if PurePosixPath(name).name == LABELMAP:
                classes += read_palette(container.read(name), where).classes
            elif (export := _export(container, name)) is not None:
                found += [_of_areas(areas, where) for areas in export.images if areas.areas]
                drawn |= {areas.image for areas in export.images if areas.areas}
                tasks |= export.tasks
                without_area += export.without_area
                classes += export.classes
            elif (match := _TASK.fullmatch(PurePosixPath(name).name)) is not None:
                pieces.append(_Piece(int(match[1]), match[2], where, container.read(name)))
            elif (single := _single(container, name, where)) is not None:
                found.append(single)
                classes += single.classes
            else:
                others.append(name)
        except UnreadableError as error:
            raise UserError(f"{where}: {error}") from None
    found += _of_pieces([p for p in pieces if tasks.get(p.task) not in drawn], tasks)
    named = {each.name.casefold(): each for each in reversed(classes)}
    first = {each.name.casefold(): each for each in classes}
    own = tuple(named[name] for name in first)
    if not _numbered(classes):
        own = tuple(replace(each, value=None) for each in own)
    return Found(tuple(found), own, tuple(others), without_area)


def _numbered(classes: Sequence[PaletteClass]) -> bool:
    """Whether every class has a number of its own, the same in all files: files of 3D Slicer may
    number their segments each for itself, and then names alone say what is what.
    """
    pairs = {(each.name.casefold(), each.value) for each in classes}
    names, values = ({pair[place] for pair in pairs} for place in (0, 1))
    return None not in values and len(names) == len(values) == len(pairs)


def _export(container: Container, name: str) -> Export | None:
    """What a file of areas holds; None for files of other kinds."""
    if name.lower().endswith(".xml"):
        return exports.read_cvat(container.read(name), f"{container}/{name}")
    if not name.lower().endswith(".json"):
        return None
    text = container.read(name).decode("utf-8-sig", errors="replace")
    tree = parse_json(text, f"{container}/{name}")
    if isinstance(tree, dict) and {"images", "annotations", "categories"} <= tree.keys():
        return exports.read_coco(tree)
    studio = isinstance(tree, list) and all(isinstance(each, dict) for each in tree)
    if studio and all({"id", "data"} <= each.keys() for each in tree):
        return exports.read_label_studio(tree)
    return None


def _single(container: Container, name: str, where: str) -> MaskFile | None:
    """A file that is a mask by itself; None for files of other kinds.

    Raises:
        UnreadableError: it is damaged.
    """
    path, lowered = PurePosixPath(name), name.lower()
    if {*path.parts[:-1]} & {*_SKIPPED}:
        return None
    volume = next((ending for ending in _VOLUMES if lowered.endswith(ending)), None)
    if volume is not None:
        labels = _VOLUMES[volume](container.read(name))
        stem = path.name[: -len(volume)]
        return MaskFile(
            stem, where, lambda how: _of_volume(labels, where, how), classes=labels.classes
        )
    if not lowered.endswith((".png", ".tif", ".tiff", ".bmp")):
        return None
    painting = read_painting(container.read(name))
    return MaskFile(
        stem_key(path.name),
        where,
        lambda how: _of_painting(painting, where, how),
        shown=painting.colours,
    )


@dataclass(frozen=True)
class _Piece:
    """An area that Label Studio exports as a file: its task, class, name and bytes."""

    task: int
    of_class: str
    where: str
    data: bytes


def _of_pieces(pieces: Sequence[_Piece], tasks: Mapping[int, str]) -> Iterator[MaskFile]:
    """Masks of areas that lie in a file each.

    Raises:
        UserError: nothing says which image a task is of.
    """
    for task in dict.fromkeys(piece.task for piece in pieces):
        own = [piece for piece in pieces if piece.task == task]
        if task not in tasks:
            raise UserError(
                f"{own[0].where}: is named by a task of Label Studio and not by its image; put the "
                "JSON export of the same project beside it"
            )
        areas = []
        for piece in own:
            try:
                values = read_painting(piece.data).values
            except UnreadableError as error:
                raise UserError(f"{piece.where}: {error}") from None
            if values is None:
                raise UserError(f"{piece.where}: is in colour, areas of Label Studio are grey")
            areas.append(Area(piece.of_class, partial(_same_size, values > 0)))
            height, width = values.shape
        yield _of_areas(AreasOf(tasks[task], height, width, tuple(areas)), own[0].where)


def _same_size(area: Bool[np.ndarray, "a b"], height: int, width: int) -> Bool[np.ndarray, "h w"]:
    if area.shape != (height, width):
        raise UnreadableError("areas of one task have different sizes")
    return area


def _of_areas(areas: AreasOf, where: str) -> MaskFile:
    image = stem_key(PurePosixPath(areas.image.replace("\\", "/")).name)
    source = f"{where}: {image}"
    if areas.layers > 1:
        raise UserError(
            f"{source} was annotated {areas.layers} times; export one annotation of each image, "
            "and import those of another painter with --painter"
        )
    return MaskFile(image, source, lambda how: _drawn(areas, source, how))


def _drawn(areas: AreasOf, where: str, how: Reading) -> ReadMask:
    """Areas one over the other, those of a higher order and later ones on top."""
    how.size.check(areas.height, areas.width, where)
    ids = np.zeros((areas.height, areas.width), dtype=np.int64)
    covered = 0
    for area in sorted(areas.areas, key=lambda each: each.order):
        number = how.palette.number(area.of_class, where)
        try:
            inside = area.draw(areas.height, areas.width)
        except UnreadableError as error:
            raise UserError(f"{where}: {error}") from None
        covered += int((inside & (ids > 0) & (ids != number)).sum())
        ids[inside] = number
    return _folded(ids, where, how.size, {"covered by a later area": covered})


def _of_volume(labels: LabelImage, where: str, how: Reading) -> ReadMask:
    """Numbers of a label image, by the names of its classes where it has them."""
    layers = _pasted(labels, how.size)
    _, height, width = layers.shape
    how.size.check(height, width, where)
    notes = {"turned to rows and columns": layers[0].size * labels.turned}
    if not labels.classes:
        ids = how.palette.of_values(layers[0])
        return _settled(ids, layers[0], where, how, notes)
    ids = np.where((layers != 0).any(0), UNKNOWN, 0)
    taken = np.zeros(ids.shape, dtype=bool)
    for each, layer in zip(labels.classes, labels.layer, strict=True):
        inside = layers[min(layer, len(layers) - 1)] == each.value
        if (inside & taken).any():
            raise UserError(
                f"{where}: {int((inside & taken).sum())} pixels are in {each.name!r:.80} and in "
                "another segment; let no segments overlap"
            )
        taken |= inside
        if inside.any():
            ids[inside] = how.palette.number(each.name, where)
    return _settled(ids, layers.max(0), where, how, notes)


def _pasted(labels: LabelImage, size: Size) -> np.ndarray:
    """The layers in the whole picture, where the file holds a part of it."""
    height, width = labels.layers.shape[1:]
    row, column = labels.offset or (0, 0)
    whole = size.width if column + width <= size.width else size.width * size.panels
    if labels.offset is None or min(row, column) < 0:
        return labels.layers
    if row + height > size.height or column + width > whole:
        return labels.layers
    pasted = np.zeros((len(labels.layers), size.height, whole), labels.layers.dtype)
    pasted[:, row : row + height, column : column + width] = labels.layers
    return pasted


def _of_painting(painting: Painting, where: str, how: Reading) -> ReadMask:
    """Colours or numbers of a picture.

    Colours of the palette decide where all of them are in it. Else indices of a palette file go by
    colours nearby, if these tell them apart; else numbers count; else colours nearby.
    """
    how.size.check(*painting.size, where)
    clear = np.zeros(painting.size, bool) if painting.clear is None else painting.clear
    notes = {"transparent, taken for background": int(clear.sum())}
    values, colours, palette = painting.values, painting.colours, how.palette
    for ids, name in _meanings(painting, how):
        ids[clear] = 0
        if (ids != UNKNOWN).all():
            return _settled(ids, _shown(painting), where, how, {**notes, name: int(ids.size)})
    if colours is None:
        assert values is not None, "a painting has values or colours"
        ids = near = palette.of_values(values)
    else:
        ids, near = palette.of_colours(colours), palette.of_colours(colours, how.tolerance)
    near[clear], ids[clear] = 0, 0
    notes[f"snapped to a colour at most {how.tolerance} away"] = int((near != ids).sum())
    return _settled(near, _shown(painting), where, how, notes)


def _meanings(painting: Painting, how: Reading) -> Iterator[tuple[Int[np.ndarray, "h w"], str]]:
    """What the picture may mean, the surest first, and what a report says of it."""
    values, colours, palette = painting.values, painting.colours, how.palette
    if colours is not None:
        yield palette.of_colours(colours), ""
    if values is None:
        return
    if painting.indexed and colours is not None and how.tolerance:
        near = palette.of_colours(colours, how.tolerance)
        if _tells_apart(values, near):
            yield near, f"snapped to a colour at most {how.tolerance} away"
    if not any(each.greys for each in palette.classes):
        numbers = palette.of_values(values)
        if {*np.unique(values)} - {0, IGNORED}:
            numbers[(values == IGNORED) & (numbers == UNKNOWN)] = IGNORED
        yield numbers, "read as numbers of classes"


def _tells_apart(values: np.ndarray, ids: Int[np.ndarray, "h w"]) -> bool:
    """Whether other values always mean other classes."""
    pairs = np.unique(np.stack((values.reshape(-1), ids.reshape(-1)), 1), axis=0)
    return len(np.unique(pairs[:, 1])) == len(pairs)


def _shown(painting: Painting) -> np.ndarray:
    shown = painting.values if painting.colours is None else painting.colours
    assert shown is not None, "a painting has values or colours"
    return shown


def _settled(
    ids: Int[np.ndarray, "h w"],
    shown: np.ndarray,
    where: str,
    how: Reading,
    notes: Mapping[str, int],
) -> ReadMask:
    """Refuse what no class has, or ignore it where that was asked for.

    Raises:
        UserError: colours or numbers that stand for no class.
    """
    unknown = ids == UNKNOWN
    if unknown.any() and not how.ignore_unknown:
        raise UserError(
            f"{unknown_words(ids, shown, where, how.palette)}; repaint it without soft edges, name "
            "it in the palette, or add --tolerance N (nearby colours) or --ignore-unknown"
        )
    ids = np.where(unknown, IGNORED, ids)
    more = {"of unknown colour, ignored": int(unknown.sum())}
    return _folded(ids, where, how.size, {**notes, **more})


def _folded(
    ids: Int[np.ndarray, "h w"], where: str, size: Size, notes: Mapping[str, int]
) -> ReadMask:
    """One mask of all panels of a sheet: a class counts wherever it was painted; where panels say
    different classes, nobody knows.

    Raises:
        UserError: they do so in more than `MOST_DIFFERENT` of what was painted.
    """
    panels = np.stack(np.split(ids, ids.shape[1] // size.width, axis=1))
    painted = np.where(panels == 0, -1, panels)
    top = painted.max(0)
    lowest = np.where(painted < 0, top, painted).min(0)
    different = (lowest != top) & (top > 0)
    if different.sum() > MOST_DIFFERENT * max((top > 0).sum(), 1):
        raise UserError(
            f"{where}: the modalities side by side are painted with different classes in "
            f"{different.sum() / (top > 0).sum():.0%} of the painted pixels: paint every area on "
            "one of them, or on all alike"
        )
    folded = np.where(different, IGNORED, np.maximum(top, 0)).astype(np.uint8)
    more = {"different in two modalities, ignored": int(different.sum())}
    return ReadMask(folded, {k: n for k, n in {**notes, **more}.items() if k and n})


def pair(
    found: Iterable[MaskFile], ids: Sequence[str], modalities: Sequence[str]
) -> tuple[dict[str, MaskFile], list[str]]:
    """Id of an image -> its mask, and files that belong to no image.

    A mask is called like the image, perhaps with a modality, a word such as `_mask` or what Label
    Studio puts before it.

    Raises:
        UserError: two files are masks of one image.
    """
    known = {name.casefold(): name for name in ids}
    pairs: dict[str, MaskFile] = {}
    strangers = []
    for file in found:
        name = next((known[n] for n in _names(file.image, modalities) if n in known), None)
        if name is None:
            strangers.append(file.source)
            continue
        other = pairs.get(name)
        if other is not None and _plain(other, name) == _plain(file, name):
            raise UserError(
                f"{file.source} and {other.source} are both masks of {name}: leave one of them out"
            )
        if other is None or _plain(other, name):  # x.png beside x_mask.png is the image
            pairs[name] = file
    return pairs, strangers


def _plain(file: MaskFile, name: str) -> bool:
    return file.image.casefold() == name.casefold()


def _names(stem: str, modalities: Sequence[str]) -> Iterator[str]:
    """What an image may be called whose mask has this name, in lower case."""
    for text in dict.fromkeys((stem, _UPLOAD.sub("", stem))):
        for bare in dict.fromkeys((text, KNOWN.sub("", text))):
            yield bare.casefold()
            for modality in modalities:
                for mark in (".", "_", "-"):
                    if bare.endswith(mark + modality):
                        yield bare[: -len(mark + modality)].casefold()


_VOLUMES: Mapping[str, Callable[[bytes], LabelImage]] = {
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".seg.nrrd": read_nrrd,
    ".nrrd": read_nrrd,
}
