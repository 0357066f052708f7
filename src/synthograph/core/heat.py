"""Pictures of where a classifier looks, and of what it says."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

LEAST = 224
"""Pixels that images have at least along their shorter side."""
SHARE = 0.55
"""Of the hottest place's colour in the picture."""
PANEL, LINE, MARGIN = 230, 22, 10
INK, PAPER, BAR, CHOSEN = (30, 30, 30), (255, 255, 255), (170, 190, 210), (0, 114, 178)
MOST_CLASSES = 8
STOPS = np.array(
    [(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], np.float64
)
"""From cold to hot: dark violet, red, orange, pale yellow, lighter all the way."""


def heated(
    image: UInt8[np.ndarray, "h w 3"], heat: Float[np.ndarray, "h w"]
) -> UInt8[np.ndarray, "h w 3"]:
    """An image with its hot places painted over.

    Args:
        image: 8-bit RGB.
        heat: 0 ... 1 for every pixel; where it is 0 the image stays as it is.
    """
    place = heat.clip(0, 1) * (len(STOPS) - 1)
    colours = np.stack([np.interp(place, range(len(STOPS)), STOPS[:, k]) for k in range(3)], -1)
    share = SHARE * heat.clip(0, 1)[:, :, None]
    return np.rint(image * (1 - share) + colours * share).astype(np.uint8)


def predicted_picture(
    image: UInt8[np.ndarray, "h w 3"],
    heat: Float[np.ndarray, "h w"],
    probabilities: Sequence[tuple[str, float]],
    *,
    chosen: str,
    remark: str = "",
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Image, image with heat, and probabilities as bars, side by side.

    Args:
        image: 8-bit RGB.
        heat: 0 ... 1 for every pixel.
        probabilities: of the classes, by name.
        chosen: class that was decided.
        remark: a line below them.
    """
    height, width = image.shape[:2]
    factor = max(1, -(-LEAST // min(height, width)))
    size = (width * factor, height * factor)
    plain = Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
    warm = Image.fromarray((heat.clip(0, 1) * 255).astype(np.uint8))
    large = np.asarray(warm.resize(size, Image.Resampling.BILINEAR)) / 255
    canvas = Image.new("RGB", (2 * size[0] + MARGIN + PANEL, size[1] + LINE), PAPER)
    draw, second = ImageDraw.Draw(canvas), size[0] + MARGIN // 2
    canvas.paste(plain, (0, LINE))
    canvas.paste(Image.fromarray(heated(np.asarray(plain), large)), (second, LINE))
    for left, head in ((0, "image"), (second, f"warm: speaks for {_short(chosen)}")):
        draw.text((left + 4, 3), head, fill=INK, font=ImageFont.load_default(size=13))
    _bars(draw, 2 * size[0] + 2 * MARGIN, probabilities, chosen, remark)
    return np.asarray(canvas)


def _bars(
    draw: ImageDraw.ImageDraw,
    left: int,
    probabilities: Sequence[tuple[str, float]],
    chosen: str,
    remark: str,
) -> None:
    """The most probable classes, the most probable first, and the one that was decided."""
    font, top, wide = ImageFont.load_default(size=13), LINE + MARGIN, PANEL - 2 * MARGIN
    draw.text((left, 3), f"decided: {_short(chosen)}", fill=INK, font=font)
    ranked = sorted(probabilities, key=lambda each: -each[1])
    shown = [each for each in ranked[MOST_CLASSES - 1 :] if each[0] == chosen]
    for name, probability in [*ranked[: MOST_CLASSES - len(shown)], *shown]:
        colour = CHOSEN if name == chosen else BAR
        end = left + round(probability * wide)
        draw.rectangle((left, top + LINE - 6, max(end, left + 1), top + LINE - 2), fill=colour)
        draw.text((left, top), f"{_short(name)}  {probability:.1%}", fill=INK, font=font)
        top += LINE + 2
    if remark:
        draw.text((left, top), remark, fill=(180, 60, 0), font=font)


def _short(name: str) -> str:
    return name if len(name) <= 20 else f"{name[:19]}\u2026"
