"""Changes of how images look that leave their geometry alone: the style of another image, the
stains of a slide, local contrast, blur.

All functions take float images with values in [0, 1] and give such images back.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import pad

from synthograph.ops.convolution import filter_channels

# n image, c channel, h height, w width

STAINS = ((0.65, 0.70, 0.29), (0.07, 0.99, 0.11), (0.27, 0.57, 0.78))
"""Red, green and blue optical density of haematoxylin, eosin and DAB (Ruifrok and Johnston 2001,
"Quantification of histochemical staining by color deconvolution", table 1)."""
DARKEST = 1e-3
"""Smallest intensity whose optical density is taken: below half a step of 8 bits."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""
BINS = 256
LEAST_TILE = 8
"""Pixels that a tile of `equalise` has along each side, at least."""


def transfer_style(
    images: Float[Tensor, "n c h w"], styles: Float[Tensor, "n c h w"], share: Float[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
    """Give images the low frequencies' amplitude of others and keep their own phase.

    Source: Yang and Soatto 2020, "FDA: Fourier domain adaptation for semantic segmentation",
    equations 1 to 3.

    Args:
        images: what is changed.
        styles: where the amplitude comes from.
        share: of the shorter side that the half width of the square of frequencies has (the
            paper's beta), 0..0.5; 0 takes the mean brightness over, a negative one nothing.
    """
    height, width = images.shape[2:]
    own, other = torch.fft.rfft2(images), torch.fft.rfft2(styles)
    reach = (share * min(height, width)).floor().to(images)
    down = (torch.fft.fftfreq(height).to(images) * height).abs()
    across = (torch.fft.rfftfreq(width).to(images) * width).abs()
    low = torch.maximum(down[:, None], across[None]) <= reach[:, None, None]
    taken = torch.polar(other.abs(), own.angle())
    mixed = torch.where(low[:, None], taken, own)
    found = torch.fft.irfft2(mixed, s=(height, width)).clamp(0, 1)
    return torch.where((share < 0).to(images.device)[:, None, None, None], images, found)


def vary_stains(
    images: Float[Tensor, "n 3 h w"], factors: Float[Tensor, "n 3"], offsets: Float[Tensor, "n 3"]
) -> Float[Tensor, "n 3 h w"]:
    """Scale and shift the amounts of haematoxylin, eosin and DAB.

    Source: Ruifrok and Johnston 2001 for the amounts; Tellez et al. 2018, "Whole-slide mitosis
    detection in H&E breast histology", for their change.

    Args:
        images: red, green and blue.
        factors: that every stain is multiplied by; 1 leaves it.
        offsets: that are added, in natural units of optical density.
    """
    stains = torch.nn.functional.normalize(torch.tensor(STAINS), dim=1)
    density = -images.clamp_min(DARKEST).log()
    # what is added depends on the image's own density, so that no change changes nothing
    amounts = torch.einsum("nchw,cs->nshw", density, torch.linalg.inv(stains).to(images))
    shift = (
        amounts * (factors.to(images)[:, :, None, None] - 1) + offsets.to(images)[:, :, None, None]
    )
    added = torch.einsum("nshw,sc->nchw", shift, stains.to(images))
    return (images * torch.exp(-added)).clamp(0, 1)


def equalise(
    images: Float[Tensor, "n c h w"], limit: float = 2.0, tiles: int = 8
) -> Float[Tensor, "n c h w"]:
    """Contrast-limited adaptive histogram equalisation: of the luminance where there are three
    channels, else of every channel.

    Values between the steps of a histogram stay apart, so 16-bit images keep their steps.
    Source: Zuiderveld 1994, "Contrast limited adaptive histogram equalization", Graphics Gems IV.

    Args:
        images: what is changed.
        limit: most images' pixels in a step of a tile's histogram, relative to an even one.
        tiles: along each side; fewer where they would have fewer than `LEAST_TILE` pixels.
    """
    if images.shape[1] != 3:
        flat = images.reshape(-1, *images.shape[2:])
        return _equalise(flat, limit, tiles).reshape(images.shape)
    red, green, blue = (images[:, k] * share for k, share in enumerate(LUMINANCE))
    grey = red + green + blue
    return (images + (_equalise(grey, limit, tiles) - grey)[:, None]).clamp(0, 1)


def _equalise(grey: Float[Tensor, "n h w"], limit: float, tiles: int) -> Float[Tensor, "n h w"]:
    height, width = grey.shape[1:]
    rows, columns = (max(1, min(tiles, side // LEAST_TILE)) for side in (height, width))
    curves = _curves(grey, rows, columns, limit)
    above, row_weight = _neighbours(height, rows, grey)
    left, column_weight = _neighbours(width, columns, grey)
    place = grey.clamp(0, 1) * BINS
    step = place.floor().clamp(max=BINS - 1).long()
    number = torch.arange(len(grey), device=grey.device)[:, None, None]
    found = torch.zeros_like(grey)
    for row, of_row in ((above, 1 - row_weight), (above + 1, row_weight)):
        for column, of_column in ((left, 1 - column_weight), (left + 1, column_weight)):
            tile = row.clamp(0, rows - 1)[:, None] * columns + column.clamp(0, columns - 1)[None]
            low, high = curves[number, tile, step], curves[number, tile, step + 1]
            mapped = low + (high - low) * (place - step)
            found += mapped * of_row[:, None] * of_column[None]
    return found.clamp(0, 1)


def _curves(
    grey: Float[Tensor, "n h w"], rows: int, columns: int, limit: float
) -> Float[Tensor, "n t b"]:
    """The limited cumulative histogram of every tile, from 0 to 1 at the edges of the steps."""
    n, height, width = grey.shape
    down, across = -(-height // rows), -(-width // columns)
    edges = (0, across * columns - width, 0, down * rows - height)
    filled = pad(grey[:, None], edges, mode="replicate")[:, 0]
    cut = filled.reshape(n, rows, down, columns, across).transpose(2, 3)
    steps = (cut.reshape(n * rows * columns, down * across) * BINS).long().clamp(0, BINS - 1)
    counts = grey.new_zeros(len(steps), BINS)
    counts.scatter_add_(1, steps, grey.new_ones(()).expand(steps.shape))
    most = limit * steps.shape[1] / BINS
    over = (counts - most).clamp(min=0).sum(1, keepdim=True)
    sums = (counts.clamp(max=most) + over / BINS).cumsum(1) / steps.shape[1]
    return pad(sums, (1, 0)).reshape(n, rows * columns, BINS + 1)


def _neighbours(side: int, tiles: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """For every pixel the tile whose centre lies before it, and how far it is to the next one."""
    each = -(-side // tiles)
    place = (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / each - 0.5
    before = place.floor()
    return before.long(), place - before


def blur(images: Float[Tensor, "n c h w"], sigma: Float[Tensor, " n"]) -> Float[Tensor, "n c h w"]:
    """Gaussian blur, edges mirrored.

    Args:
        images: what is changed.
        sigma: standard deviation in pixels of every image, >= 0; 0 leaves it.
    """
    n, channels, height, width = images.shape
    reach = min(math.ceil(3 * float(sigma.max())), min(height, width) - 1)
    if not reach:
        return images
    places = torch.arange(-reach, reach + 1)
    taps = torch.exp(-(places[None] ** 2) / (2 * sigma.clamp_min(1e-3)[:, None] ** 2))
    kernels = (taps / taps.sum(1, keepdim=True)).to(images)
    kernels = kernels.repeat_interleave(channels, dim=0)[:, None]
    edges = (reach, reach, reach, reach)
    flat = pad(images, edges, mode="reflect").reshape(1, n * channels, *_grown(images, reach))
    flat = filter_channels(flat, kernels[:, :, None, :])
    return filter_channels(flat, kernels[:, :, :, None]).reshape(images.shape)


def _grown(images: Tensor, reach: int) -> tuple[int, int]:
    return images.shape[2] + 2 * reach, images.shape[3] + 2 * reach
