"""Synthetic images in batches, the same for a seed whatever the batch; written with provenance."""

import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import PIL.Image
import torch

from synthograph.archive.parts import Part, discard_parts, missing_ranges
from synthograph.archive.reader import encode_png
from synthograph.archive.writer import ArchiveWriter, refuse_destination
from synthograph.core.commands import TYPED
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import disk_errors, refuse_unwritable_folder, write_bytes
from synthograph.core.progress import Track
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.containers import MAX_MEMBER_BYTES
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.registry import family
from synthograph.models.snapshot import Snapshot
from synthograph.models.styles import StyleFamily
from synthograph.ops.pixels import to_pixels
from synthograph.sampling.folder import Unfinished
from synthograph.sampling.image_request import FileKind as FileKind
from synthograph.sampling.image_request import ImageMask
from synthograph.sampling.image_request import ImageRequest as ImageRequest
from synthograph.sampling.image_request import Job as Job
from synthograph.sampling.image_request import SyntheticImage as SyntheticImage
from synthograph.sampling.latents import (
    MAX_LATENTS,
    Latents,
    Rendering,
    Space,
    as_styles,
    check_rendering,
    one_hot_labels,
    placed,
    render,
    space_of,
    styles,
)
from synthograph.sampling.pictures import by_modality
from synthograph.sampling.records import encoded, finish

T = TypeVar("T")


@dataclass(frozen=True)
class RejectionRule:
    """What leaves images out of an archive."""

    judge: Callable[[Sequence[np.ndarray]], Sequence[bool]]
    """Gets the pixels [channels, h, w] of a batch; returns for each whether to leave it out."""
    about: Mapping[str, object]
    """What identifies the rule, as JSON data."""


def request_for(latents: Latents, files: Mapping[str, str], how: Rendering) -> ImageRequest:
    """An image of each of these latents, which the files hold."""
    return ImageRequest(list(enumerate(latents.labels)), latents, files, **vars(how))


def latents_to_save(snapshot: Snapshot, request: ImageRequest) -> bytes:
    """The bytes of a file with the styles of all images as they are drawn, truncation included, and
    with the latents z that they came from.

    Raises:
        UserError: one file cannot hold so many, or the generator has no styles.
    """
    room, count = space_of(snapshot), len(request.jobs)
    most = min(MAX_LATENTS, MAX_MEMBER_BYTES // (4 * room.rows * room.w_dim))
    if count > most:
        raise UserError(
            f"--save-latents: one file holds at most {most} latents of this network, {count} are "
            "asked for: ask for fewer images at once"
        )
    drawn = request.chosen(snapshot, slice(None))
    z = drawn.values if drawn.space is Space.Z else None
    return as_styles(snapshot, [drawn], request).packed(snapshot, z)


def jobs_of(seeds: Sequence[int], classes: Sequence[str]) -> list[Job]:
    """Every seed with every class, class by class."""
    names: Sequence[str | None] = classes or [None]
    return [(seed, name) for name in names for seed in seeds]


def jobs_in_turn(count: int, classes: Sequence[str]) -> list[Job]:
    """Seeds 0 ... count-1, the classes taking turns, so that each gets an equal share."""
    names: Sequence[str | None] = classes or [None]
    return [(seed, names[seed % len(names)]) for seed in range(count)]


def choose_classes(snapshot: Snapshot, wanted: Sequence[str]) -> list[str]:
    """Class names that a request means, checked; all classes where none is named.

    Raises:
        UserError: an unknown class, one that is named twice, or classes for a generator that is
            unconditional or was trained on label vectors.
    """
    condition = snapshot.info.condition
    if not wanted:
        return list(condition.classes)
    labels = [condition.one_hot(name) for name in wanted]
    chosen = [condition.classes[int(label.argmax())] for label in labels]
    if len(set(chosen)) < len(chosen):
        name, _ = Counter(chosen).most_common(1)[0]
        raise UserError(f"class {name!r} is named more than once: name every class once")
    return chosen


def generate(
    snapshot: Snapshot, request: ImageRequest, *, numbers: range | None = None
) -> Iterator[list[SyntheticImage]]:
    """Batches of images in the order of `request.jobs`: all, or those of these numbers.

    Batches begin at multiples of `request.batch` whatever is left out, so that an image is computed
    beside the same others, and gets the same bytes, in every part of the work.

    Raises:
        UserError: the generator needs label vectors, which a class cannot give.
    """
    check_request(snapshot, request)
    own = range(len(request.jobs)) if numbers is None else numbers
    if not own:
        return
    for start in range(own.start // request.batch * request.batch, own.stop, request.batch):
        part = slice(start, start + request.batch)
        pixels = _pixels(snapshot, request.chosen(snapshot, part), request)
        jobs = request.jobs[part]
        made = [SyntheticImage(s, n, p) for (s, n), p in zip(jobs, pixels, strict=True)]
        yield made[max(own.start - start, 0) : own.stop - start]


def _pixels(snapshot: Snapshot, latents: Latents, rendering: Rendering) -> Iterable[np.ndarray]:
    """Images of latents; a generator without styles draws them by itself."""
    kind = family(snapshot.info.family)
    if isinstance(kind, StyleFamily):
        return render(snapshot, styles(snapshot, latents, rendering), latents.seeds, rendering)
    with torch.no_grad():
        images = kind.sample(
            placed(snapshot, rendering),
            latents.values.to(rendering.device),
            one_hot_labels(snapshot, latents.labels, rendering.device),
            truncation=rendering.truncation,
            cutoff=rendering.cutoff,
            center=rendering.center,
            noise=rendering.noise,
            seeds=torch.tensor(latents.seeds, device=rendering.device),
        )
    return to_pixels(images, snapshot.info.spec.bits)


def check_request(snapshot: Snapshot, request: ImageRequest) -> None:
    """Refuse a request that cannot be fulfilled, before anything is written.

    Raises:
        UserError: a value out of range, an image asked for twice, images that files cannot hold, or
            a generator that needs more than a class.
    """
    check_rendering(snapshot, request)
    if len(set(request.jobs)) < len(request.jobs):
        seed, _ = Counter(request.jobs).most_common(1)[0][0]
        raise UserError(f"seed {seed} is asked for more than once: name every seed once")


def generate_files(
    snapshot: Snapshot,
    request: ImageRequest,
    outdir: Path,
    *,
    kind: FileKind = FileKind.PNG,
    track: Track = lambda items, total: items,
    stop: StopRequest | None = None,
    typed: str | None = None,
    part: Part | None = None,
) -> list[Path]:
    """Write `seed0000.png`, with `_CLASS` where several classes are made.

    Further modalities go into folders of their own. Existing files are refused, not replaced,
    unless the same request was interrupted: then it goes on behind them.

    Args:
        snapshot: whose images.
        request: which images.
        outdir: the folder; made if it is missing.
        kind: PNG, or JPEG for the eye.
        track: shows progress: gets an iterable and its length.
        stop: is asked before every batch whether to stop.
        typed: the command line, for whoever meets an unfinished folder.
        part: make only this part of the images; several parts fill one folder.

    Returns:
        The files of the first modality, in the order of the request.

    Raises:
        UserError: a file of that name exists, of whatever modality, or another request was
            interrupted in this folder.
        StoppedError: `stop` asked for it; the same request continues.
    """
    unfinished = begin_files(snapshot, request, outdir, kind=kind, typed=typed, part=part)
    names, done, own = unfinished.names, unfinished.done, unfinished.own
    others = unfinished.modalities
    with disk_errors(outdir):
        for modality in others:
            (outdir / modality).mkdir(exist_ok=True)
    left = range(own.start + done, own.stop)
    images = _until(stop, generate(snapshot, request, numbers=left))
    for image in track(images, len(left)):
        first, *rest = by_modality(snapshot.info.spec, image.pixels).values()
        for modality, pixels in zip(others, rest, strict=True):
            write_bytes(outdir / modality / names[done], _encode(pixels, kind))
        # last, so that it vouches for the others
        write_bytes(outdir / names[done], _encode(first, kind))
        done += 1
    if done < len(names):
        raise _stopped(stop, done, len(names), outdir)
    unfinished.finish()
    return [outdir / name for name in names]


def begin_files(
    snapshot: Snapshot,
    request: ImageRequest,
    outdir: Path,
    *,
    kind: FileKind = FileKind.PNG,
    typed: str | None = None,
    part: Part | None = None,
) -> Unfinished:
    """Claim a folder for `generate_files` with the same arguments, without generating images: for a
    request whose parts are generated by several processes.

    Raises:
        UserError: as `generate_files` does.
    """
    check_request(snapshot, request)
    if kind is FileKind.JPEG and snapshot.info.spec.bits == 16:
        raise UserError("--format jpeg holds 8 bits, these images have 16: use png")
    if os.path.lexists(outdir) and not outdir.is_dir():
        raise UserError(f"{outdir} is a file, so nothing can be written into it: name a folder")
    refuse_unwritable_folder(outdir)
    command = {**_command(snapshot, request, typed), "format": kind}
    names, others = request.file_names(kind), list(snapshot.info.spec.modalities)[1:]
    unfinished = Unfinished(outdir, command, names, others, part)
    unfinished.resume()
    return unfinished


def _until(stop: StopRequest | None, batches: Iterator[list[T]]) -> Iterator[T]:
    """One image after the other; ends early, between two batches, where a stop was asked for."""
    while stop is None or not stop.requested:
        batch = next(batches, None)
        if batch is None:
            return
        yield from batch


def _stopped(stop: StopRequest | None, done: int, total: int, where: Path) -> StoppedError:
    reason = None if stop is None else stop.reason
    return StoppedError(
        f"stopped on request ({reason}) after {done} of {total} images, which {where} keeps; the "
        "same command continues"
    )


def _encode(pixels: np.ndarray, kind: FileKind) -> bytes:
    """Bytes of a file; JPEG at quality 95 without colour subsampling, for the eye only."""
    if kind is FileKind.PNG:
        return encode_png(pixels)
    buffer = io.BytesIO()
    image = PIL.Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.save(buffer, format="JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def generate_archive(
    snapshot: Snapshot,
    request: ImageRequest,
    dest: Path,
    *,
    track: Track = lambda items, total: items,
    stop: StopRequest | None = None,
    typed: str | None = None,
    part: Part | None = None,
    reject: RejectionRule | None = None,
) -> int:
    """Write an archive whose manifest names snapshot, seed, class and truncation of every image.

    An unfinished archive of the same request is continued.

    Args:
        snapshot: whose images.
        request: which images.
        dest: the archive to be, a path ending in `.zip` or a folder.
        track: shows progress: gets an iterable and its length.
        stop: is asked before every batch whether to stop.
        typed: the command line, for whoever meets an unfinished archive.
        part: make only this part of the images; the same request without a part puts all parts
            together, and makes what is missing.
        reject: leaves images out; how many is recorded in `dataset.json`, and other seeds do not
            take their places, so that a seed that is missing was left out.

    Returns:
        Number of images of the archive, or of the part.

    Raises:
        UserError: `dest` exists, or an unfinished archive of another request is in the way.
        StoppedError: `stop` asked for it; the same request continues.
    """
    check_request(snapshot, request)
    command, total = _command(snapshot, request, typed), len(request.jobs)
    if reject is not None:
        command["reject"] = dict(reject.about)
    if (labels := request.labels) is not None:
        command["masks"] = {**labels.command, "keep": labels.keep}
    if part is not None:
        refuse_destination(dest)
        writer, own = ArchiveWriter(part.dest(dest), command), part.numbers(total)
        missing: Iterable[range] = [range(own.start + writer.items_done, own.stop)]
    else:
        writer, own = ArchiveWriter(dest, command), range(total)
        missing = missing_ranges(writer, total, command)
    try:
        for numbers in missing:
            batches = _judged(_masked(snapshot, request, numbers), reject)
            for image, mask, out in track(_until(stop, batches), len(numbers)):
                kept = [] if out else [encoded(snapshot, request, image, mask)]
                writer.add(kept, [image.seed, image.label] if out else None)
            if stop is not None and stop.requested and writer.items_done < len(own):
                raise _stopped(stop, writer.items_done, len(own), writer.partial)
        if part is None:
            finish(writer, snapshot, request, command)
    except BaseException:
        writer.suspend()
        raise
    if part is None:
        discard_parts(dest, command)
    else:
        writer.suspend()
    return len(writer.rows)


def _masked(
    snapshot: Snapshot, request: ImageRequest, numbers: range
) -> Iterator[list[tuple[SyntheticImage, ImageMask | None]]]:
    """Batches of images, each with its mask where the request has what makes masks."""
    if request.labels is not None:
        yield from map(list, request.labels.draw(numbers))
        return
    for batch in generate(snapshot, request, numbers=numbers):
        yield [(image, None) for image in batch]


def _judged(
    batches: Iterator[list[tuple[SyntheticImage, ImageMask | None]]], reject: RejectionRule | None
) -> Iterator[list[tuple[SyntheticImage, ImageMask | None, bool]]]:
    """Batches of images, each with its mask and whether it is to be left out."""
    for batch in batches:
        pixels = [image.pixels for image, _ in batch]
        out = [False] * len(batch) if reject is None else reject.judge(pixels)
        yield [(image, mask, no) for (image, mask), no in zip(batch, out, strict=True)]


def _command(snapshot: Snapshot, request: ImageRequest, typed: str | None) -> JsonObject:
    """What identifies a request, and the line that was typed."""
    return {
        **({} if typed is None else {TYPED: typed}),
        **({} if request.latents is None else {"latents": request.latents.sha256()}),
        "generate": snapshot.sha256,
        "images": len(request.jobs),
        "jobs": hashlib.sha256(json.dumps(request.jobs).encode()).hexdigest(),
        "truncation": [request.truncation, request.cutoff, request.center],
        "noise": request.noise,
        "precision": request.precision,
    }


def draw_contact_sheet(snapshot: Snapshot, images: Sequence[SyntheticImage], columns: int) -> bytes:
    """PNG of a contact sheet: one class per row and line."""
    channels = list(snapshot.info.spec.modalities.values())
    rows: list[tuple[str, list[np.ndarray]]] = []
    for label in dict.fromkeys(image.label for image in images):
        shown = [as_rgb(i.pixels, channels) for i in images if i.label == label]
        for start in range(0, len(shown), columns):
            rows.append((label or "" if start == 0 else "", shown[start : start + columns]))
    return contact_sheet(rows)
