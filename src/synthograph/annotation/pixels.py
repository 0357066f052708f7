"""Which pixels of painted masks are learned from."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn.functional import max_pool2d

from synthograph.core.seeds import Streams
from synthograph.stats.masks import IGNORED

# n image, h height, w width, p pixel, f feature

MAX_VALUES = 1 << 27
"""Numbers of all features of all pixels that are learned from: 512 MB."""
MAX_PIXELS = 1 << 15


@dataclass(frozen=True)
class PixelSample:
    """Pixels that a mask generator learns from.

    Attributes:
        images: the image of every pixel, in order.
        places: its row and column.
        classes: its class.
        weights: how many pixels of its image it stands for.
    """

    images: Int64[Tensor, " p"]
    places: Int64[Tensor, "p 2"]
    classes: Int64[Tensor, " p"]
    weights: Float[Tensor, " p"]

    def of(self, image: int) -> Int64[Tensor, "q 2"]:
        """The places in one image."""
        return self.places[self.images == image]


def borders(masks: UInt8[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Pixels with one of eight neighbours of another class."""
    values = masks[:, None].float()
    largest, smallest = (sign * max_pool2d(sign * values, 3, 1, 1) for sign in (1, -1))
    return (largest != smallest)[:, 0]


def sample_pixels(
    masks: UInt8[Tensor, "n h w"], features: int, seed: int, most: int = MAX_PIXELS
) -> PixelSample:
    """Pixels of all images, as many of each as memory allows: of an image equally many of every
    class, half of these at its borders, as far as there are so many.

    A pixel's weight is how many of its kind it stands for, so that the weighted loss is that of all
    pixels, and classes keep their shares.

    Args:
        masks: class ids, `IGNORED` where nobody says.
        features: numbers that are known of a pixel.
        seed: of the choice.
        most: pixels at most, of all images together.
    """
    each = max(1, min(most, MAX_VALUES // features) // len(masks))
    streams, edges = Streams(seed), borders(masks)
    parts: list[tuple[Tensor, ...]] = []
    for number, (mask, edge) in enumerate(zip(masks.flatten(1), edges.flatten(1), strict=True)):
        order = streams.permutation("annotate/pixels", number, mask.numel())
        kinds = torch.where(mask == IGNORED, -1, 2 * mask.long() + edge)[order]
        for kind, count in _shares(kinds, each).items():
            own = order[kinds == kind]
            chosen = own[:count]
            weight = torch.full((count,), len(own) / count)
            parts.append((torch.full((count,), number), chosen, weight))
    images, flat, weights = (torch.cat(column) for column in zip(*parts, strict=True))
    width = masks.shape[2]
    places = torch.stack((flat // width, flat % width), dim=1)
    return PixelSample(images, places, masks.flatten(1)[images, flat].long(), weights)


def _shares(kinds: Int64[Tensor, " p"], most: int) -> dict[int, int]:
    """Kind of pixels -> how many of them: the same of each, as far as there are so many."""
    values, counts = kinds[kinds >= 0].unique(return_counts=True)
    left = dict(sorted(zip(values.tolist(), counts.tolist(), strict=True), key=lambda k: k[1]))
    found = {}
    for place, (kind, count) in enumerate(left.items()):
        found[kind] = min(count, max(1, most // (len(left) - place)))
        most -= found[kind]
    return found
