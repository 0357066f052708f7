"""Masks that people painted become those of an annotation set: all are checked, then written."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import UInt8

from synthograph.annotation.importing import (
    Found,
    MaskFile,
    Reading,
    ReadMask,
    Size,
    find_masks,
    pair,
)
from synthograph.annotation.palettes import (
    BUILT_IN,
    Palette,
    background_first,
    of_names,
    read_palette,
)
from synthograph.archive.png import decode_png
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_unwritable_folder
from synthograph.core.locks import Lock
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.containers import open_container
from synthograph.core.untrusted.documents import read_bounded
from synthograph.report.words import several
from synthograph.results.annotations import (
    IMAGES,
    PALETTE,
    AnnotatedImage,
    AnnotationSet,
    MaskClass,
    PaintedMask,
)
from synthograph.stats.masks import IGNORED
from synthograph.workflows.annotate_requests import AnnotateImportRequest
from synthograph.workflows.annotation_pictures import write_painted
from synthograph.workflows.annotation_sets import NAME, OpenSet, mask_digest
from synthograph.workflows.tables import rows_lines

MAX_PALETTE_BYTES = 1 << 20
MAX_LINES = 24
"""Images of the table that is printed."""


@dataclass(frozen=True, repr=False)
class AnnotateImportResult(Result):
    """Masks that were imported.

    Attributes:
        folder: the annotation set.
        about: its record now.
        shares: id of an imported image -> share of its pixels of every class, and of those that
            count for no class.
        notes: what was done to pixels and files, and warnings.
        written: whether anything was written.
    """

    folder: Path
    about: AnnotationSet
    shares: Mapping[str, Sequence[float]]
    notes: Sequence[str] = field(default=())
    written: bool = True

    def lines(self) -> Iterator[str]:
        """Class shares of each image, notes, and how many masks the set has."""
        head = ("image", *(each.name for each in self.about.classes), "ignored")
        shown = list(self.shares.items())[:MAX_LINES]
        rows = ((name, *(f"{share:.1%}" for share in shares)) for name, shares in shown)
        yield from rows_lines(head, rows, framed=False)
        if len(self.shares) > MAX_LINES:
            yield f"and {len(self.shares) - MAX_LINES} more"
        yield from self.notes
        what = "would have" if not self.written else "has"
        painted, count = len(self.about.painted), len(self.about.images)
        yield f"{self.folder}: {what} {several(painted, 'mask')} of {several(count, 'image')}"


def run(request: AnnotateImportRequest, *, progress: Progress) -> AnnotateImportResult:
    """Find, check and write masks.

    Raises:
        UserError: a mask cannot be read, does not fit its image or the classes, or is there
            already; then nothing is written.
    """
    opened = OpenSet.read(request.annotations)
    if not NAME.fullmatch(request.painter):
        raise UserError(
            f"--painter {request.painter!r:.80}: becomes the name of a folder: use letters, "
            "digits, '-', '_' or '.'"
        )
    found = find_masks(open_container(request.masks, "--masks"))
    palette = _palette(request, opened, found)
    pairs, notes = _pairs(opened, found, request.masks)
    read, more = _read(opened, pairs, palette, request, progress)
    about = _recorded(opened, pairs, read, palette, request)
    shares = {name: class_shares(mask.ids, len(about.classes)) for name, mask in read.items()}
    warnings = [*notes, *more, *unchecked(OpenSet(opened.folder, about), read)]
    result = AnnotateImportResult(
        request.annotations, about, shares, tuple(warnings), not request.dry_run
    )
    if not request.dry_run:
        write_masks(opened, about, {n: m.ids for n, m in read.items()}, request.painter, palette)
    return result


def _palette(request: AnnotateImportRequest, opened: OpenSet, found: Found) -> Palette:
    """The classes: as given, else those of the set, else those that the files name.

    Raises:
        UserError: nothing says what the classes are, or the palette cannot be read.
    """
    if request.palette is not None and request.palette in BUILT_IN:
        return BUILT_IN[request.palette]
    own = opened.folder / PALETTE
    if request.palette is not None or own.is_file():
        path = own if request.palette is None else Path(request.palette)
        if not path.is_file():
            raise UserError(
                f"--palette {path}: no such file; give a file, or {' or '.join(BUILT_IN)}"
            )
        expected = "a palette, such as NAME.json"
        return read_palette(read_bounded(path, expected, limit=MAX_PALETTE_BYTES), str(path))
    if not found.classes:
        raise UserError(
            "--palette is missing: nothing says what the colours and numbers of the masks mean; "
            'give a file such as {"background": "#000000", "iris": "#0000ff"}'
        )
    classes = background_first(found.classes)
    if len({each.colour for each in classes}) < len(classes):
        return of_names([each.name for each in classes])
    return Palette(tuple(classes))


def _pairs(opened: OpenSet, found: Found, masks: Path) -> tuple[dict[str, MaskFile], list[str]]:
    """Id of an image -> its mask, and what is said of files that are none.

    Raises:
        UserError: no file is a mask of an image of the set.
    """
    ids = [each.id for each in opened.about.images]
    pairs, strangers = pair(found.files, ids, list(opened.about.modalities))
    bare = [n for n, file in pairs.items() if _is_sheet(opened, n, file)]
    for name in bare:
        del pairs[name]
    if not pairs:
        files = [*strangers, *found.others]
        seen = f" (it holds {first_few(files)})" if files else ""
        unpainted = f"; {several(len(bare), 'file')} are images as they were drawn" if bare else ""
        raise UserError(
            f"--masks {masks}: no file is a mask of an image of {opened.folder}{seen}{unpainted}; "
            f"call masks like the images, such as {ids[0]}.png"
        )
    left_out = {
        "without paint": bare,
        "of no image of the set": strangers,
        "of another kind": found.others,
    }
    notes = [
        f"not read: {several(len(files), 'file')} {why}, such as {files[0]}"
        for why, files in left_out.items()
        if files
    ]
    if found.without_area:
        shapes = several(found.without_area, "point, line or tag", "points, lines or tags")
        notes.append(f"not drawn: {shapes}, which have no area")
    return pairs, notes


def _is_sheet(opened: OpenSet, name: str, file: MaskFile) -> bool:
    """Whether a file is the image itself, which nobody painted."""
    about = opened.about
    if file.shown is None:
        return False
    for ending in ("", *(f".{modality}" for modality in about.modalities)):
        path = opened.folder / IMAGES / f"{name}{ending}.png"
        if path.is_file():
            pixels = decode_png(path.read_bytes(), str(path))
            same_size = pixels.shape[:2] == file.shown.shape[:2]
            if same_size and pixels.dtype == np.uint8 and (file.shown == pixels).all():
                return True
    return False


def _read(
    opened: OpenSet,
    pairs: Mapping[str, MaskFile],
    palette: Palette,
    request: AnnotateImportRequest,
    progress: Progress,
) -> tuple[dict[str, ReadMask], list[str]]:
    """Class ids of all masks in the order of the set, and what was done to their pixels."""
    about = opened.about
    how = Reading(
        palette,
        Size(about.height, about.width, len(about.modalities)),
        request.tolerance,
        request.ignore_unknown,
    )
    names = [each.id for each in about.images if each.id in pairs]
    read, pixels = dict[str, ReadMask](), dict[str, list[int]]()
    for name in progress.track("reading")(names, len(names)):
        read[name] = pairs[name].read(how)
        for note, count in read[name].notes.items():
            pixels.setdefault(note, []).append(count)
    notes = [
        f"{note}: {several(sum(counts), 'pixel')} in {several(len(counts), 'mask')}"
        for note, counts in pixels.items()
    ]
    empty = [name for name in names if not read[name].ids.any()]
    if empty:
        notes.append(
            f"warning: {several(len(empty), 'mask')} are background everywhere: {first_few(empty)}"
        )
    return read, notes


def class_shares(ids: UInt8[np.ndarray, "h w"], classes: int) -> tuple[float, ...]:
    """Share of the pixels of every class, and of those that count for none."""
    counts = np.bincount(ids.reshape(-1), minlength=IGNORED + 1)
    return tuple((counts[[*range(classes), IGNORED]] / ids.size).tolist())


def unchecked(opened: OpenSet, read: Mapping[str, ReadMask]) -> Iterator[str]:
    """Warnings of classes that too few images have for a check on images that are left out.

    Args:
        opened: the set as it is to be.
        read: masks that are not written yet.
    """
    having = {k: 0 for k in range(1, len(opened.about.classes))}
    for image in opened.about.painted:
        assert image.mask is not None, "it is painted"
        new = read.get(image.id)
        same = new is not None and mask_digest(new.ids) == image.mask.sha256
        ids = new.ids if new is not None and same else opened.mask(image)
        for k in having:
            having[k] += bool((ids == k).any())
    for k, count in having.items():
        name = opened.about.classes[k].name
        if count == 0:
            yield f"warning: class {name!r} is painted in no image"
        elif count == 1:
            yield (
                f"warning: class {name!r} is painted in one image only: how well it is found "
                "cannot be checked; paint it in a second one"
            )


def _recorded(
    opened: OpenSet,
    pairs: Mapping[str, MaskFile],
    read: Mapping[str, ReadMask],
    palette: Palette,
    request: AnnotateImportRequest,
) -> AnnotationSet:
    """The record with the new masks.

    Raises:
        UserError: the classes are others than those of the masks that are there, or the painter
            has painted an image before.
    """
    about = opened.about
    classes = joined_classes(about, palette.shown, str(opened.folder))
    images = []
    for image in about.images:
        if image.id in read:
            source = PurePosixPath(pairs[image.id].source).name
            new = PaintedMask(
                painter=request.painter, sha256=mask_digest(read[image.id].ids), source=source
            )
            image = with_mask(image, new, replace=request.replace)
        images.append(image)
    return about.replace(classes=classes, images=tuple(images))


def joined_classes(
    about: AnnotationSet, classes: tuple[MaskClass, ...], folder: str
) -> tuple[MaskClass, ...]:
    """The classes of a set with new masks; more may come behind those that are there.

    Raises:
        UserError: they are others.
    """
    old, new = ([each.name for each in some] for some in (about.classes, classes))
    if about.painted and new[: len(old)] != old:
        raise UserError(
            f"--palette: its classes are {', '.join(new)}, the masks of {folder} have "
            f"{', '.join(old)}: keep these and their order, and add new ones after them"
        )
    return classes


def with_mask(image: AnnotatedImage, new: PaintedMask, *, replace: bool) -> AnnotatedImage:
    """An image with one mask more: the first painter's is learned from, others are kept beside it.

    Raises:
        UserError: the painter has painted it before.
    """
    same = next((mask for mask in image.masks if mask.painter == new.painter), None)
    if same is not None and not replace and same.sha256 != new.sha256:
        raise UserError(
            f"{image.id} has another mask of {new.painter!r} already: add --replace, or name "
            "another --painter to compare both"
        )
    if image.mask is None or image.mask.painter == new.painter:
        return image.replace(mask=new)
    others = [mask for mask in image.others if mask.painter != new.painter]
    return image.replace(others=(*others, new))


def write_masks(
    opened: OpenSet,
    about: AnnotationSet,
    masks: Mapping[str, UInt8[np.ndarray, "h w"]],
    painter: str,
    palette: Palette,
) -> None:
    """Write masks, and last the record that names them.

    Raises:
        BlockedError: another process writes into the set.
        UserError: it was changed meanwhile, or cannot be written.
    """
    folder = opened.folder
    refuse_unwritable_folder(folder)
    lock = Lock(folder / ".lock", f"another command writes into {folder}")
    with disk_errors(folder):
        lock.acquire()
    try:
        if OpenSet.read(folder).about != opened.about:
            raise UserError(f"{folder}: was changed meanwhile; run the same command again")
        write_painted(OpenSet(folder, about), masks, painter, palette)
    finally:
        lock.release()
