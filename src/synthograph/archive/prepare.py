"""Sources to archive: decode every file once on all cores, transform, check, write; say what was
found.
"""

import hashlib
import multiprocessing
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pydantic

from synthograph.archive.manifest import Row, count_labels
from synthograph.archive.reader import INVARIANCES, ArchiveInfo
from synthograph.archive.suspects import Sketch, Suspect, find_suspects, sketch
from synthograph.archive.transform import TransformOptions, transform
from synthograph.archive.writer import ArchiveWriter, Encoded, encode, new_namespace, write_rejects
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.files import refuse_unwritable
from synthograph.core.names import nearest
from synthograph.core.record import SourceItem, UnreadableError
from synthograph.core.spec import ImageSpec

Track = Callable[[Iterable[Any], int], Iterable[Any]]
AHEAD = 8  # items in flight per process: enough to keep it busy, few enough to bound memory


class PrepareOptions(Config):
    """What decides an archive's content beside its source."""

    transform: TransformOptions = TransformOptions()
    invariances: list[str] = list(INVARIANCES)
    classes: list[str] | None = None
    namespace: str | None = None
    allow_rejects: bool = False

    @pydantic.field_validator("invariances")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in INVARIANCES:
                raise ValueError(f"invariance {name!r} is unknown: {nearest(name, INVARIANCES)}")
        return names


@dataclass(frozen=True, slots=True)
class Made:
    """What a worker makes of one item: its images, or the reason why there are none."""

    images: list[tuple[Encoded, "Shape", Sketch]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    reject: str | None = None


Shape = tuple[int, int, tuple[tuple[str, int], ...], int]
"""Height, width, (modality, channels) pairs and bits."""


@dataclass(frozen=True)
class Summary:
    """What `prepare` did.

    Attributes:
        images: number of images written.
        classes: images per class.
        groups: number of groups; equal to `images` where none were given.
        grouped: whether the source named groups.
        spec: the images' specification.
        notes: conversions and how many files each touched.
        rejects: (file, reason) of what was left out.
        suspects: the images most worth a look.
    """

    images: int
    classes: Mapping[str, int]
    groups: int
    grouped: bool
    spec: ImageSpec
    notes: Mapping[str, int]
    rejects: Sequence[tuple[str, str]]
    suspects: Sequence[Suspect]


def prepare(
    items: Sequence[SourceItem],
    dest: Path,
    options: PrepareOptions,
    *,
    rejects: Sequence[tuple[str, str]] = (),
    command: Mapping[str, Any] | None = None,
    track: Track = lambda items, total: items,
    workers: int | None = None,
) -> Summary:
    """Write an archive.

    Args:
        items: the source's images.
        dest: the archive to be, a path ending in `.zip` or a folder.
        options: size, invariances, class order.
        rejects: (file, reason) that the source already found.
        command: what the caller was asked to do; an unfinished archive of the same command is
            continued.
        track: shows progress: gets an iterable and its length.
        workers: processes; None for one per core.

    Returns:
        Counts, conversions, rejects and the most suspicious images.

    Raises:
        UserError: no image is left, images differ in size or kind, or some were rejected and
            `allow_rejects` is off; then `<DEST>.rejected.csv` is the only file that is left.
    """
    refuse_unwritable(dest)
    classes = _classes(items, options)
    report = dest.with_name(f"{dest.name}.rejected.csv")
    writer = ArchiveWriter(
        dest, {**(command or {}), "options": options.tree(), "items": len(items)}
    )
    try:
        done = writer.items_done
        made = _work(items[done:], options.transform, workers)
        tracked = track(zip(items[done:], made, strict=True), len(items) - done)
        for item, result in tracked:
            _store(writer, item, result)
    except (KeyboardInterrupt, SystemExit):
        writer.suspend()
        raise
    except BaseException:
        writer.discard()
        raise
    return _conclude(writer, items, options, classes, list(rejects), report)


def _classes(items: Sequence[SourceItem], options: PrepareOptions) -> list[str]:
    """Class names in index order: as given, else sorted (numbers by value)."""
    used = {item.label for item in items if item.label is not None}
    if options.classes is not None:
        unknown = used.difference(options.classes)
        if unknown:
            name = sorted(unknown)[0]
            raise UserError(f"label {name!r} is no class: {nearest(name, options.classes)}")
        return options.classes
    return sorted(
        used, key=lambda name: (not name.isdecimal(), int(name) if name.isdecimal() else 0, name)
    )


def _work(
    items: Sequence[SourceItem], options: TransformOptions, workers: int | None
) -> Iterator[Made]:
    """Results in the order of the items, a bounded number of them in flight."""
    count = min(workers or os.cpu_count() or 1, len(items))
    if count <= 1:
        yield from (make(item, options) for item in items)
        return
    context = multiprocessing.get_context(
        "spawn"
    )  # a fork of a process with torch threads can hang
    with ProcessPoolExecutor(count, mp_context=context) as pool:
        queue = iter(items)
        flying = [pool.submit(make, item, options) for item in islice(queue, AHEAD * count)]
        try:
            while flying:
                result = flying.pop(0).result()
                flying.extend(pool.submit(make, item, options) for item in islice(queue, 1))
                yield result
        finally:
            pool.shutdown(cancel_futures=True)


def make(item: SourceItem, options: TransformOptions) -> Made:
    """Decode, transform and encode one item; runs in a worker process."""
    try:
        picture = item.decode()
        pieces = list(transform(picture, options))
        images = []
        for piece in pieces:
            columns = {"source": item.name, **item.columns}
            if piece.corner is not None:
                columns |= {"tile_x": str(piece.corner[0]), "tile_y": str(piece.corner[1])}
            row = Row("", item.label, item.group or item.name, columns=columns)
            modalities = piece.picture.modalities
            encoded = encode(modalities, piece.picture.mask, row)
            images.append((encoded, _shape(modalities), sketch(modalities)))
    except UnreadableError as error:
        return Made(reject=str(error))
    return Made(images, picture.notes)


def _shape(modalities: Mapping[str, np.ndarray]) -> Shape:
    first = next(iter(modalities.values()))
    bits = max(8 * pixels.dtype.itemsize for pixels in modalities.values())
    channels = tuple((name, pixels.shape[2]) for name, pixels in modalities.items())
    return first.shape[0], first.shape[1], channels, bits


def _store(writer: ArchiveWriter, item: SourceItem, made: Made) -> None:
    sketches = [s.data() for _, _, s in made.images]
    shapes = [list(shape) for _, shape, _ in made.images]
    memory = {
        "name": item.name,
        "reject": made.reject,
        "notes": list(made.notes),
        "shapes": shapes,
        "sketches": sketches,
    }
    writer.add([encoded for encoded, _, _ in made.images], memory)


def _conclude(
    writer: ArchiveWriter,
    items: Sequence[SourceItem],
    options: PrepareOptions,
    classes: list[str],
    rejects: list[tuple[str, str]],
    report: Path,
) -> Summary:
    """Judge all that was made: refuse and clean up, or finish the archive."""
    try:
        rejects += [(m["name"], m["reject"]) for m in writer.items if m["reject"]]
        shapes = [(_as_shape(shape), m["name"]) for m in writer.items for shape in m["shapes"]]
        spec = _common_spec(shapes, rejects, report)
        if rejects:
            write_rejects(report, rejects)
        if rejects and not options.allow_rejects:
            file, reason = rejects[0]
            raise UserError(
                f"{len(rejects)} of {len(items) + len(rejects)} files rejected, the first: "
                f"{file}: {reason}. "
                f"All are listed in {report}; mend them, or add --allow-rejects to go on without "
                f"them"
            )
        info = ArchiveInfo(
            classes=classes,
            spec=spec,
            namespace=options.namespace or new_namespace(),
            invariances=options.invariances,
        )
        summary = _summary(writer, items, info, rejects)
        writer.finish(info)
    except BaseException:
        writer.discard()
        raise
    return summary


def _as_shape(data: Sequence[Any]) -> Shape:
    height, width, channels, bits = data
    return height, width, tuple((name, n) for name, n in channels), bits


def _common_spec(
    shapes: Sequence[tuple[Shape, str]], rejects: list[tuple[str, str]], report: Path
) -> ImageSpec:
    """The one specification of all images.

    Raises:
        UserError: there is no image, or there is more than one kind; the odd ones are listed.
    """
    counts = Counter(shape for shape, _ in shapes)
    if not counts:
        if rejects:
            write_rejects(report, rejects)
            file, reason = rejects[0]
            raise UserError(
                f"no image is left: all are listed in {report}, the first: {file}: {reason}"
            )
        raise UserError("the source holds no image")
    common = counts.most_common(1)[0][0]
    odd = [(name, shape) for shape, name in shapes if shape != common]
    if odd:
        reasons = [(n, f"is {_words(s)}, most are {_words(common)}") for n, s in odd]
        write_rejects(report, [*rejects, *reasons])
        raise UserError(
            f"images are of {len(counts)} kinds: {odd[0][0]} {reasons[0][1]}; {len(odd)} such "
            f"files are listed "
            f"in {report}. Give all one size with --size N --transform center-crop (or pad, "
            f"stretch), "
            "and convert or remove files of another kind"
        )
    height, width, channels, bits = common
    spec = ImageSpec.parse(
        {"height": height, "width": width, "modalities": dict(channels), "bits": bits}
    )
    _ = spec.grid  # refuses sizes that no network takes, while the way out is still cheap
    return spec


def _words(shape: Shape) -> str:
    height, width, channels, bits = shape
    kinds = ", ".join(f"{name} {'grey' if n == 1 else 'RGB'}" for name, n in channels)
    return f"{width}x{height} {kinds} {bits} bit"


def _summary(
    writer: ArchiveWriter,
    items: Sequence[SourceItem],
    info: ArchiveInfo,
    rejects: Sequence[tuple[str, str]],
) -> Summary:
    notes = Counter(note for m in writer.items for note in m["notes"])
    names = [m["name"] for m in writer.items for _ in m["shapes"]]
    sketches = [Sketch(*data) for m in writer.items for data in m["sketches"]]
    return Summary(
        images=len(writer.rows),
        classes=count_labels(writer.rows, info.classes),
        groups=len({row.group for row in writer.rows}),
        grouped=any(item.group is not None for item in items),
        spec=info.spec,
        notes=dict(notes),
        rejects=rejects,
        suspects=find_suspects(names, sketches),
    )


def fingerprint(paths: Iterable[Path]) -> str:
    """A short id of source files as they are now (names, sizes and times), for continuing an
    unfinished archive.
    """
    digest = hashlib.sha256()
    for path in paths:
        status = path.stat()
        digest.update(f"{path.name}\n{status.st_size}\n{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
