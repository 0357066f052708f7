"""Pictures on the page: read with bounds, made small enough, embedded."""

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from synthograph.archive.gallery import gallery
from synthograph.archive.manifest import in_split
from synthograph.archive.png import decode_png
from synthograph.archive.reader import Archive
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.errors import UserError
from synthograph.report.problems import Problem, gathered
from synthograph.report.runs import Picture
from synthograph.results.base import refuse_large
from synthograph.results.evaluation import Farthest

MAX_BYTES = 96 << 20
MAX_WIDTH = 1400
"""Pixels of a picture on the page."""
MIN_WIDTH = 320
QUALITY = 88
MAX_FRAMES = 30
COLUMNS, FEWEST = 6, 3
"""Images in a row, real beside synthetic."""
SIDE, MAX_SIDE, ROOM = 128, 256, 800
"""Pixels of an enlarged image: at least, of one shown at twice its size at most, and of a row."""
FILE = "file"
"""Where a picture carries the bytes that it was decoded from."""


@dataclass(frozen=True)
class Embedded:
    """A picture inside the page, of width by height pixels.

    Attributes:
        uri: `data:` address.
        exact: whether its pixels are those of the file.
    """

    uri: str
    width: int
    height: int
    exact: bool


@dataclass(frozen=True)
class FilmFrame:
    """A picture of a snapshot."""

    kimg: float
    picture: Embedded


def read_picture(path: Path) -> Image.Image:
    """A PNG file as a picture of 8 bits.

    Raises:
        UserError: it is none, broken or too large.
    """
    refuse_large(path, MAX_BYTES)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    pixels = decode_png(data, str(path))
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    if data[24] == 8:
        image.info[FILE] = data
    return image


def embed(image: Image.Image, most: int) -> Embedded:
    """The picture in at most about `most` bytes: as it is, else as JPEG, else smaller, too."""
    data = image.info.get(FILE)
    if data is not None and image.width <= MAX_WIDTH and len(data) * 4 / 3 <= most:
        text = base64.b64encode(data).decode("ascii")
        return Embedded(f"data:image/png;base64,{text}", *image.size, exact=True)
    shown, factor = image, min(MAX_WIDTH / image.width, 1.0)
    while True:
        if factor < 1:
            size = (max(round(image.width * factor), 1), max(round(image.height * factor), 1))
            shown = image.resize(size, Image.Resampling.LANCZOS)
        for kind in ("PNG", "JPEG"):
            file = io.BytesIO()
            shown.save(file, format=kind, quality=QUALITY)
            length = -(-file.tell() // 3) * 4
            if length <= most or (kind == "JPEG" and shown.width <= MIN_WIDTH):
                text = base64.b64encode(file.getvalue()).decode("ascii")
                uri = f"data:image/{kind.lower()};base64,{text}"
                return Embedded(uri, *shown.size, exact=kind == "PNG" and factor == 1)
        factor *= 0.75


def embed_file(path: Path | None, most: int, problems: list[Problem]) -> Embedded | None:
    """A PNG file as `embed` makes it; None where it cannot be read, which `problems` tells, or
    where there is none.
    """
    with gathered(problems, path):
        return None if path is None else embed(read_picture(path), most)
    return None


def film(pictures: Sequence[Picture], most: int, problems: list[Problem]) -> list[FilmFrame]:
    """As many pictures of a run as fit into `most` bytes, evenly over the training, the last one
    always among them.
    """
    wanted = min(len(pictures), MAX_FRAMES)
    each = max(most // max(wanted, 1), 100_000)
    wanted = min(wanted, max(most // each, 1))
    places = np.linspace(len(pictures) - 1, 0, wanted).round().astype(int)
    shown = [pictures[place] for place in dict.fromkeys(places.tolist())]
    frames = [(one.kimg, embed_file(one.path, each, problems)) for one in shown]
    return [FilmFrame(kimg, image) for kimg, image in reversed(frames) if image is not None]


def side_by_side(
    real: Archive, synthetic: Archive, worst: Sequence[Farthest] = ()
) -> Image.Image | None:
    """For every class a row of real images, held out from training where there are any, a row of
    synthetic ones, and a row of the worst of these; all enlarged. None where the two sets are of
    different sizes.

    Args:
        real: real images.
        synthetic: synthetic ones.
        worst: of every class, those that lie farthest from the real ones.
    """
    one, other = real.info.spec, synthetic.info.spec
    if (one.height, one.width) != (other.height, other.width):
        return None
    factor, columns = _enlarged(other.height, other.width * len(other.modalities))
    rows = next(filter(None, (in_split(real.rows, split) for split in ("test", "val", None))))
    made = [row for row in synthetic.rows if not row.real]
    by_file, channels = {row.file: row for row in made}, other.modalities.values()
    bad = {
        each.label or "": [
            as_rgb(synthetic.read(by_file[file]), channels)
            for file in each.files[:columns]
            if file in by_file
        ]
        for each in worst
    }
    sets = {
        "real": dict(gallery(real, rows, columns=columns)),
        "synthetic": dict(gallery(synthetic, made, columns=columns)),
        "worst": {label: images for label, images in bad.items() if images},
    }
    shown = [
        (f"{label[:24]}, {what}" if label else what, of_class[label])
        for label in dict.fromkeys(label for of_class in sets.values() for label in of_class)
        for what, of_class in sets.items()
        if label in of_class
    ]
    shapes = {image.shape for _, images in shown for image in images}
    if not shown or len(shapes) > 1:
        return None
    with Image.open(io.BytesIO(contact_sheet(shown, factor=factor))) as image:
        return image.convert("RGB")


def _enlarged(height: int, width: int) -> tuple[int, int]:
    """By how much images are enlarged, and how many stand in a row."""
    side = max(height, width)
    factor = max(-(-SIDE // side), 2 if 2 * side <= MAX_SIDE else 1)
    return factor, min(max(ROOM // (factor * width), FEWEST), COLUMNS)


@dataclass(frozen=True)
class ThumbnailSheet:
    """Thumbnails in rows of one picture; a tile has width and height on the page, in pixels."""

    picture: Embedded
    columns: int
    tile: tuple[float, float]


def read_thumbnails(path: Path, tiles: int, columns: int, most: int) -> ThumbnailSheet:
    """A square grid of thumbnails, row by row, as TensorBoard's projector has it.

    Args:
        path: the picture.
        tiles: thumbnails.
        columns: in a row; 0 where that is not known, then as few as the square needs.
        most: bytes on the page.

    Raises:
        UserError: it cannot be read, or is too small for so many.
    """
    image = read_picture(path)
    columns = columns or math.isqrt(max(tiles - 1, 0)) + 1
    rows = columns  # it is a square of thumbnails, the last rows may be empty
    if image.width < columns or image.height < rows or columns * rows < tiles:
        raise UserError(
            f"{path}: {image.width}x{image.height} pixels, {columns} columns, cannot hold {tiles} "
            "thumbnails"
        )
    picture = embed(image, most)
    return ThumbnailSheet(picture, columns, (picture.width / columns, picture.height / rows))
