"""Whole slides (formats of OpenSlide): tiles of tissue at a stated scale, a few at a time."""

import contextlib
import hashlib
import importlib.util
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from synthograph.core.record import Pixels, UnreadableError, UnwantedError
from synthograph.sources.base import Frame, Reader, Reading, Slides, SourceFile
from synthograph.sources.slide_regions import (
    Drawing,
    colours_of,
    drawing_of,
    label_tiles,
    mask_of,
    stamp_of,
)
from synthograph.sources.thresholds import otsu

TILE, PAPER = (0, 90, 200), (255, 255, 255)
MAX_OVERVIEW = 2048
"""Longest side of the picture of a slide in which its tissue is found."""
_WHOLE = 1 << 25
"""Pixels of a copy of a slide that are held at once."""
_LARGEST = 1 << 34
"""Pixels of the smallest copy of a slide, which is read to find its tissue."""
_MOST_TILES = 5_000_000
_PALEST = 0.05
"""Saturation, 0 to 1, below which nothing is tissue, however the rest of a slide looks."""
_DARK = 0.2  # value, 0 to 1, of marks in black ink and of edges of the glass
_PEN_SATURATION = 0.6
_PEN_HUES = (0.22, 0.70)
"""From green to blue, which no common stain is; markers for glass are. 0 and 1 are red."""
TRIED = 10
"""Tiles that are read at most for one that is sharp, where only some of a slide are drawn."""
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

    def shares(self, corners: np.ndarray, side: float) -> tuple[np.ndarray, np.ndarray]:
        """Shares of tissue and of ink in squares of the whole slide, [n] each.

        Args:
            corners: left and top of each, [n, 2].
            side: of all.
        """
        lows = (corners / self.scale).astype(np.int64)
        ends = np.minimum(lows + max(int(np.ceil(side / self.scale)), 1), self.tissue.shape[::-1])
        sizes = np.prod(np.maximum(ends - lows, 0), axis=1)
        counts = (_count(area, lows, ends) for area in (self.tissue, self.pen))
        tissue, pen = (count / np.maximum(sizes, 1) for count in counts)
        return tissue, pen


def _count(area: np.ndarray, lows: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Pixels that are true in boxes [n, 2] to [n, 2], by a table of sums from the corner on."""
    sums = np.pad(area.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    lows = np.minimum(lows, ends)
    (x0, y0), (x1, y1) = lows.T, ends.T
    return sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tiles of a slide that are wanted, and why how many others are not."""

    frames: tuple[Frame, ...]
    left_out: Mapping[str, int]


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

    def frames(self, file: SourceFile, reading: Reading) -> tuple[Frame, ...]:
        """Its tiles of tissue, in the order of a random draw where only some are wanted."""
        return _choose(file, _stamp(file, reading), reading).frames

    def left_out(self, file: SourceFile, reading: Reading) -> Mapping[str, int]:
        """Reason -> how many tiles are not taken; blurred ones are found when they are read."""
        return _choose(file, _stamp(file, reading), reading).left_out

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """A tile in RGB, at the wanted scale.

        Raises:
            UnwantedError: it is blurred.
        """
        (x, y), wanted = _corner(frame), _wanted(reading)
        with _failures():
            tile = _tile(_slide(_path(file)), x, y, wanted)
        if wanted.sharpness and sharpness(tile) < wanted.sharpness:
            raise UnwantedError(f"tiles blurred (sharpness below {wanted.sharpness:g})")
        return tile, ()

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Class ids [h, w] of the polygons that were drawn on the slide, at the tile's scale."""
        wanted = _wanted(reading)
        if wanted.regions is None:
            raise UnreadableError("a whole slide is no mask")
        slide = _slide(_path(file))
        drawing = drawing_of(file, _bounds(slide), wanted.regions)
        _, step = _scale(slide, wanted)
        return mask_of(drawing, _corner(frame), step, wanted.tile, wanted.regions)


@lru_cache(maxsize=2)
def _choose(file: SourceFile, stamp: str, reading: Reading) -> Chosen:
    """The tiles of a slide that are wanted; asked for its frames and for those left out."""
    wanted = _wanted(reading)
    slide, left_out = _slide(_path(file)), Counter[str]()
    with _failures():
        mpp, step = _scale(slide, wanted)
        corners = _corners(slide, wanted, step)
        tissue, pen = overview(slide).shares(corners, wanted.tile * step)
    order = np.arange(len(corners))
    if wanted.per_slide is not None:
        order = np.random.default_rng(_seed(file.name, wanted.seed)).permutation(len(corners))
    bare, inked = tissue < wanted.tissue, pen > wanted.pen
    left_out[f"tiles with less than {wanted.tissue:.0%} of tissue"] = int(bare.sum())
    left_out["tiles with ink of a marker"] = int((inked & ~bare).sum())
    order = order[~(bare | inked)[order]]
    labels: list[str | None] = [None] * len(order)
    if wanted.regions is not None:
        drawing = drawing_of(file, _bounds(slide), wanted.regions)
        labels = label_tiles(drawing, corners[order], wanted.tile * step, wanted.regions)
        left_out["tiles of which no class of polygons covers enough"] = labels.count(None)
    group = reading.group(stem_of(file.name))
    kept = [
        (n, label) for n, label in zip(order, labels, strict=True) if label or not wanted.regions
    ]
    if wanted.per_slide is not None:
        most = wanted.per_slide * (TRIED if wanted.sharpness else 1)
        left_out["tiles that were not drawn"] = max(len(kept) - most, 0)
        kept = kept[:most]
    return Chosen(
        tuple(
            Frame(
                f"x{x}y{y}",
                group,
                {
                    "slide_x": str(x),
                    "slide_y": str(y),
                    "mpp": f"{wanted.mpp or mpp:g}",
                    "tissue": f"{tissue[n]:.2f}",
                },
                label=label,
                masked=wanted.regions is not None and wanted.regions.masks is not None,
                most=wanted.per_slide if wanted.sharpness else None,
            )
            for n, label in kept
            for x, y in [corners[n].tolist()]
        ),
        +left_out,
    )


def overview(slide: Any) -> Overview:  # noqa: ANN401 - OpenSlide has no types
    """A slide in small, and where its tissue is: more saturated than Otsu's threshold says of the
    whole, and neither dark nor ink.
    """
    picture = _thumbnail(slide)
    hue, saturation, value = (
        np.asarray(band, np.float32) / 255 for band in picture.convert("HSV").split()
    )
    pen = (saturation > _PEN_SATURATION) & (hue > _PEN_HUES[0]) & (hue < _PEN_HUES[1])
    dark = value < _DARK
    threshold = max(otsu(saturation[~(pen | dark)]), _PALEST)
    tissue = (saturation > threshold) & ~pen & ~dark
    return Overview(
        np.asarray(picture.convert("RGB")), tissue, pen, slide.dimensions[0] / picture.width
    )


def _thumbnail(slide: Any) -> Image.Image:  # noqa: ANN401 - OpenSlide has no types
    """A slide in small; one without a small copy of itself is read in blocks, not as a whole."""
    width, height = slide.dimensions
    longest = max(width, height)
    side = min(MAX_OVERVIEW, longest)
    size = max(width * side // longest, 1), max(height * side // longest, 1)
    level = slide.get_best_level_for_downsample(longest / side)
    across, down = slide.level_dimensions[level]
    if across * down <= _WHOLE:
        return slide.get_thumbnail(size)
    if across * down > _LARGEST:
        raise UnreadableError(
            f"its smallest copy is {across}x{down} pixels: save it as a pyramid, such as in QuPath"
        )
    picture, scale = Image.new("RGB", size, PAPER), slide.level_downsamples[level]
    ratios = across / size[0], down / size[1]
    block = max(math.isqrt(_WHOLE) // math.ceil(max(ratios)), 1)
    for left, top in product(range(0, size[0], block), range(0, size[1], block)):
        right, bottom = min(left + block, size[0]), min(top + block, size[1])
        x0, x1 = (round(x * ratios[0]) for x in (left, right))
        y0, y1 = (round(y * ratios[1]) for y in (top, bottom))
        part = _on_paper(slide, (round(x0 * scale), round(y0 * scale)), level, (x1 - x0, y1 - y0))
        small = part.resize((right - left, bottom - top), Image.Resampling.BOX)
        picture.paste(small, (left, top))
    return picture


def _on_paper(
    slide: Any,  # noqa: ANN401 - OpenSlide has no types
    corner: tuple[int, int],
    level: int,
    size: tuple[int, int],
) -> Image.Image:
    """A part of a slide in RGB, white where nothing was scanned."""
    region = slide.read_region(corner, level, size)
    paper = Image.new("RGB", region.size, PAPER)
    paper.paste(region, mask=region.getchannel("A"))
    return paper


def sketch(
    file: SourceFile, reading: Reading, corners: Iterable[tuple[int, int]], side: int
) -> np.ndarray:
    """A picture of a slide: what is no tissue is pale, tiles are framed, ink is black, polygons
    have the colours of their classes, holes are white.

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
    drawing = drawing_of(file, _bounds(slide), wanted.regions) if wanted.regions else Drawing()
    shown = seen.picture.astype(np.float32)
    shown = np.where(seen.tissue[..., None], shown, 255 - (255 - shown) * 0.3)
    shown[seen.pen] = 0
    picture = Image.fromarray(shown.astype(np.uint8))
    picture.thumbnail((side, side))
    scale = slide.dimensions[0] / picture.width
    pen, tile = ImageDraw.Draw(picture), wanted.tile * step
    for x, y in corners:
        box = [x / scale, y / scale, (x + tile) / scale, (y + tile) / scale]
        pen.rectangle(box, outline=TILE)
    colours = colours_of(wanted.regions) if wanted.regions else {}
    for polygon in drawing.polygons.polygons:
        colour = colours.get(polygon.name, PAPER)
        for ring in polygon.rings:
            line = (np.vstack([ring, ring[:1]]) + drawing.corner) / scale
            pen.line([(x, y) for x, y in line.tolist()], fill=colour, width=2)
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
        slide = openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        raise UnreadableError(
            f"slide is damaged or of an unknown variant ({type(error).__name__})"
        ) from None
    # OpenSlide ends the process where it gets no memory for one
    for level in range(slide.level_count):
        names = (f"openslide.level[{level}].tile-{side}" for side in ("width", "height"))
        width, height = (int(slide.properties.get(name, 0)) for name in names)
        if width * height > _WHOLE:
            raise UnreadableError(f"slide is damaged: it says tiles of {width}x{height} pixels")
    return slide


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


def _corners(slide: Any, wanted: Slides, step: float) -> np.ndarray:  # noqa: ANN401
    """Corners [n, 2] of all tiles that lie within the slide, in pixels of the whole slide."""
    width, height = slide.dimensions
    side, stride = wanted.tile * step, (wanted.tile - wanted.overlap) * step
    across, down = (int((n - side) // stride) + 1 if n >= side else 0 for n in (width, height))
    if across * down > _MOST_TILES:
        raise UnreadableError(f"has {across * down} tiles, more than {_MOST_TILES} are not cut")
    columns, rows = (np.rint(np.arange(n) * stride).astype(np.int64) for n in (across, down))
    return np.stack([np.tile(columns, down), np.repeat(rows, across)], axis=1)


def _corner(frame: str) -> tuple[int, int]:
    x, y = frame.removeprefix("x").split("y")
    return int(x), int(y)


def _bounds(slide: Any) -> tuple[float, float]:  # noqa: ANN401
    """Corner of the part of a slide that was scanned."""
    told = (slide.properties.get(f"openslide.bounds-{axis}") for axis in "xy")
    x, y = (float(value or 0) for value in told)
    return x, y


def _stamp(file: SourceFile, reading: Reading) -> str:
    regions = reading.slides.regions if reading.slides else None
    drawn = stamp_of(file, regions) if regions else ""
    return f"{file.container.stamp(file.name)} {drawn}"


def _tile(slide: Any, x: int, y: int, wanted: Slides) -> Image.Image:  # noqa: ANN401
    _, step = _scale(slide, wanted)
    level = slide.get_best_level_for_downsample(step)
    size = max(round(wanted.tile * step / slide.level_downsamples[level]), 1)
    if size * size > 2 * _WHOLE:
        raise UnreadableError(
            f"has no copy near that scale: a tile of it is {size}x{size} pixels; save it as a "
            "pyramid, such as with QuPath"
        )
    paper = _on_paper(slide, (x, y), level, (size, size))
    if size == wanted.tile:
        return paper
    return paper.resize((wanted.tile, wanted.tile), Image.Resampling.BOX)


def _seed(name: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\n{name}".encode()).digest()[:8], "little")


def stem_of(name: str) -> str:
    """The group of a slide without a known patient."""
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
