"""Sources to archive: decodes every file once on all cores, transforms, checks, writes, reports."""

import contextlib
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from synthograph.archive.advice import without_group
from synthograph.archive.cohort_note import CohortNote
from synthograph.archive.convert import NOT_NEEDED, ConvertedItem, Shape, WorkersError, convert_all
from synthograph.archive.copies import NO_REPEATS, RepeatedImages, copies_of
from synthograph.archive.manifest import (
    SPLITS,
    count_labels,
    crossing_groups,
    in_split,
    same_spelling,
)
from synthograph.archive.parts import Part, Trim, discard_parts, missing_ranges
from synthograph.archive.quotas import counted, within_quota
from synthograph.archive.reader import ArchiveInfo, SplitRecord, check_classes
from synthograph.archive.suspects import ImageStatistics, Suspect, find_suspects
from synthograph.archive.transform import Fit, TransformOptions
from synthograph.archive.writer import (
    ArchiveWriter,
    refuse_destination,
    write_rejects,
)
from synthograph.core.config import Config
from synthograph.core.errors import BlockedError, DiskFullError, StoppedError, UserError
from synthograph.core.files import remove
from synthograph.core.names import nearest
from synthograph.core.progress import Track
from synthograph.core.record import SourceItem
from synthograph.core.spec import ImageSpec, Invariances, find_grid, require_grid
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION

Rejects = Sequence[tuple[str, str]]
"""File and reason of what is left out."""
ONE_SIZE = "give all one size with --size N --transform center-crop (or pad, stretch)"
SMALL_RANGE = 0.25
"""Share of the values of 16 bits below which images look nearly black to a network."""
PROBED = 16  # images after which a size that no network takes is refused
OPTIONAL = ("split", "mixture", "view", "cohort", "polygons", "sizing")
_KEEPS = "keeps what is done; run the same command again to continue"


class PrepareOptions(Config):
    """What decides an archive's content beside its source.

    `namespace`, `snapshots`, `split`, `mixture` and `sizing` are of the archive it is made of;
    `split_origin` is what else gave the images their split; `replace` is told `ArchiveWriter`.
    """

    transform: TransformOptions = TransformOptions()
    invariances: Invariances = None
    classes: list[str] | None = None
    namespace: str | None = None
    snapshots: list[JsonObject] = []
    split_origin: str | None = None
    split: SplitRecord | None = None
    mixture: JsonObject | None = None
    view: JsonObject | None = None
    cohort: CohortNote | None = None
    polygons: JsonObject | None = None
    sizing: JsonObject | None = None
    allow_rejects: bool = False
    replace: bool = False


@dataclass(frozen=True)
class Summary:
    """What `prepare` did.

    Attributes:
        images: number of images written.
        classes: images per class.
        masks: images with a mask.
        groups: number of groups; equal to `images` where none were given.
        grouped: whether the source named groups.
        notes: conversions and how many files each touched.
        rejects: (file, reason) of what was left out.
        suspects: the images most worth a look.
        invariances: what leaves their meaning alone; None where nobody said.
        mask_ids: class id of the masks -> share of their pixels.
        small_range: least value of 16-bit images, those between which 99 % of their pixels lie, and
            the largest; None where they use much of what 16 bits hold.
        copies: images that are equal pixel by pixel.
        ungrouped: source files of images without group, where others have one.
        splits: images per split, where the source was split already.
        crossing: groups that are in more than one of these splits.
        alike: groups whose names differ in spelling alone, in sets.
        left_out: why images that are sound are not wanted -> how many.
    """

    images: int
    classes: Mapping[str, int]
    masks: int
    groups: int
    grouped: bool
    spec: ImageSpec
    notes: Mapping[str, int]
    rejects: Rejects
    suspects: Sequence[Suspect]
    invariances: Sequence[str] | None
    mask_ids: Mapping[int, float] = field(default_factory=dict)
    small_range: tuple[int, int, int, int] | None = None
    copies: RepeatedImages = NO_REPEATS
    ungrouped: Sequence[str] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    crossing: Sequence[str] = ()
    alike: Sequence[Sequence[str]] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)


def prepare(
    items: Sequence[SourceItem],
    dest: Path,
    options: PrepareOptions,
    *,
    rejects: Rejects = (),
    command: Mapping[str, object] | None = None,
    track: Track = lambda items, total: items,
    workers: int | None = None,
) -> Summary:
    """Write an archive.

    Args:
        items: the source's images.
        dest: the archive to be, a path ending in `.zip` or a folder.
        options: size, invariances, class order.
        rejects: (file, reason) that the source already found.
        command: what else decides the content, as JSON data; an unfinished archive of the same
            command and items is continued.
        track: shows progress: gets an iterable and its length.
        workers: processes; None for one per core.

    Returns:
        Counts, conversions, rejects and the most suspicious images.

    Raises:
        UserError: no image is left, images differ in size or kind, or some were rejected and
            `allow_rejects` is off; then `<DEST>.rejected.csv` is the only file that is left.
        WorkersError: memory ran out; the same command continues.
        DiskFullError: likewise.
        BlockedError: likewise: the disk, or a part that is still being written, is in the way.
        StoppedError: likewise, after Ctrl-C.
    """
    if options.transform.result is not None:
        _require_result(options.transform)
    classes = _classes(items, options)
    whole = {**(command or {}), **_fingerprint(items, options)}
    writer = ArchiveWriter(dest, whole, replace=options.replace)
    with _keeping(writer):
        for numbers in missing_ranges(writer, len(items), whole, _trimming(items, writer)):
            _make(writer, items[: numbers.stop], options, track, workers)
        summary = _conclude(writer, items, options, classes, rejects)
    discard_parts(dest, whole)
    return summary


def prepare_part(
    items: Sequence[SourceItem],
    dest: Path,
    options: PrepareOptions,
    part: Part,
    *,
    command: Mapping[str, object] | None = None,
    track: Track = lambda items, total: items,
    workers: int | None = None,
) -> int:
    """Make a part of the items, which `prepare` of the same items takes over.

    Arguments and errors are those of `prepare`; rejects are handled there.

    Returns:
        Number of items of the part.
    """
    _classes(items, options)
    whole = {**(command or {}), **_fingerprint(items, options)}
    numbers = part.numbers(len(items))
    refuse_destination(dest, replace=options.replace)
    writer = ArchiveWriter(part.dest(dest), whole, replace=options.replace)
    with _keeping(writer):
        _make(writer, items[numbers.start : numbers.stop], options, track, workers)
    writer.suspend()
    return len(numbers)


@contextlib.contextmanager
def _keeping(writer: ArchiveWriter) -> Iterator[None]:
    """On an error keep what is written if the same command can continue, else remove it."""
    try:
        yield
    except KeyboardInterrupt:
        writer.suspend()
        raise StoppedError(f"{writer.partial} {_KEEPS}") from None
    except BlockedError as error:
        if not writer.items_done:  # an empty folder would only be in another command's way
            writer.discard()
            raise
        writer.suspend()
        raise BlockedError(f"{error}; {writer.partial} {_KEEPS}") from error
    except (SystemExit, OSError, DiskFullError, WorkersError):
        writer.suspend()
        raise
    except BaseException:
        writer.discard()
        raise


def _classes(items: Sequence[SourceItem], options: PrepareOptions) -> list[str]:
    """Class names in index order: as given, else sorted (numbers by value)."""
    used = {item.label for item in items if item.label is not None}
    classes = options.classes
    if classes is None:
        classes = sorted(used, key=lambda n: (not n.isdecimal(), int(n) if n.isdecimal() else 0, n))
    unknown = used.difference(classes)
    if unknown:
        name = sorted(unknown)[0]
        raise UserError(f"label {name!r} is not a class: {nearest(name, classes)}")
    try:
        check_classes(classes)
    except ValueError as error:
        raise UserError(str(error)) from None
    return classes


def _fingerprint(items: Sequence[SourceItem], options: PrepareOptions) -> JsonObject:
    """What makes a command the same: everything that decides a row, and not what becomes of
    rejects.
    """
    digest = hashlib.sha256()
    for item in items:
        facts: list[object] = [item.name, item.label, item.group, item.origin, dict(item.columns)]
        facts += [each for each in (item.split, item.fold) if each not in (None, "")]
        digest.update(json.dumps(facts).encode() + b"\n")
    absent = {name for name in OPTIONAL if getattr(options, name) is None}
    chosen = options.model_dump(mode="json", exclude={"allow_rejects", "replace", *absent})
    return {"options": chosen, "items": digest.hexdigest()}


def _make(
    writer: ArchiveWriter,
    items: Sequence[SourceItem],
    options: PrepareOptions,
    track: Track,
    workers: int | None,
) -> None:
    """Make the items that the writer does not have yet."""
    left = items[writer.items_done :]
    taken = counted(items, writer.items)
    with contextlib.closing(convert_all(left, options.transform, workers, taken)) as made:
        pairs = track(zip(left, made, strict=True), len(left))
        for number, (item, result) in enumerate(pairs, start=1):
            writer.add([encoded for encoded, _, _ in result.images], _memory(item, result))
            # the first images say nothing where those of a rare size may be left out
            if number == PROBED and not options.allow_rejects:
                _refuse_odd_size(writer, options)


def _trimming(items: Sequence[SourceItem], writer: ArchiveWriter) -> Callable[[], Trim]:
    def begin() -> Trim:
        rest = iter(items[writer.items_done :])
        return within_quota(rest, counted(items, writer.items), lambda i: _memory(i, NOT_NEEDED))

    return begin


def _memory(item: SourceItem, made: ConvertedItem) -> JsonObject:
    return {
        "name": item.name,
        "reject": made.reject,
        "notes": list(made.notes),
        "shapes": [list(shape) for _, shape, _ in made.images],
        "sketches": [one for _, _, one in made.images],
        "range": made.ranges,
        "ids": made.ids,
        **({"left_out": made.left_out} if made.left_out else {}),
    }


def _require_result(transform: TransformOptions) -> None:
    """Refuse a wanted size that no network accepts.

    Raises:
        UserError: it is one; a size that can be had by the same rule is named.
    """
    assert transform.result is not None, "a size is wanted"
    height, width = transform.result
    if transform.fit is not Fit.CENTER_CROP_WIDE or find_grid(height, width):
        require_grid(height, width, fitted=transform.fit is not None)
        return
    # images that are large enough for the crop may not be for a larger one
    side = next(n for n in range(width, 0, -1) if find_grid(n, n))
    high = min(transform.height or side, side)
    raise UserError(
        f"images of {width}x{width} fit no grid; the nearest smaller one that fits is {side}x"
        f"{side}: prepare with --width {side} --height {high}"
    )


def _refuse_odd_size(writer: ArchiveWriter, options: PrepareOptions) -> None:
    """Refuse early a size that no network accepts.

    Raises:
        UserError: the size that most images have fits no grid.
    """
    sizes = Counter(tuple(shape[:2]) for m in writer.items for shape in m["shapes"])
    if sizes:
        (height, width), _ = sizes.most_common(1)[0]
        require_grid(height, width, fitted=options.transform.fit is not None)


def _conclude(
    writer: ArchiveWriter,
    items: Sequence[SourceItem],
    options: PrepareOptions,
    classes: list[str],
    rejects: Rejects,
) -> Summary:
    """Check the converted items together: refuse, or finish the archive."""
    total = len(items) + len(rejects)
    report = writer.dest.with_name(f"{writer.dest.name}.rejected.csv")
    rejects = [*rejects, *((m["name"], m["reject"]) for m in writer.items if m["reject"])]
    shapes = Counter(_as_shape(shape) for m in writer.items for shape in m["shapes"])
    left_out = Counter(m["left_out"] for m in writer.items if m.get("left_out"))
    if not shapes:
        _refuse_empty(rejects, report, left_out)
    common = shapes.most_common(1)[0][0]
    odd = _odd_items(writer, common)
    if len(odd) > 1 and options.transform.result is None:
        _refuse_sizes(shapes)
    rejects += odd.values()
    remove(report)  # of an earlier run, about files that may be mended now
    if rejects:
        write_rejects(report, rejects)
    if rejects and not options.allow_rejects:
        _refuse_rejects(rejects, total, _way_out(shapes, mixed=bool(odd)), report)
    writer.leave_out(odd.keys())
    height, width, channels, bits = common
    shape = {"height": height, "width": width, "modalities": dict(channels), "bits": bits}
    require_grid(height, width, fitted=options.transform.fit is not None)
    info = ArchiveInfo(
        classes=classes,
        spec=ImageSpec.parse(shape),
        namespace=options.namespace or secrets.token_hex(16),
        invariances=options.invariances,
        snapshots=options.snapshots,
        package_version=VERSION,
        split=_split_record(options),
        mixture=options.mixture,
        view=options.view,
        polygons=options.polygons,
        sizing=options.transform.record(options.sizing),
        cohort=options.cohort,
    )
    summary = replace(_summary(writer, items, info, rejects), left_out=+left_out)
    writer.finish(info)
    return summary


def _split_record(options: PrepareOptions) -> SplitRecord | None:
    origin = options.split_origin
    return SplitRecord(origin=origin, official=True) if origin else options.split


def _refuse_empty(rejects: Rejects, report: Path, left_out: Mapping[str, int]) -> NoReturn:
    if left_out and not rejects:
        counts = ", ".join(f"{count} {why}" for why, count in left_out.items())
        raise UserError(f"no image is left: {counts}; ask less of them")
    if not rejects:
        raise UserError("the source holds no image")
    write_rejects(report, rejects)
    file, reason = rejects[0]
    raise UserError(f"no image is left: all are listed in {report}, the first: {file}: {reason}")


def _odd_items(writer: ArchiveWriter, common: Shape) -> dict[int, tuple[str, str]]:
    """Items with images of another size or kind than most: number -> (file, reason)."""
    odd = {}
    same = sum(_as_shape(s) == common for m in writer.items for s in m["shapes"])
    most = "most are" if 2 * same > len(writer.rows) else f"but {same} are"
    for number, memory in enumerate(writer.items):
        other = next((s for s in map(_as_shape, memory["shapes"]) if s != common), None)
        if other is not None:
            reason = f"is {_words(other)}, {most} {_words(common)}"
            odd[number] = (memory["name"], reason)
    return odd


def _refuse_sizes(shapes: Mapping[Shape, int]) -> None:
    """Refuse a set of many sizes without listing every file.

    Raises:
        UserError: no size is that of most images.
    """
    sizes = Counter[tuple[int, int]]()
    for (height, width, *_), count in shapes.items():
        sizes[width, height] += count
    if 2 * max(sizes.values()) > sizes.total():
        return
    (small_w, small_h), (large_w, large_h) = min(sizes), max(sizes)
    raise UserError(
        f"the images have {len(sizes)} different sizes, from {small_w}x{small_h} to "
        f"{large_w}x{large_h}: {ONE_SIZE}"
    )


def _way_out(shapes: Mapping[Shape, int], *, mixed: bool) -> str:
    """What to do about rejected images."""
    ways = ["correct them", "add --allow-rejects to go on without them"]
    if mixed and len({shape[2:] for shape in shapes}) > 1:
        kinds = {tuple(n for _, n in shape[2]) for shape in shapes}
        depths = {shape[3] for shape in shapes}
        ways = ["save all with one bit depth", *ways] if len(depths) > 1 else ways
        ways = (
            ["add --colour grey (or rgb) to convert all to one kind", *ways]
            if (len(kinds) > 1)
            else ways
        )
    if mixed and len({shape[:2] for shape in shapes}) > 1:
        ways.insert(0, ONE_SIZE)
    return ", or ".join(ways)


def _refuse_rejects(rejects: Rejects, total: int, way: str, report: Path) -> NoReturn:
    file, reason = rejects[0]
    raise UserError(
        f"{len(rejects)} of {total} files rejected, the first: {file}: {reason}. All are listed in "
        f"{report}; {way}"
    )


def _as_shape(data: Sequence[Any]) -> Shape:
    height, width, channels, bits = data
    return height, width, tuple((name, n) for name, n in channels), bits


def _words(shape: Shape) -> str:
    height, width, channels, bits = shape
    kinds = ", ".join(f"{name} {'grey' if n == 1 else 'RGB'}" for name, n in channels)
    return f"{width}x{height} {kinds} {bits} bit"


def _summary(
    writer: ArchiveWriter, items: Sequence[SourceItem], info: ArchiveInfo, rejects: Rejects
) -> Summary:
    rows = writer.rows
    notes = Counter(note for m in writer.items for note in m["notes"])
    names = [m["name"] for m in writer.items for _ in m["shapes"]]
    sketches = [ImageStatistics(*data) for m in writer.items for data in m["sketches"]]
    return Summary(
        images=len(rows),
        classes=count_labels(rows, info.classes),
        masks=writer.masks,
        mask_ids=_mask_ids(writer),
        small_range=_small_range(writer),
        groups=len({row.group for row in rows}),
        grouped=any(row.grouped for row in rows),
        spec=info.spec,
        notes=dict(notes),
        rejects=rejects,
        invariances=info.invariances,
        suspects=find_suspects(names, sketches),
        copies=copies_of(rows, (None if one.flat else one.digest for one in sketches)),
        ungrouped=sorted({row.source for row in without_group(rows)}),
        splits={name: n for name in SPLITS if (n := len(in_split(rows, name)))},
        crossing=crossing_groups(rows),
        alike=same_spelling(row.group for row in rows if row.grouped),
    )


def _mask_ids(writer: ArchiveWriter) -> dict[int, float]:
    counts = Counter[int]()
    for memory in writer.items:  # an older version did not write them
        counts.update({int(value): n for value, n in (memory.get("ids") or {}).items()})
    return {value: counts[value] / counts.total() for value in sorted(counts)}


def _small_range(writer: ArchiveWriter) -> tuple[int, int, int, int] | None:
    """What 16-bit images use, where that is less than `SMALL_RANGE` of what they could; single odd
    images do not count.
    """
    ranges = np.array([m["range"] for m in writer.items if m.get("range")])
    if not len(ranges):
        return None
    low, high = np.percentile(ranges[:, 1], 1), np.percentile(ranges[:, 2], 99)
    if high - low >= SMALL_RANGE * 0xFFFF:
        return None
    return int(ranges[:, 0].min()), int(low), int(high), int(ranges[:, 3].max())
