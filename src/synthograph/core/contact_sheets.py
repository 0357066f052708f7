"""Contact sheets: rows of small images with a title each, for people to look at."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 2
MARGIN = 6
MIN_SIDE = 64
INK, PAPER, LINE, SWATCH = (30, 30, 30), (255, 255, 255), 16, 10


def as_rgb(pixels: np.ndarray, channels: Iterable[int]) -> np.ndarray:
    """One image [c, h, w] of any modalities as 8-bit RGB [h, w * modalities, 3]: modalities side by
    side.

    Args:
        pixels: uint8 or uint16; 16 bits are cut to the upper 8.
        channels: channels of each modality; of others than 1 and 3 the first or first three show.
    """
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    parts, start = [], 0
    for count in channels:
        part = pixels[start : start + count]
        parts.append(part[:3] if count >= 3 else np.repeat(part[:1], 3, axis=0))
        start += count
    return np.concatenate(parts, axis=2).transpose(1, 2, 0)


def contact_sheet(
    rows: Sequence[tuple[str, Sequence[np.ndarray]]],
    *,
    factor: int | None = None,
    heads: Sequence[str] = (),
    legend: Sequence[tuple[str, tuple[int, int, int]]] = (),
    captions: Sequence[Sequence[str]] = (),
) -> bytes:
    """PNG bytes of a contact sheet.

    Args:
        rows: title and images [h, w, 3], uint8, all of one size.
        factor: by which they are enlarged; by default small ones are, to a side of 64 pixels.
        heads: words above the columns.
        legend: words and their colours, below.
        captions: words below every image, a list for each row.
    """
    height, width = next(images[0].shape[:2] for _, images in rows if len(images))
    factor = factor or max(1, -(-MIN_SIDE // max(height, 1)))
    cell_h, cell_w = height * factor + GAP, width * factor + GAP
    font = ImageFont.load_default(size=12)
    titles = max((font.getlength(title) for title, _ in rows), default=0)
    left = int(titles) + 2 * MARGIN if titles else MARGIN
    columns = max(len(images) for _, images in rows)
    first = MARGIN + LINE * bool(heads)
    width_all = left + columns * cell_w + MARGIN
    row_h = max(cell_h, LINE) + LINE * bool(captions)
    below = first + row_h * len(rows)
    words = _flow(legend, font, width_all)
    lines = words[-1][1] + 1 if words else 0
    canvas = Image.new("RGB", (width_all, below + MARGIN + LINE * lines), PAPER)
    draw = ImageDraw.Draw(canvas)
    for c, head in enumerate(heads):
        draw.text((left + c * cell_w, MARGIN), head, fill=INK, font=font)
    for (word, colour), (x, line) in zip(legend, words, strict=True):
        y = below + MARGIN // 2 + line * LINE
        draw.rectangle((x, y + 2, x + SWATCH, y + 2 + SWATCH), fill=colour)
        draw.text((x + SWATCH + MARGIN, y), word, fill=INK, font=font)
    for r, (title, images) in enumerate(rows):
        top = first + r * row_h
        draw.text((MARGIN, top + (cell_h - LINE) // 2), title, fill=INK, font=font)
        for c, pixels in enumerate(images):
            tile = Image.fromarray(pixels)
            tile = tile.resize((width * factor, height * factor), Image.Resampling.NEAREST)
            canvas.paste(tile, (left + c * cell_w, top))
    for r, row in enumerate(captions):
        for c, word in enumerate(row):
            where = (left + c * cell_w, first + r * row_h + cell_h - GAP)
            draw.text(where, word, fill=INK, font=font)
    file = io.BytesIO()
    canvas.save(file, format="PNG")
    return file.getvalue()


def _flow(
    legend: Sequence[tuple[str, tuple[int, int, int]]],
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    width: int,
) -> list[tuple[int, int]]:
    """Left end and line of every word of a legend."""
    places, x, line = [], MARGIN, 0
    for word, _ in legend:
        wide = SWATCH + 3 * MARGIN + int(font.getlength(word))
        if x > MARGIN and x + wide > width:
            x, line = MARGIN, line + 1
        places.append((x, line))
        x += wide
    return places
