"""How often `prepare --check-text` finds planted text, and how often it calls images without any.

    python benchmarks/burned_in_text.py FOLDER_OR_ARCHIVE ... --images 200 --seed 0

Each image is looked at as it is, then with one text drawn into it, anywhere: a name, date or number
in one of several fonts, 10 to 24 pixels high, lighter or darker than what lies below.
"""

import argparse
import importlib.util
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from synthograph.core.record import UnreadableError, array_of
from synthograph.sources.base import Reading
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.lettering import find_lines

TEXTS = ("SMITH JOHN 1956-03-02", "ID 4711-22", "Mueller, Anna", "MRN 0012345", "12.03.1987 M")
SIZES, STEPS = (10, 12, 14, 18, 24), (1.0, 0.6, 0.3)
"""Pixels of the font, and shares of the range of 8 bits that text differs from what lies below."""
NAMES = (
    "DejaVuSans.ttf DejaVuSans-Bold.ttf DejaVuSansMono.ttf DejaVuSerif.ttf STIXGeneral.ttf "
    "cmr10.ttf cmss10.ttf"
).split()
LEAST = 5
"""Letters that fit into the image; shorter texts are not planted."""


def fonts() -> list[Path | None]:
    """Pillow's own font, and those of matplotlib where it is installed."""
    spec = importlib.util.find_spec("matplotlib")
    if spec is None or spec.origin is None:
        return [None]
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    return [None, *(folder / name for name in NAMES if (folder / name).exists())]


@dataclass(frozen=True, slots=True)
class Planted:
    """An image with text, and how it was drawn."""

    pixels: np.ndarray
    size: int
    contrast: float


def plant(pixels: np.ndarray, rng: np.random.Generator, faces: Sequence[Path | None]) -> Planted:
    """An 8-bit image [h, w, c] with one text."""
    height, width, _ = pixels.shape
    text, size = str(rng.choice(TEXTS)), int(rng.choice(SIZES))
    face = faces[int(rng.integers(len(faces)))]
    font = ImageFont.load_default(size) if face is None else ImageFont.truetype(str(face), size)
    while len(text) > LEAST and font.getlength(text) > width - 4:
        text = text[:-1]
    y = int(rng.integers(1, max(height - size - 3, 2)))
    x = int(rng.integers(1, max(width - int(font.getlength(text)) - 2, 2)))
    below = float(pixels[y : y + size].mean())
    step = 255 * float(rng.choice(STEPS)) * (1 if rng.random() < 0.8 else -1)
    ink = min(max(below + step, 0.0), 255.0)
    mask = Image.new("L", (width, height))
    ImageDraw.Draw(mask).text((x, y), text, fill=255, font=font)
    share = np.asarray(mask)[:, :, None] / 255
    drawn = np.rint(pixels * (1 - share) + ink * share).astype(np.uint8)
    return Planted(drawn, size, abs(ink - below) / 255)


def images(source: Path, count: int) -> Iterator[np.ndarray]:
    """Evenly spread images of a source, as 8 bits."""
    items = read_files(FileSourceOptions(source=source, reading=Reading())).items
    for item in items[:: max(len(items) // count, 1)][:count]:
        try:
            pixels = array_of(next(iter(item.decode().modalities.values()))).astype(np.float64)
        except UnreadableError:
            continue
        top = max(float(np.percentile(pixels, 99.9)), 1.0)
        yield np.clip(pixels * (255 / top if top > 255 else 1), 0, 255).astype(np.uint8)


def main() -> None:
    """Print a line for each source, then recall by size and contrast."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rng, faces = np.random.default_rng(asked.seed), fonts()
    by: dict[str, list[bool]] = defaultdict(list)
    for source in asked.sources:
        false, found, began = [], [], time.process_time()
        for pixels in images(source, asked.images):
            false.append(bool(find_lines(pixels)))
            planted = plant(pixels, rng, faces)
            if planted.contrast < 0.15:
                continue
            found.append(bool(find_lines(planted.pixels)))
            by[f"{planted.size} pixels"].append(found[-1])
            by[f"contrast {'above' if planted.contrast > 0.5 else 'up to'} 0.5"].append(found[-1])
        spent = 1000 * (time.process_time() - began) / max(2 * len(false), 1)
        print(
            f"{source}: {len(false)} images, {np.mean(false):.1%} called without text, "
            f"{np.mean(found):.0%} of {len(found)} texts found, {spent:.0f} ms an image"
        )
    for kind, hits in sorted(by.items()):
        print(f"{kind}: {np.mean(hits):.0%} of {len(hits)} found")


if __name__ == "__main__":
    main()
