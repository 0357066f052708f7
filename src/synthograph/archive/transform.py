"""Brings decoded images to one size by crops, padding, resizing and tiles, as the published tools
do.
"""

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pydantic
from PIL import Image
from scipy.ndimage import maximum_filter

from synthograph.core.config import Config
from synthograph.core.record import DecodedImage, Pixels, UnreadableError, array_of
from synthograph.core.spec import MAX_PREPARED, MIN_GRID, ImageSpec
from synthograph.core.untrusted.documents import JsonObject

CUT_AGAIN = "cut_of_cut"
"""Key of how images got their size: after one cut another one changed their shape."""


class Fit(enum.StrEnum):
    """How an image of another shape becomes width x height."""

    CENTER_CROP = "center-crop"
    CENTER_CROP_WIDE = "center-crop-wide"
    PAD = "pad"
    STRETCH = "stretch"


class ResizeFilter(enum.StrEnum):
    """How pixels are resampled; for masks see `resize_ids`."""

    LANCZOS = "lanczos"
    BOX = "box"


FILTERS = {ResizeFilter.LANCZOS: Image.Resampling.LANCZOS, ResizeFilter.BOX: Image.Resampling.BOX}


class TransformOptions(Config):
    """Size of the images to be, and how they get it. Without a size, pixels stay as they are."""

    width: int | None = pydantic.Field(None, ge=MIN_GRID, le=MAX_PREPARED)
    height: int | None = pydantic.Field(None, ge=MIN_GRID, le=MAX_PREPARED)
    fit: Fit | None = None
    resize_filter: ResizeFilter = ResizeFilter.LANCZOS
    tile: int | None = pydantic.Field(None, ge=MIN_GRID, le=MAX_PREPARED)
    overlap: int = pydantic.Field(0, ge=0)

    @pydantic.model_validator(mode="after")
    def _belong_together(self) -> "TransformOptions":
        if (self.width is None) != (self.height is None):
            raise ValueError("width and height are given together (or --size for a square)")
        if self.fit not in (None, Fit.CENTER_CROP) and self.width is None:
            raise ValueError(f"transform {self.fit} needs a width and a height")
        wide = self.width is not None and self.height is not None and self.width >= self.height
        if self.fit is Fit.CENTER_CROP_WIDE and not wide:
            raise ValueError(f"transform {self.fit} needs a width that is at least the height")
        if self.overlap and self.tile is None:
            raise ValueError("overlap means the overlap of tiles: give the tile size too")
        if self.tile is not None and self.overlap >= self.tile:
            raise ValueError(f"overlap must be smaller than the tile, which is {self.tile}")
        return self

    def record(self, before: JsonObject | None = None) -> JsonObject | None:
        """What an archive keeps of it beside the size; None where pixels stay as they are.

        Args:
            before: what the archive that it is made of kept, whose cut came first; `CUT_AGAIN` in
                it says that another one followed.
        """
        if self.width is None and self.tile is None and self.fit is None:
            return before
        kept = {"fit": self.fit, "resize_filter": self.resize_filter, "tile": self.tile}
        own: JsonObject = {name: value for name, value in kept.items() if value is not None}
        first = {n: v for n, v in (before or {}).items() if n in ("fit", "tile", CUT_AGAIN)}
        return {**own, **first}

    def after(self, sizing: JsonObject | None, spec: ImageSpec) -> JsonObject | None:
        """How images of an archive got their size, with a mark where this cut follows the first and
        changes their shape.
        """
        size, first = self.result, (sizing or {}).get("fit")
        if sizing is None or not (first or sizing.get("tile")) or self.fit is None or size is None:
            return sizing
        same_shape = size[0] * spec.width == size[1] * spec.height
        wide = self.fit is Fit.CENTER_CROP_WIDE and first != self.fit
        return sizing if same_shape and not wide else {**sizing, CUT_AGAIN: True}

    @property
    def result(self) -> tuple[int, int] | None:
        """Height and width of every image to be; None where the source decides."""
        if self.width is None or self.height is None:
            return None if self.tile is None else (self.tile, self.tile)
        side = self.width if self.fit is Fit.CENTER_CROP_WIDE else self.height
        return side, self.width


ENLARGED = "enlarged: they have fewer pixels than the size asked for"
KEPT = 0.249
"""Share of a pixel that keeps an id which would vanish; a quarter, but for rounding."""
EQUAL = 1e-3
"""Shares that differ by less are equal."""
CROPPED = "more than half of the image cropped away"


@dataclass(frozen=True, slots=True)
class Piece:
    """A transformed image; for a tile also its corner (x, y) in the source, in pixels."""

    picture: DecodedImage
    corner: tuple[int, int] | None = None


def transform(picture: DecodedImage, options: TransformOptions) -> Iterator[Piece]:
    """Cut into tiles if wanted, then bring every piece to the asked size.

    Raises:
        UnreadableError: the picture cannot be brought to that size by that rule.
    """
    if options.tile is None:
        yield Piece(_fit(picture, options))
        return
    height, width = picture.size
    for y in tile_starts(height, options.tile, options.overlap):
        for x in tile_starts(width, options.tile, options.overlap):
            part = _cut(picture, y, x, options.tile, options.tile)
            yield Piece(_fit(part, options), (x, y))


def tile_starts(length: int, tile: int, overlap: int) -> list[int]:
    """Starts of the tiles along one side: together they cover it all; the last is shifted back to
    fit.

    Raises:
        UnreadableError: the side is shorter than a tile.
    """
    if length < tile:
        raise UnreadableError(f"a side of {length} pixels is shorter than a tile of {tile}")
    step = tile - overlap
    return [*range(0, length - tile, step), length - tile]


def _fit(picture: DecodedImage, options: TransformOptions) -> DecodedImage:
    height, width = picture.size
    target_h, target_w = options.height or height, options.width or width
    picture = _note_size(picture, target_h, target_w, options.fit)
    if options.fit is Fit.CENTER_CROP:
        if options.width is None:
            return _center_crop(picture, 1, 1)
        picture = _center_crop(picture, target_h, target_w)
    elif options.fit is Fit.CENTER_CROP_WIDE:
        return _center_crop_wide(picture, target_h, target_w, options.resize_filter)
    elif options.fit is Fit.PAD:
        scale = min(target_w / width, target_h / height)
        inner_h, inner_w = max(round(height * scale), 1), max(round(width * scale), 1)
        inner = _resize(picture, inner_h, inner_w, options.resize_filter)
        return _pad(inner, target_h, target_w)
    elif options.fit is None and (target_h, target_w) != (height, width):
        if target_h * width != target_w * height:
            raise UnreadableError(
                f"{width}x{height} has another shape than {target_w}x{target_h}: "
                "add --transform center-crop, pad or stretch"
            )
    return _resize(picture, target_h, target_w, options.resize_filter)


def _note_size(picture: DecodedImage, height: int, width: int, fit: Fit | None) -> DecodedImage:
    """The picture with notes on what a wanted size makes of it."""
    source_h, source_w = picture.size
    crops = fit in (Fit.CENTER_CROP, Fit.CENTER_CROP_WIDE)
    scales = (height / source_h, width / source_w)
    kept = min(scales) / max(scales) if crops else 1.0
    notes = picture.notes
    if (min if fit is Fit.PAD else max)(scales) > 1:
        notes += (ENLARGED,)
    if kept < 0.5:
        notes += (CROPPED,)
    return picture if notes == picture.notes else replace(picture, notes=notes)


def _center_crop(picture: DecodedImage, height: int, width: int) -> DecodedImage:
    """The largest part round the centre whose sides are as height : width."""
    source_h, source_w = picture.size
    crop_h = max(min(source_h, round(source_w * height / width)), 1)
    crop_w = max(min(source_w, round(source_h * width / height)), 1)
    return _cut(picture, (source_h - crop_h) // 2, (source_w - crop_w) // 2, crop_h, crop_w)


def _center_crop_wide(
    picture: DecodedImage, height: int, width: int, kind: ResizeFilter
) -> DecodedImage:
    """Crop to width : height round the centre, resize, and put black bars on width x width."""
    part = _center_crop(picture, height, width)
    if part.size[0] < height or part.size[1] < width:
        source_h, source_w = picture.size
        raise UnreadableError(f"{source_w}x{source_h} is too small for a crop of {width}x{height}")
    return _pad(_resize(part, height, width, kind), width, width)


def _map(picture: DecodedImage, change: Callable[[Pixels], Pixels]) -> DecodedImage:
    images = {name: change(pixels) for name, pixels in picture.modalities.items()}
    mask = None if picture.mask is None else array_of(change(picture.mask[:, :, None]))[:, :, 0]
    return replace(picture, modalities=images, mask=mask)


def _cut(picture: DecodedImage, y: int, x: int, height: int, width: int) -> DecodedImage:
    def cut(pixels: Pixels) -> Pixels:
        if isinstance(pixels, np.ndarray):
            return pixels[y : y + height, x : x + width]
        return pixels.crop((x, y, x + width, y + height))

    return _map(picture, cut)


def _pad(picture: DecodedImage, height: int, width: int) -> DecodedImage:
    def pad(pixels: Pixels) -> Pixels:
        array = array_of(pixels)
        extra_h, extra_w = height - array.shape[0], width - array.shape[1]
        rows = (extra_h // 2, extra_h - extra_h // 2)
        columns = (extra_w // 2, extra_w - extra_w // 2)
        return np.pad(array, (rows, columns, (0, 0)))

    return _map(picture, pad)


def _resize(picture: DecodedImage, height: int, width: int, kind: ResizeFilter) -> DecodedImage:
    if picture.size == (height, width):
        return picture
    images = {
        name: resize_pixels(pixels, height, width, kind)
        for name, pixels in picture.modalities.items()
    }
    mask = None if picture.mask is None else resize_ids(picture.mask, height, width)
    return replace(picture, modalities=images, mask=mask)


def resize_ids(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask of another size, which holds no id that it did not hold before.

    A pixel takes the id that covers most of it, of equals the one in its centre. An id that would
    then be lost, since none of its new pixels is within half a pixel, keeps those that it covers a
    quarter of: what is at least half a pixel wide survives wherever it lies, and large areas keep
    their size.

    Args:
        mask: ids [h, w], uint8.
        height: of the result.
        width: of the result.
    """
    picture = Image.fromarray(np.ascontiguousarray(mask))
    nearest = np.asarray(picture.resize((width, height), Image.Resampling.NEAREST))
    if height >= mask.shape[0] and width >= mask.shape[1]:
        return nearest
    ids, counts = np.unique(mask, return_counts=True)
    shares = np.stack([_share(mask == each, height, width) for each in ids])
    covers = (shares + EQUAL * (nearest == ids[:, None, None])).argmax(0)
    found = covers.copy()
    factors = mask.shape[0] / height, mask.shape[1] / width
    reach = [2 * max(1, int(factor / 2 + 0.5)) + 1 for factor in factors]
    rows, columns = (
        ((np.arange(side) + 0.5) / factor).astype(int)
        for side, factor in zip(mask.shape, factors, strict=True)
    )
    for k in np.argsort(-counts, kind="stable"):  # the rarest last: it keeps what several claim
        near = maximum_filter((covers == k)[rows][:, columns], reach)
        lost = _share((mask == ids[k]) & ~near, height, width) > 0
        found[lost & (shares[k] >= KEPT)] = k
    return ids[found]


def _share(chosen: np.ndarray, height: int, width: int) -> np.ndarray:
    """Share of every new pixel that chosen pixels cover."""
    layer = Image.fromarray(chosen.astype(np.float32))
    return np.asarray(layer.resize((width, height), Image.Resampling.BOX))


def resize_pixels(pixels: Pixels, height: int, width: int, kind: ResizeFilter) -> np.ndarray:
    """Resample to [height, width, c]; 16-bit pixels through 32-bit floats, rounded and clipped to
    their range.
    """
    size, method = (width, height), FILTERS[kind]
    if not isinstance(pixels, np.ndarray):
        return array_of(pixels.resize(size, method))
    if pixels.dtype == np.uint16:
        layer = Image.fromarray(pixels[:, :, 0].astype(np.float32))
        scaled = np.asarray(layer.resize(size, method))
        return np.clip(np.rint(scaled), 0, 0xFFFF).astype(np.uint16)[:, :, None]
    plain = np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return array_of(Image.fromarray(plain).resize(size, method))
