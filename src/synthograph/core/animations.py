"""Animations for people to look at: frames become a folder of PNG files, a WebP, a GIF, an MP4 or
one PNG with all frames on it, by the ending of the name.

    with open_animation(Path("loop.webp"), frames=48, fps=24) as film:
        for pixels in drawn:  # uint8 [h, w, 3], all of one size
            film.add(pixels)

Folders and MP4 files are written frame by frame; the others hold all frames until the end. Whatever
is written appears whole under its name, or not at all.
"""

import contextlib
import enum
import importlib.util
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.files import (
    atomic_path,
    disk_errors,
    new_folder,
    refuse_output,
    write_bytes,
)

MAX_HELD_BYTES = 1 << 30
"""Pixels of all frames of an animation that is written at its end."""
MAX_WEBP_SIDE, MAX_SIDE = 16383, 16384
MIN_GIF_FPS, MAX_GIF_FPS = 0.01, 50
"""A frame lasts at most 655 seconds; viewers show faster ones slower than any."""
STRIP_COLUMNS = 12
"""Frames of a row of a filmstrip."""
CODEC, VIDEO_QUALITY = "libx264", "14"
"""H.264, which every browser plays, at a constant rate factor that hides its losses."""
NO_VIDEO = "for MP4 run pip install 'synthograph[video]', or name a .webp, which needs no package"


class AnimationKind(enum.StrEnum):
    """How frames are written, by the ending of the name."""

    FOLDER = ""
    WEBP = ".webp"
    GIF = ".gif"
    MP4 = ".mp4"
    STRIP = ".png"

    @property
    def is_held(self) -> bool:
        """Whether all frames are in memory until the end."""
        return self in (AnimationKind.WEBP, AnimationKind.GIF, AnimationKind.STRIP)


def kind_of(path: Path, option: str = "--out") -> AnimationKind:
    """What a name asks for.

    Args:
        path: of the animation.
        option: how messages call it.

    Raises:
        UserError: no kind of animation has that ending.
    """
    try:
        return AnimationKind(path.suffix.lower())
    except ValueError:
        raise UserError(
            f"{option} {path}: animations are .webp, .gif, .mp4, .png (all frames on one picture) "
            f"or, without an ending, a folder of PNG files; name it {path.with_suffix('.webp')}"
        ) from None


def check_animation(
    path: Path, frames: int, size: tuple[int, int], *, fps: float = 24, option: str = "--out"
) -> None:
    """Refuse what could not be written, before long work begins.

    Args:
        path: of the animation.
        frames: how many there will be.
        size: height and width of a frame, in pixels.
        fps: frames a second.
        option: how messages call `path`.

    Raises:
        UserError: an unknown ending, something is in the way, the package for MP4 is missing, or
            more pixels or frames a second than such a file holds.
    """
    kind, (height, width) = kind_of(path, option), size
    refuse_output(path, option, file=kind is not AnimationKind.FOLDER)
    if kind is AnimationKind.MP4:
        _codec()
    if kind is AnimationKind.GIF and not MIN_GIF_FPS <= fps <= MAX_GIF_FPS:
        raise UserError(
            f"{option} {path}: GIF shows {MIN_GIF_FPS} to {MAX_GIF_FPS} frames a second; change "
            f"--fps, or name it {path.with_suffix('.webp')}"
        )
    if kind is AnimationKind.WEBP and max(size) > MAX_WEBP_SIDE:
        raise UserError(
            f"{option} {path}: frames of {width}x{height} pixels; WebP holds {MAX_WEBP_SIDE} a "
            f"side: name it {path.with_suffix('.mp4')}, or ask for smaller ones"
        )
    if kind.is_held and frames * height * width * 3 > MAX_HELD_BYTES:
        raise UserError(
            f"{option} {path}: {frames} frames of {width}x{height} pixels are too many for one "
            f"{kind.name}, which is held in memory; name it {path.with_suffix('.mp4')}, or "
            f"{path.with_suffix('')} for a folder"
        )


class Padding(enum.StrEnum):
    """How a frame is filled that is larger than its image, as published scripts call it."""

    PAD = "pad"
    PAD_SIDE = "padside"
    MIRROR = "symm"
    MIRROR_SIDE = "symmside"


@dataclass(frozen=True)
class Canvas:
    """How an image becomes a frame: enlarged by a whole factor, without new shades, and filled up.

    Attributes:
        factor: by which sides are enlarged.
        height: of the frame, in pixels.
        width: of the frame, in pixels.
        padding: black around the image (`pad`) or right of it and below (`padside`); or the image
            goes on as in a mirror there (`symm`, `symmside`).
    """

    factor: int
    height: int
    width: int
    padding: Padding = Padding.PAD

    @classmethod
    def of(
        cls, height: int, width: int, wanted: str | None, padding: Padding, least: int = 1
    ) -> "Canvas":
        """The canvas of images.

        Args:
            height: of images.
            width: of images.
            wanted: size of frames, `512` or WIDTHxHEIGHT; None enlarges small images.
            padding: how frames are filled.
            least: pixels of the shorter side that images are enlarged to, where no size is wanted.

        Raises:
            UserError: that is no size, or one below that of the images.
        """
        if wanted is None:
            factor = max(1, -(-least // min(height, width)))
            return cls(factor, height * factor, width * factor, padding)
        across, two, down = wanted.lower().partition("x")
        written = (across, down if two else across)
        sides = [int(side) if side.isdecimal() else 0 for side in written]
        if not all(0 < side <= MAX_SIDE for side in sides):
            raise UserError(
                f"--size {wanted}: the size of frames in pixels, such as 512 or 640x480, at most "
                f"{MAX_SIDE} a side"
            )
        factor = min(sides[0] // width, sides[1] // height)
        if not factor:
            raise UserError(
                f"--size {wanted}: smaller than the images, {width}x{height}, which are never made "
                f"smaller; ask for at least {width}x{height}"
            )
        return cls(factor, sides[1], sides[0], padding)

    def frame(self, pixels: np.ndarray) -> np.ndarray:
        """An image [h, w, 3] as a frame [height, width, 3]."""
        large = pixels.repeat(self.factor, axis=0).repeat(self.factor, axis=1)
        left = [self.height - large.shape[0], self.width - large.shape[1]]
        centred = self.padding in (Padding.PAD, Padding.MIRROR)
        sides = [(one // 2, one - one // 2) if centred else (0, one) for one in left]
        dark = self.padding in (Padding.PAD, Padding.PAD_SIDE)
        return np.pad(large, [*sides, (0, 0)], mode="constant" if dark else "symmetric")


class Animation(Protocol):
    """An animation that is being written."""

    def add(self, pixels: np.ndarray) -> None:
        """Append a frame, uint8 [h, w, 3]."""


@contextlib.contextmanager
def open_animation(
    path: Path, *, frames: int, fps: float = 24, columns: int = STRIP_COLUMNS
) -> Iterator[Animation]:
    """Begin an animation, which is whole once the block ends without an error.

    Args:
        path: where; its ending says which kind.
        frames: how many there will be, for the numbers in names.
        fps: frames a second; folders and filmstrips have no time.
        columns: frames of a row of a filmstrip.

    Raises:
        UserError: an unknown ending, a package is missing, or it cannot be written.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _OPENED[kind_of(path)](_Plan(path, frames, fps, columns)) as animation:
        yield animation


def frame_name(number: int, frames: int) -> str:
    """Name of a frame's file, such as `frame0007.png`; names sort as frames follow."""
    return f"frame{number:0{max(4, len(str(frames - 1)))}d}.png"


def png_of(pixels: np.ndarray) -> bytes:
    """PNG bytes of a frame."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


@dataclass(frozen=True)
class _Plan:
    path: Path
    frames: int
    fps: float
    columns: int


class _Folder:
    def __init__(self, folder: Path, frames: int) -> None:
        self._folder, self._frames, self._done = folder, frames, 0

    def add(self, pixels: np.ndarray) -> None:
        name = frame_name(self._done, self._frames)
        (self._folder / name).write_bytes(png_of(pixels))
        self._done += 1


@contextlib.contextmanager
def _folder(plan: _Plan) -> Iterator[Animation]:
    with new_folder(plan.path) as folder:
        yield _Folder(folder, plan.frames)


class _Held:
    def __init__(self) -> None:
        self.frames: list[np.ndarray] = []

    def add(self, pixels: np.ndarray) -> None:
        self.frames.append(pixels)


@contextlib.contextmanager
def _webp(plan: _Plan) -> Iterator[Animation]:
    """Lossless, without end; times are rounded to milliseconds, their sum is not."""
    held = _Held()
    yield held
    ends = [round(number * 1000 / plan.fps) for number in range(len(held.frames) + 1)]
    first, *others = map(Image.fromarray, held.frames)
    file = io.BytesIO()
    first.save(
        file,
        format="WEBP",
        save_all=True,
        append_images=others,
        duration=[after - before for before, after in zip(ends, ends[1:], strict=False)],
        loop=0,
        lossless=True,
    )
    write_bytes(plan.path, file.getvalue())


@contextlib.contextmanager
def _gif(plan: _Plan) -> Iterator[Animation]:
    """Without end, in 256 colours a frame, which grey images keep as they are; times are rounded to
    hundredths of a second, their sum is not.
    """
    held = _Held()
    yield held
    ends = [round(number * 100 / plan.fps) for number in range(len(held.frames) + 1)]
    first, *others = (
        Image.fromarray(each[:, :, 0] if (each == each[:, :, :1]).all() else each)
        for each in held.frames
    )
    times = [10 * (after - before) for before, after in zip(ends, ends[1:], strict=False)]
    file = io.BytesIO()
    try:
        first.save(file, format="GIF", save_all=True, append_images=others, duration=times, loop=0)
    except (OverflowError, struct.error):  # equal frames become one
        raise UserError(
            f"{plan.path}: in a GIF, equal frames in a row last at most 655 seconds together; name "
            f"it {plan.path.with_suffix('.webp')}"
        ) from None
    write_bytes(plan.path, file.getvalue())


@contextlib.contextmanager
def _strip(plan: _Plan) -> Iterator[Animation]:
    held = _Held()
    yield held
    write_bytes(plan.path, png_of(filmstrip(held.frames, plan.columns)))


def filmstrip(frames: list[np.ndarray], columns: int = STRIP_COLUMNS) -> np.ndarray:
    """All frames [h, w, 3] on one picture, in rows from left to right; white where none is left."""
    height, width, channels = frames[0].shape
    columns = min(columns, len(frames))
    rows = -(-len(frames) // columns)
    canvas = np.full((rows * height, columns * width, channels), 255, np.uint8)
    for number, pixels in enumerate(frames):
        top, left = number // columns * height, number % columns * width
        canvas[top : top + height, left : left + width] = pixels
    return canvas


class _Video:
    def __init__(self, container: Any, fps: float) -> None:  # noqa: ANN401 - of an optional package
        self._container, self._fps = container, Fraction(fps).limit_denominator(1000)
        self._stream: Any = None

    def add(self, pixels: np.ndarray) -> None:
        import av

        # colour has half the resolution, so an odd side gets its last line once more
        height, width, _ = pixels.shape
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        if self._stream is None:
            self._stream = self._container.add_stream(CODEC, rate=self._fps)
            self._stream.height, self._stream.width = even.shape[:2]
            self._stream.pix_fmt = "yuv420p"
            self._stream.options = {"crf": VIDEO_QUALITY, "threads": "1"}
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        self._container.mux(self._stream.encode(frame))

    def finish(self) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())


@contextlib.contextmanager
def _mp4(plan: _Plan) -> Iterator[Animation]:
    _codec()
    import av

    with (
        atomic_path(plan.path) as temporary,
        # a name such as 12:30.mp4 would be read as an address
        av.open(str(temporary.absolute()), "w", format="mp4") as container,
    ):
        video = _Video(container, plan.fps)
        yield video
        video.finish()


def _codec() -> None:
    """Refuse MP4 where nothing here writes it.

    Raises:
        UserError: the package is missing, cannot be loaded, or was built without the codec.
    """
    if importlib.util.find_spec("av") is None:
        raise UserError(f"MP4 needs the package av, which is not installed: {NO_VIDEO}")
    try:
        import av
    except ImportError as error:  # a library of the system is missing or too old
        raise UserError(f"the package av cannot be loaded ({error}): {NO_VIDEO}") from error

    if CODEC not in av.codecs_available:
        raise UserError(f"the package av was built without {CODEC}: {NO_VIDEO}")


_OPENED = {
    AnimationKind.FOLDER: _folder,
    AnimationKind.WEBP: _webp,
    AnimationKind.GIF: _gif,
    AnimationKind.MP4: _mp4,
    AnimationKind.STRIP: _strip,
}
