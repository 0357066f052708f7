"""Affine warps of images without aliasing: twice the size, bilinear sampling, half the size.

The low-pass filter is that of the sym6 wavelet, whose up- and downsampling cancel exactly for the
identity (Karras et al. 2020, "Training generative adversarial networks with limited data",
appendix B).
"""

from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import affine_grid, conv2d, conv_transpose2d, grid_sample, pad

from synthograph.ops.wavelets import SYM6

SUPPORT = len(SYM6) // 4
"""Pixels of the original size that half of the filter covers."""
DELAY = 0.25
"""Pixels by which the doubled image lies beside the original, since the filter is asymmetric.

Maps are taken to be about the doubled image's centre, as published; a shift is not affected.
"""


@lru_cache(maxsize=32)
def _taps(channels: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    taps = torch.tensor(SYM6, dtype=torch.float64)
    return (taps / taps.sum()).to(dtype=dtype, device=device).expand(channels, 1, -1).contiguous()


def _taps_for(x: Tensor) -> Tensor:
    with torch.inference_mode(False):  # a cached tensor must serve later training too
        return _taps(x.shape[1], x.dtype, x.device)


def _double(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """Twice the size: zeros between the pixels, then the filter along both axes."""
    taps = _taps_for(x) * 2
    margin, channels = len(SYM6) // 2 - 1, x.shape[1]
    x = conv_transpose2d(
        x, taps[:, :, None, :], stride=(1, 2), padding=(0, margin), groups=channels
    )
    return conv_transpose2d(
        x, taps[:, :, :, None], stride=(2, 1), padding=(margin, 0), groups=channels
    )


def _halve(x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h2 w2"]:
    """The filter along both axes and every second pixel, without padding."""
    taps, channels = _taps_for(x), x.shape[1]
    x = conv2d(x, taps[:, :, None, :], stride=(1, 2), groups=channels)
    return conv2d(x, taps[:, :, :, None], stride=(2, 1), groups=channels)


def warp(
    images: Float[Tensor, "n c h w"], inverse: Float[Tensor, "n 3 3"]
) -> Float[Tensor, "n c h w"]:
    """Warp every image by its own affine map; outside the image its mirror image goes on.

    Args:
        images: the images.
        inverse: maps pixel coordinates of the result, measured from the image's centre, x to the
            right and y down, to those of the input.
    """
    height, width = images.shape[2:]
    left, top = _margins(inverse, height, width)
    x = _double(pad(images, (left, left, top, top), mode="reflect"))
    # the result is made larger by the filter's support, so that halving it needs no padding
    out_h, out_w = (height + 2 * SUPPORT) * 2, (width + 2 * SUPPORT) * 2
    theta = _normalised(inverse, (out_h, out_w), (x.shape[2], x.shape[3]))
    grid = affine_grid(theta, [len(x), x.shape[1], out_h, out_w], align_corners=False)
    x = grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    extra = SUPPORT * 2 - (len(SYM6) // 2 - 1)
    return _halve(x[:, :, extra:-extra, extra:-extra] if extra else x)


def _margins(inverse: Tensor, height: int, width: int) -> tuple[int, int]:
    """Mirrored pixels needed left and right, above and below; at most all but one of a side."""
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = torch.tensor(
        [[-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]], dtype=inverse.dtype, device=inverse.device
    )
    reached = (corners @ inverse.detach().transpose(1, 2))[:, :, :2].abs().amax((0, 1))
    needed = reached - torch.tensor([x, y], dtype=inverse.dtype, device=inverse.device)
    left, top = (needed.clamp_min(0) + 2 * SUPPORT).ceil().to(torch.int64).tolist()
    return min(left, width - 1), min(top, height - 1)


def _normalised(
    inverse: Tensor, out_size: tuple[int, int], in_size: tuple[int, int]
) -> Float[Tensor, "n 2 3"]:
    """The map between coordinates in [-1, 1]; both images are twice as fine as the coordinates."""
    out_h, out_w = out_size
    in_h, in_w = in_size
    linear = inverse[:, :2, :2]
    offset = inverse[:, :2, 2] + DELAY * (linear.sum(2) - 1)
    forward = torch.tensor([out_w / 4, out_h / 4], dtype=inverse.dtype, device=inverse.device)
    back = torch.tensor([4 / in_w, 4 / in_h], dtype=inverse.dtype, device=inverse.device)
    return torch.cat((linear * forward[None, None], offset[:, :, None]), 2) * back[None, :, None]
