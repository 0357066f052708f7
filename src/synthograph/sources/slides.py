"""Whole slides (formats of OpenSlide): tiles of tissue at a stated scale, a few at a time."""

import contextlib
import hashlib
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from synthograph.core.record import Pixels, UnreadableError
from synthograph.sources.base import Frame, Reader, Reading, Slides, SourceFile
from synthograph.sources.thresholds import otsu

MAX_OVERVIEW = 2048
"""Longest side of the picture of a slide in which its tissue is found."""
_PALEST = 0.05
"""Saturation, 0 to 1, below which nothing is tissue, however the rest of a slide looks."""
_DARK = 0.2  # value, 0 to 1, of marks in black ink and of edges of the glass
_PEN_SATURATION = 0.6
_PEN_HUES = (0.22, 0.70)
"""From green to blue, which no common stain is; markers for glass are. 0 and 1 are red."""
_SCALE_TOLERANCE = 1.05
"""How much coarser than asked for a slide may have been scanned."""


@dataclass(frozen=True, slots=True)
class Overview:
    """A slide in small.

    Attributes:
        picture: RGB [h, w, 3].
        tissue: [h, w], whether there is tissue.
        pen: [h, w], whether it looks like ink of a marker.
        scale: pixels of the whole slide for one of the picture.
    """

    picture: np.ndarray
    tissue: np.ndarray
    pen: np.ndarray
    scale: float

    def shares(self, x: int, y: int, side: float) -> tuple[float, float]:
        """Share of tissue and of ink in a square of the whole slide."""
        top, left = int(y / self.scale), int(x / self.scale)
        size = max(int(np.ceil(side / self.scale)), 1)
        part = (slice(top, top + size), slice(left, left + size))
        tissue, pen = self.tissue[part], self.pen[part]
        return (float(tissue.mean()), float(pen.mean())) if tissue.size else (0.0, 0.0)


class SlideReader(Reader):
    """Reads tiles of slides; they lie in a folder, since only parts of them are read."""

    formats = ("whole slide",)
    suffixes = frozenset(".svs .ndpi .mrxs .scn .vms .vmu .bif .svslide .czi".split())

    def missing(self) -> str | None:
        """The extra `wsi`, where OpenSlide is not installed."""
        if importlib.util.find_spec("openslide") is None:
            return "the extra wsi: pip install 'synthograph[wsi]'"
        return None

    def recognises(self, head: bytes) -> bool:
        """Never: slides begin as other TIFF files do, and go by their endings."""
        return False

    def claims(self, file: SourceFile, reading: Reading) -> bool:
        """Whether a TIFF file is a slide, where slides are wanted (`--mpp`)."""
        wanted = reading.slides is not None and reading.slides.mpp is not None
        tiff = file.name.lower().endswith((".tif", ".tiff"))
        path = file.local()
        if not (wanted and tiff and path is not None) or self.missing():
            return False
        import openslide

        return openslide.OpenSlide.detect_format(path) is not None

    def frames(self, file: SourceFile, reading: Reading) -> Iterator[Frame]:
        """Its tiles of tissue, in the order of a random draw where only some are wanted."""
        wanted = _wanted(reading)
        slide = _slide(_path(file))
        with _failures():
            mpp, step = _scale(slide, wanted)
            corners, seen = _corners(slide, wanted, step), overview(slide)
            if wanted.per_slide is not None:
                random = np.random.default_rng(_seed(file.name, wanted.seed))
                corners = [corners[i] for i in random.permutation(len(corners))]
            taken = 0
            for x, y in corners:
                tissue, pen = seen.shares(x, y, wanted.tile * step)
                if tissue < wanted.tissue or pen > wanted.pen:
                    continue
                if wanted.sharpness and sharpness(_tile(slide, x, y, wanted)) < wanted.sharpness:
                    continue
                taken += 1
                yield Frame(
                    f"x{x}y{y}",
                    _stem(file.name),
                    {
                        "slide_x": str(x),
                        "slide_y": str(y),
                        "mpp": f"{wanted.mpp or mpp:g}",
                        "tissue": f"{tissue:.2f}",
                    },
                )
                if taken == wanted.per_slide:
                    return

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """A tile in RGB, at the wanted scale."""
        x, y = (int(part) for part in frame.removeprefix("x").split("y"))
        with _failures():
            return _tile(_slide(_path(file)), x, y, _wanted(reading)), ()

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Refused: no slide holds class ids."""
        raise UnreadableError("a whole slide is no mask")


def overview(slide: Any) -> Overview:  # noqa: ANN401 - OpenSlide has no types
    """A slide in small, and where its tissue is: more saturated than Otsu's threshold says of the
    whole, and neither dark nor ink.
    """
    width, height = slide.dimensions
    longest = max(width, height)
    side = min(MAX_OVERVIEW, longest)
    picture = slide.get_thumbnail(
        (max(width * side // longest, 1), max(height * side // longest, 1))
    )
    hue, saturation, value = (
        np.asarray(band, np.float32) / 255 for band in picture.convert("HSV").split()
    )
    pen = (saturation > _PEN_SATURATION) & (hue > _PEN_HUES[0]) & (hue < _PEN_HUES[1])
    dark = value < _DARK
    threshold = max(otsu(saturation[~(pen | dark)]), _PALEST)
    tissue = (saturation > threshold) & ~pen & ~dark
    return Overview(np.asarray(picture.convert("RGB")), tissue, pen, width / picture.width)


def sketch(
    file: SourceFile, reading: Reading, corners: Iterable[tuple[int, int]], side: int
) -> np.ndarray:
    """A picture of a slide: what is no tissue is pale, tiles are framed, ink is black.

    Args:
        file: the slide.
        reading: how it was cut.
        corners: of the tiles that were taken, in pixels of the whole slide.
        side: longest side of the picture.

    Returns:
        RGB [h, w, 3], uint8.
    """
    wanted, slide = _wanted(reading), _slide(_path(file))
    with _failures():
        _, step = _scale(slide, wanted)
        seen = overview(slide)
    shown = seen.picture.astype(np.float32)
    shown = np.where(seen.tissue[..., None], shown, 255 - (255 - shown) * 0.3)
    shown[seen.pen] = 0
    picture = Image.fromarray(shown.astype(np.uint8))
    picture.thumbnail((side, side))
    scale = slide.dimensions[0] / picture.width
    pen, tile = ImageDraw.Draw(picture), wanted.tile * step
    for x, y in corners:
        box = [x / scale, y / scale, (x + tile) / scale, (y + tile) / scale]
        pen.rectangle(box, outline=(0, 90, 200))
    return np.asarray(picture)


def sharpness(tile: Image.Image) -> float:
    """Standard deviation of the Laplacian of the grey values, 0 to 255 (Pech-Pacheco et al. 2000):
    the smaller, the more blurred.
    """
    grey = np.asarray(tile.convert("L"), np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).std())


def _wanted(reading: Reading) -> Slides:
    if reading.slides is None:
        raise UnreadableError(
            "a whole slide is cut into tiles: give their side and scale, such as --tile 256 "
            "--mpp 0.5 (micrometres per pixel)"
        )
    return reading.slides


def _path(file: SourceFile) -> Path:
    path = file.local()
    if path is None:
        raise UnreadableError("a whole slide in a zip file: unpack it, since only parts are read")
    return path


@lru_cache(maxsize=4)
def _slide(path: Path) -> Any:  # noqa: ANN401 - OpenSlide has no types
    import openslide

    try:
        return openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        raise UnreadableError(
            f"slide is damaged or of an unknown variant ({type(error).__name__})"
        ) from None


def _scale(slide: Any, wanted: Slides) -> tuple[float, float]:  # noqa: ANN401
    """Micrometres of a pixel of the whole slide, and how many of those a pixel of a tile has."""
    said = slide.properties.get("openslide.mpp-x")
    if wanted.mpp is None:
        return float(said or 0), 1.0
    if said is None:
        raise UnreadableError(
            "the slide does not say its scale (micrometres per pixel): leave --mpp out to cut it "
            "as it was scanned"
        )
    mpp = float(said)
    if mpp > wanted.mpp * _SCALE_TOLERANCE:
        raise UnreadableError(
            f"was scanned at {mpp:g} micrometres per pixel, coarser than --mpp {wanted.mpp:g}"
        )
    return mpp, wanted.mpp / mpp


def _corners(slide: Any, wanted: Slides, step: float) -> list[tuple[int, int]]:  # noqa: ANN401
    """Corners of all tiles that lie within the slide, in pixels of the whole slide."""
    width, height = slide.dimensions
    side, stride = wanted.tile * step, (wanted.tile - wanted.overlap) * step
    across, down = (int((n - side) // stride) + 1 if n >= side else 0 for n in (width, height))
    return [(round(i * stride), round(j * stride)) for j in range(down) for i in range(across)]


def _tile(slide: Any, x: int, y: int, wanted: Slides) -> Image.Image:  # noqa: ANN401
    _, step = _scale(slide, wanted)
    level = slide.get_best_level_for_downsample(step)
    size = max(round(wanted.tile * step / slide.level_downsamples[level]), 1)
    region = slide.read_region((x, y), level, (size, size))
    paper = Image.new("RGB", region.size, (255, 255, 255))  # where nothing was scanned
    paper.paste(region, mask=region.getchannel("A"))
    if size == wanted.tile:
        return paper
    return paper.resize((wanted.tile, wanted.tile), Image.Resampling.BOX)


def _seed(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{name}".encode()).digest()[:8], "little")


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Whatever OpenSlide raises on damaged files becomes the reason."""
    import openslide

    try:
        yield
    except (openslide.OpenSlideError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UnreadableError(f"slide is damaged ({reason})") from error
