"""Converts source items to encoded images, in worker processes."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from synthograph.archive.manifest import FIXED, SOURCE_FILE, Row, label_vector
from synthograph.archive.quotas import Places
from synthograph.archive.suspects import ImageStatistics, image_statistics
from synthograph.archive.transform import Piece, TransformOptions, transform
from synthograph.archive.writer import EncodedImage, encode
from synthograph.core.children import context
from synthograph.core.cores import usable_cores
from synthograph.core.devices import keep_freed_memory
from synthograph.core.errors import UserError
from synthograph.core.record import (
    DecodedImage,
    SourceItem,
    UnreadableError,
    UnwantedError,
    array_of,
    bits_of,
    in_bits,
)
from synthograph.core.spec import MIN_GRID

MAX_WORKERS = 61
"""Worker processes at most: Windows waits for no more at once, and one process packs for all."""
AHEAD = 8  # items in flight per process: enough to keep it busy, few enough to bound memory

Shape = tuple[int, int, tuple[tuple[str, int], ...], int]
"""Height, width, (modality, channels) pairs and bits."""
Range = tuple[int, int, int, int]
"""Least value, those at 0.5 % and 99.5 % of the pixels, and the largest."""


@dataclass(frozen=True, slots=True)
class ConvertedItem:
    """What a worker makes of one item: its images, or the reason why there are none."""

    images: list[tuple[EncodedImage, Shape, ImageStatistics]] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    reject: str | None = None
    left_out: str | None = None
    """Why a sound item is not wanted."""
    ranges: Range | None = None
    ids: Mapping[int, int] = field(default_factory=dict)


NOT_NEEDED = ConvertedItem(left_out="tiles that were not needed")


class WorkersError(UserError):
    """Worker processes cannot go on; what was made so far stays and can be continued."""


def convert_all(
    items: Sequence[SourceItem],
    options: TransformOptions,
    workers: int | None,
    taken: Mapping[str, int] | None = None,
) -> Generator[ConvertedItem, None, None]:
    """Results in the order of the items, a bounded number of them in flight.

    Args:
        items: what is made.
        options: of all.
        workers: processes; None for one per core.
        taken: name -> how many items of it are there already, of those that only some are taken of.

    Raises:
        WorkersError: memory ran out, or a worker process was killed.
    """
    count = min(workers or usable_cores(), MAX_WORKERS, len(items))
    places = Places(taken or {})
    made = (
        _make_in_pool(items, options, places, count=count)
        if count > 1
        else _make_here(items, options, places)
    )
    try:
        yield from made
    except (MemoryError, BrokenProcessPool) as error:
        raise WorkersError(
            "a worker process died or ran out of memory, most likely because images are large "
            f"and all {count} processes hold some; run the same command with fewer --workers, and "
            "it continues where it stopped"
        ) from error
    finally:
        made.close()


def _make_here(
    items: Sequence[SourceItem], options: TransformOptions, places: Places
) -> Generator[ConvertedItem, None, None]:
    for item in items:
        if places.full(item):
            yield NOT_NEEDED
            continue
        places.begin(item)
        made = convert(item, options)
        places.end(item, taken=bool(made.images))
        yield made


def _make_in_pool(
    items: Sequence[SourceItem], options: TransformOptions, places: Places, *, count: int
) -> Generator[ConvertedItem, None, None]:
    # a fork of a process with torch threads can hang
    pool = ProcessPoolExecutor(
        count,
        mp_context=context() if _are_ours(items) else multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
    )
    flying: deque[tuple[SourceItem, Future[ConvertedItem]]] = deque()
    following = 0

    def fill() -> None:
        nonlocal following
        while len(flying) < AHEAD * count and following < len(items):
            item = items[following]
            if places.full(item):
                result = Future[ConvertedItem]()
                result.set_result(NOT_NEEDED)
            elif places.promised(item):
                return
            else:
                places.begin(item)
                result = pool.submit(convert, item, options)
            flying.append((item, result))
            following += 1

    try:
        with (
            _no_interrupts(),
            _one_thread(),
            _without_script(items),
        ):  # processes start with the first items
            fill()
        while flying:
            item, future = flying.popleft()
            made = future.result()
            if made is not NOT_NEEDED:
                places.end(item, taken=bool(made.images))
            fill()
            yield made
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent alone
    keep_freed_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A worker holds both ends of the queue that it waits for, so it would wait for a parent that
    was killed for ever.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Let numpy in processes that start meanwhile have one thread: there is one for each core."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


@contextlib.contextmanager
def _without_script(items: Sequence[SourceItem]) -> Iterator[None]:
    """Start processes that do not run the script of this one again, as Python's own would: they
    need nothing of it, unless it decodes items itself. So a script needs no main guard.
    """
    script = sys.modules["__main__"]
    if "__main__" in _modules(items):
        yield
        return
    file, spec = script.__dict__.pop("__file__", None), script.__spec__
    script.__spec__ = None
    try:
        yield
    finally:
        script.__spec__ = spec
        if file is not None:
            script.__file__ = file


def _modules(items: Sequence[SourceItem]) -> set[str]:
    """Where what decodes these items is defined."""
    # not a set of decoders: those of an archive hold what cannot be hashed
    decoders = (d.func if isinstance(d, partial) else d for d in (item.decode for item in items))
    return {name for d in decoders for name in (type(d).__module__, getattr(d, "__module__", ""))}


def _are_ours(items: Sequence[SourceItem]) -> bool:
    """Whether this package alone decodes them: then processes need no other folder on their path;
    what a caller defined may lie in the working folder.
    """
    return {name.partition(".")[0] for name in _modules(items)} <= {"synthograph", "builtins", ""}


@contextlib.contextmanager
def _no_interrupts() -> Iterator[None]:
    """Hold Ctrl-C back, so that a process which starts meanwhile never gets one: it would print a
    traceback until it has imported what it needs to ignore it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def convert(item: SourceItem, options: TransformOptions) -> ConvertedItem:
    """Decode, transform and encode one item."""
    try:
        picture = _in_bits(item.decode())
        _check(picture, item.columns)
        pieces = list(transform(picture, options))
        images = [_image(item, piece) for piece in pieces]
    except UnwantedError as error:
        return ConvertedItem(left_out=str(error))
    except UnreadableError as error:
        return ConvertedItem(reject=str(error))
    notes = dict.fromkeys(note for piece in pieces for note in piece.picture.notes)
    return ConvertedItem(images, tuple(notes), ranges=_ranges(picture), ids=_ids(pieces))


def _ranges(picture: DecodedImage) -> Range | None:
    """Least and largest value of 16-bit images, and those between which 99 % of pixels lie."""
    deep = [array_of(p) for p in picture.modalities.values() if bits_of(p) == 16]
    if not deep:
        return None
    some = np.concatenate([p.reshape(-1)[:: max(p.size // 65536, 1)] for p in deep])
    inner = np.percentile(some, [0.5, 99.5])
    ends = [(int(p.min()), int(p.max())) for p in deep]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return low, int(inner[0]), int(inner[1]), high


def _ids(pieces: Sequence[Piece]) -> dict[int, int]:
    """Class id -> pixels of the masks."""
    masks = [piece.picture.mask for piece in pieces if piece.picture.mask is not None]
    if not masks:
        return {}
    counts = np.bincount(np.concatenate([mask.reshape(-1) for mask in masks]), minlength=256)
    return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}


def _in_bits(picture: DecodedImage) -> DecodedImage:
    fitted = {name: in_bits(pixels) for name, pixels in picture.modalities.items()}
    same = all(fitted[name] is pixels for name, pixels in picture.modalities.items())
    return picture if same else replace(picture, modalities=fitted)


def _check(picture: DecodedImage, columns: Mapping[str, str]) -> None:
    depths = {name: bits_of(pixels) for name, pixels in picture.modalities.items()}
    if len(set(depths.values())) > 1:
        words = ", ".join(f"{name} has {bits} bits" for name, bits in depths.items())
        raise UnreadableError(f"{words}: all modalities of an archive have the same depth")
    height, width = picture.size
    if min(height, width) < MIN_GRID:
        raise UnreadableError(f"is {width}x{height} pixels, a side needs at least {MIN_GRID}")
    try:
        label_vector(columns)
    except ValueError as error:
        raise UnreadableError(str(error)) from None


def _image(item: SourceItem, piece: Piece) -> tuple[EncodedImage, Shape, ImageStatistics]:
    modalities = {name: array_of(pixels) for name, pixels in piece.picture.modalities.items()}
    row = Row(
        "",
        item.label,
        item.group or item.stored_name,
        item.split,
        item.fold,
        item.origin,
        columns=_columns(item, piece),
    )
    encoded = encode(modalities, piece.picture.mask, row)
    return encoded, _shape(modalities), image_statistics(modalities)


def _columns(item: SourceItem, piece: Piece) -> dict[str, str]:
    """Where the image comes from, then the item's own columns; one whose name is taken gets the
    prefix `table_`, so that nothing is overwritten.
    """
    columns = {SOURCE_FILE: item.stored_name}
    if piece.corner is not None:
        columns |= {"tile_x": str(piece.corner[0]), "tile_y": str(piece.corner[1])}
    columns |= piece.picture.columns
    for name, value in item.columns.items():
        free = name
        while free in columns or free in FIXED or (free != name and free in item.columns):
            free = f"table_{free}"
        columns[free] = value
    return columns


def _shape(modalities: Mapping[str, np.ndarray]) -> Shape:
    """What has to be equal for all images of an archive."""
    first = next(iter(modalities.values()))
    channels = tuple((name, pixels.shape[2]) for name, pixels in modalities.items())
    return *first.shape[:2], channels, bits_of(first)
