"""Films of a generator: interpolation, loops, truncation sweeps."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from synthograph.core.animations import (
    STRIP_COLUMNS,
    AnimationKind,
    Canvas,
    Padding,
    check_animation,
    frame_name,
    kind_of,
    open_animation,
    png_of,
)
from synthograph.core.commands import TYPED
from synthograph.core.contact_sheets import MIN_SIDE, as_rgb
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import refuse_unwritable_folder, write_bytes
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.signals import StopRequest
from synthograph.models.snapshot import Snapshot
from synthograph.sampling import interpolation as films
from synthograph.sampling.easing import Easing
from synthograph.sampling.folder import Unfinished
from synthograph.sampling.interpolation import Film, Process, Way
from synthograph.sampling.latents import Latents, Rendering, Space, joined, of_seeds, styles
from synthograph.sampling.seeds import parse_seeds
from synthograph.workflows.latent_inputs import class_of, open_styled, read_latents
from synthograph.workflows.latent_requests import InterpolateRequest

WATCHED_SIDE = 256
"""Pixels of the shorter side that small images are enlarged to in films; on a filmstrip 64."""
SEEDS, INCREMENT = "0-5", 0.01
"""Key images of a way, and the step of psi of a sweep, where none is given."""
MOST_COLUMNS = 32
"""Frames of a sweep that has a row of a filmstrip for itself."""
FINISHING = "the frames at work are finished"


@dataclass(frozen=True, repr=False)
class InterpolateResult(Result):
    """A film that was written.

    Attributes:
        out: the file or folder.
        frames: how many it has.
        size: width and height of a frame, in pixels.
    """

    out: Path
    frames: int
    size: tuple[int, int]

    def lines(self) -> Iterator[str]:
        """What is where."""
        yield f"{self.out}: {self.frames} frames of {self.size[0]}x{self.size[1]} pixels"


def run(request: InterpolateRequest, *, progress: Progress) -> InterpolateResult | None:
    """Write a film.

    Returns:
        What was written; None for a dry run.

    Raises:
        UserError: an option breaks a rule, a class is missing, or something is in the way.
        StoppedError: a signal came; it says what is left.
    """
    kind = kind_of(request.out)
    snapshot, rendering = open_styled(request, request.network, progress)
    film, spec = _film(request, snapshot, rendering, progress), snapshot.info.spec
    canvas = Canvas.of(
        spec.height,
        spec.width * len(spec.modalities),
        request.size,
        Padding(request.scale_type),
        MIN_SIDE if kind is AnimationKind.STRIP else WATCHED_SIDE,
    )
    total, size = len(film.steps), (canvas.height, canvas.width)
    unfinished = _begin(request, film, snapshot) if kind is AnimationKind.FOLDER else None
    if unfinished is None:
        check_animation(request.out, total, size, fps=request.fps)
    result = InterpolateResult(request.out, total, (canvas.width, canvas.height))
    if request.dry_run:
        for line in _plan(result, film, snapshot):
            progress.log(line)
        return None
    with StopRequest(FINISHING) as stop:
        if unfinished is None:
            _write_film(request, film, _frames(snapshot, film, canvas, 0, stop), progress)
        else:
            unfinished.resume()
            left = _frames(snapshot, film, canvas, unfinished.done, stop)
            _write_folder(request, unfinished, left, progress)
    return result


def _write_film(
    request: InterpolateRequest, film: Film, frames: Iterable[np.ndarray], progress: Progress
) -> None:
    """All frames into one file; on a filmstrip a sweep has a row of its own."""
    total, each = len(film.steps), len(film.steps) // len(film.keys)
    swept = Process(request.process) is Process.TRUNCATION and each <= MOST_COLUMNS
    columns = each if swept else STRIP_COLUMNS
    try:
        with open_animation(request.out, frames=total, fps=request.fps, columns=columns) as out:
            for pixels in progress.track("drawing")(frames, total):
                out.add(pixels)
    except StoppedError as stopped:
        raise StoppedError(
            f"{stopped}; nothing is written, the same command starts again (a folder as --out "
            "keeps its frames)"
        ) from None


def _write_folder(
    request: InterpolateRequest,
    unfinished: Unfinished,
    frames: Iterable[np.ndarray],
    progress: Progress,
) -> None:
    """A file for every frame that is missing."""
    names = unfinished.names[unfinished.done :]
    try:
        track = progress.track("drawing")(frames, len(names))
        for name, pixels in zip(names, track, strict=True):
            write_bytes(request.out / name, png_of(pixels))
    except StoppedError as stopped:
        raise StoppedError(
            f"{stopped}; {request.out} keeps its frames. Continue with: {request.command_line()}"
        ) from None
    unfinished.finish()


def _begin(request: InterpolateRequest, film: Film, snapshot: Snapshot) -> Unfinished:
    """The folder of a film, which the same request continues to fill."""
    refuse_unwritable_folder(request.out)
    apart = {"network", "out", "latents", "device", "dry_run"}
    command = {
        TYPED: request.command_line(),
        "interpolate": snapshot.sha256,
        "keys": film.keys.sha256(),
        **request.model_dump(mode="json", exclude=apart),
    }
    total = len(film.steps)
    names = [frame_name(number, total) for number in range(total)]
    return Unfinished(request.out, command, names, verb="interpolate", option="--out")


def _frames(
    snapshot: Snapshot, film: Film, canvas: Canvas, first: int, stop: StopRequest
) -> Iterator[np.ndarray]:
    """Frames as they are shown: modalities side by side, of 16 bits the upper 8.

    Raises:
        StoppedError: a signal came.
    """
    channels = snapshot.info.spec.modalities.values()
    for number, pixels in enumerate(films.frames(snapshot, film, first=first), start=first):
        if stop.requested:
            raise StoppedError(
                f"stopped on request ({stop.reason}) after {number} of {len(film.steps)} frames"
            )
        yield canvas.frame(as_rgb(pixels, channels))


def _plan(result: InterpolateResult, film: Film, snapshot: Snapshot) -> Iterator[str]:
    """What would be done, and how long it takes, from the time of a few frames."""
    begin = time.perf_counter()
    tried = len(list(islice(films.frames(snapshot, film), films.BATCH)))
    seconds = (time.perf_counter() - begin) / tried * result.frames
    yield from (f"would write {line}" for line in result.lines())
    yield f"takes about {max(1, round(seconds))} s on {film.rendering.device}"


# --- what is asked --------------------------------------------------------------------------------


def _film(
    request: InterpolateRequest, snapshot: Snapshot, rendering: Rendering, progress: Progress
) -> Film:
    """The film that a request means.

    Raises:
        UserError: options that contradict each other, or keys that cannot be read.
    """
    _refuse_together(request)
    keys = _keys(request, snapshot, progress)
    space = keys.space if request.space is None else Space(request.space)
    way = Way(request.interpolation or (Way.LINEAR if space is Space.W else Way.SLERP))
    if space is Space.W and way is not Way.LINEAR:
        raise UserError(
            f"--interpolation {way}: goes through z, not through w; leave it out, or name latents "
            "in z and --space z"
        )
    if len(keys) == 1 and not way.is_loop and Process(request.process) is Process.INTERPOLATION:
        raise UserError(
            "one key image does not move: name several --seeds, --latents or --class, or "
            "--interpolation noiseloop"
        )
    closed = request.loop or way.is_loop
    steps = _steps(request, len(keys), closed)
    if Process(request.process).moves:  # noise that changed at keys would flicker
        keys = replace(keys, seeds=keys.seeds[:1] * len(keys))
    if space is Space.Z:
        return Film(keys, steps, _path(request, way, keys), rendering)
    if keys.space is Space.Z:
        untouched = replace(rendering, truncation=1.0, batch=films.BATCH)
        keys = replace(keys, values=styles(snapshot, keys, untouched), space=Space.W)
    return Film(keys, steps, None, rendering)


def _refuse_together(request: InterpolateRequest) -> None:
    """Refuse options that contradict each other, or would have no effect."""
    way = None if request.interpolation is None else Way(request.interpolation)
    process, given = Process(request.process), request.seeds is not None
    if given and request.latents:
        raise UserError("--seeds and --latents exclude each other: give one of them")
    if way is not None and way.is_loop:
        if not process.moves:
            raise UserError(
                f"--process {process}: shows key images, and {way} has none; leave out one of them"
            )
        if request.latents or (given and way is Way.NOISE_LOOP):
            raise UserError(
                f"--interpolation {way}: is drawn from --random-seed, not from key images; leave "
                "out --seeds and --latents"
            )
    looping = way is not None and way.is_loop
    needs = (
        (process.sweeps, ("start", "stop", "increment"), "--process truncation sweeps psi"),
        (process.moves, ("frames", "easing", "loop"), "--process interpolation moves images"),
        (
            looping,
            ("diameter", "random_seed"),
            "--interpolation noiseloop or circularloop is a loop",
        ),
    )
    for has, names, way_out in needs:
        idle = [] if has else request.changed(names)
        if idle:
            raise UserError(f"{idle[0]}: has no effect here: {way_out}; or leave it out")
    if process.sweeps and request.trunc != 1:
        raise UserError(
            f"--trunc: --process {process} sweeps psi from --start to --stop; leave out --trunc"
        )


def _keys_of_files(request: InterpolateRequest, snapshot: Snapshot, progress: Progress) -> Latents:
    """The latents of all files, in the space of the first."""
    wanted, found = Space.Z if request.space == "z" else None, list[Latents]()
    for path in request.latents:
        found.append(read_latents(path, snapshot, progress, wanted))
        wanted = found[0].space
    return joined(found)


def _keys(request: InterpolateRequest, snapshot: Snapshot, progress: Progress) -> Latents:
    """Key latents with their classes."""
    classes = [class_of(snapshot, name) or "" for name in request.classes]
    looping = request.interpolation is not None and Way(request.interpolation).is_loop
    if request.latents:
        keys = _keys_of_files(request, snapshot, progress)
        needed = keys.space is Space.Z or request.trunc_center == "class"
        if not classes and not (needed and None in keys.labels):
            return keys
    else:
        usual = str(request.random_seed) if looping else SEEDS
        seeds = parse_seeds(usual if request.seeds is None else request.seeds)
        if looping and len(seeds) > 1:
            raise UserError(f"--seeds {request.seeds}: a loop has one centre, name one seed")
        keys = of_seeds(snapshot, seeds, [None] * len(seeds))
    known = snapshot.info.condition.classes
    count, labels = films.labels_of_keys(len(keys), classes, known)
    for place, label in enumerate(labels if classes and request.latents else ()):
        one = keys.take(slice(place % len(keys), place % len(keys) + 1))
        one.refuse_other_class(label, one.names[0])
    return replace(joined([keys] * (count // len(keys))), labels=tuple(labels))


def _path(request: InterpolateRequest, way: Way, keys: Latents) -> films.Path:
    """Latents of frames in z."""
    if way is Way.NOISE_LOOP:
        return films.noise_loop(keys.values.shape[1], request.diameter, request.random_seed)
    if way is Way.CIRCULAR_LOOP:
        return films.circular_loop(keys.values[0], request.diameter, request.random_seed)
    return films.between(keys.values, spherical=way is Way.SLERP)


def _steps(request: InterpolateRequest, keys: int, closed: bool) -> films.Steps:
    """Where every frame stands."""
    process, one = Process(request.process), request.trunc
    if not process.moves:
        increment = INCREMENT if request.increment is None else request.increment
        swept = films.sweep(request.start, request.stop, increment)
        return films.steps_at_keys(keys, swept if process.sweeps else torch.tensor([one]).double())
    easing = Easing(request.easing)
    steps = films.steps_by_keys(keys, request.frames, one, closed=closed, easing=easing)
    if not process.sweeps:
        return steps
    swing = (request.start, request.stop, request.increment)
    return films.swinging(steps, *swing, closed=closed)
