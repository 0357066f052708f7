"""Affine warps of images without aliasing: twice the size, bilinear sampling, half the size.

The low-pass filter is that of the sym6 wavelet, whose up- and downsampling cancel exactly for the
identity (Karras et al. 2020, "Training generative adversarial networks with limited data",
appendix B).
"""

from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, pad

from synthograph.ops.convolution import filter_channels, spread_channels
from synthograph.ops.wavelets import SYM6

MARGIN = len(SYM6) // 2 - 1
SUPPORT = len(SYM6) // 4
"""Pixels of the original size that half of the filter covers."""
DELAY = 0.25
"""Pixels by which the doubled image lies beside the original, since the filter is asymmetric.

Maps are taken to be about the doubled image's centre, as published; a shift is not affected.
"""
ASIDE = ((len(SYM6) - 1) / 2 - sum(k * tap for k, tap in enumerate(SYM6)) / sum(SYM6)) / 2 - DELAY
"""Pixels by which the centre that `warp` turns about lies beside the image's: a twentieth."""
CROP = 2 * SUPPORT - MARGIN
"""Pixels of the doubled size that the filter does not need on either side of what is sampled."""
STEP = 8
"""Margins are multiples of it: every size of an image takes memory that kernels keep for it."""
LONGEST_BY_MATRIX = {"cpu": 256, "cuda": 64}
"""Longest side that is resampled by a product with a dense matrix instead of a filter.

A filter of three channels keeps no processor busy: at 32 pixels the product is ten times as fast,
at 512 they are even.
"""


def warp(
    images: Float[Tensor, "n c h w"], inverse: Float[Tensor, "n 3 3"]
) -> Float[Tensor, "n c h w"]:
    """Warp every image by its own affine map; outside the image its mirror image goes on.

    Images that are only shifted by whole pixels are not resampled, which gives the same to
    rounding.

    Args:
        images: the images.
        inverse: maps pixel coordinates of the result, measured from the image's centre, x to the
            right and y down, to those of the input. On the host: it decides on sizes, for which a
            GPU would have to be waited for.
    """
    stays = _whole_shifts(inverse, images.shape[2], images.shape[3])
    count = int(stays.sum())
    if count == len(images):
        return _shift(images, inverse[:, :2, 2])
    if count == 0:
        return resample(images, inverse)
    turned = resample(images[~stays], inverse[~stays])
    both = torch.cat((_shift(images[stays], inverse[stays, :2, 2]), turned))
    return both[torch.cat((stays.nonzero(), (~stays).nonzero()))[:, 0].argsort()]


def about_centre(inverse: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 3 3"]:
    """The map that `warp` needs to act exactly about the image's centre, as masks do."""
    linear = inverse[:, :2, :2]
    moved = inverse.clone()
    moved[:, :2, 2] += ASIDE * (linear.sum(2) - 1)
    return moved


def _whole_shifts(inverse: Tensor, height: int, width: int) -> Bool[Tensor, " n"]:
    """Where a map is the identity or a shift by whole pixels, fewer than the image has."""
    linear, offset = inverse[:, :2, :2], inverse[:, :2, 2]
    straight = (linear == torch.eye(2)).all(2).all(1)
    most = torch.tensor([width - 1, height - 1])
    return straight & ((offset == offset.round()) & (offset.abs() <= most)).all(1)


def _shift(x: Float[Tensor, "n c h w"], offset: Float[Tensor, "n 2"]) -> Float[Tensor, "n c h w"]:
    """Move by whole pixels, mirrored at the border."""
    if not bool(offset.any()):
        return x
    for axis, moved in ((3, offset[:, 0]), (2, offset[:, 1])):
        last = x.shape[axis] - 1
        places = (torch.arange(last + 1) + moved.long()[:, None]).abs()
        places = (last - (last - places).abs()).to(x.device)
        shape = (len(x), 1, 1, -1) if axis == 3 else (len(x), 1, -1, 1)
        x = x.gather(axis, places.reshape(shape).expand_as(x))
    return x


def resample(
    images: Float[Tensor, "n c h w"], inverse: Float[Tensor, "n 3 3"]
) -> Float[Tensor, "n c h w"]:
    """`warp` by doubling, bilinear sampling and halving, for any map."""
    height, width = images.shape[2:]
    by_matrix = max(height, width) <= LONGEST_BY_MATRIX.get(images.device.type, 0)
    x = _enlarge(images, _margins(inverse, height, width), by_matrix=by_matrix)
    # the result is made larger by the filter's support, so that halving it needs no padding
    out_h, out_w = (height + 2 * SUPPORT) * 2, (width + 2 * SUPPORT) * 2
    theta = _normalised(inverse, (out_h, out_w), (x.shape[2], x.shape[3]))
    grid = affine_grid(theta.to(x.device), [len(x), x.shape[1], out_h, out_w], align_corners=False)
    return _reduce(sample(x, grid), by_matrix=by_matrix)


def bilinear(
    images: Float[Tensor, "n c h w"], grid: Float[Tensor, "n h2 w2 2"]
) -> Float[Tensor, "n c h2 w2"]:
    """Images at places in [-1, 1], zero outside."""
    return grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class Bilinear(torch.autograd.Function):
    """`bilinear`, as often differentiable by the images as wanted, on every version of torch.

    It is linear in the images, so the derivative of its derivative is itself.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, grid: Tensor) -> Tensor:  # noqa: ANN401
        """See `bilinear`."""
        ctx.save_for_backward(grid)
        ctx.size = images.shape
        return bilinear(images, grid)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        """By the images only."""
        spread: Tensor = _SpreadPixels.apply(grads[0], ctx.saved_tensors[0], ctx.size)  # type: ignore[no-untyped-call]
        return spread, None


class _SpreadPixels(torch.autograd.Function):
    """The transpose of `bilinear`: every value goes to the four pixels that it came from."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, grid: Tensor, size: torch.Size) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(grid)
        with torch.enable_grad():
            images = values.new_zeros(size).requires_grad_()
            sampled = bilinear(images, grid)
        return torch.autograd.grad(sampled, images, values)[0]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        sampled: Tensor = Bilinear.apply(grads[0], ctx.saved_tensors[0])  # type: ignore[no-untyped-call]
        return sampled, None, None


TWICE = torch.__version__ >= "2.12"
"""Whether torch differentiates `grid_sample` twice by itself, which R1 needs."""


def sample(
    images: Float[Tensor, "n c h w"], grid: Float[Tensor, "n h2 w2 2"]
) -> Float[Tensor, "n c h2 w2"]:
    """`bilinear` in a form that can be differentiated twice by the images."""
    if TWICE:
        return bilinear(images, grid)
    found: Tensor = Bilinear.apply(images, grid)  # type: ignore[no-untyped-call]
    return found


def _enlarge(
    x: Float[Tensor, "n c h w"], margins: tuple[int, int], *, by_matrix: bool
) -> Float[Tensor, "n c h2 w2"]:
    """Mirror outwards by so many pixels left and right, above and below, and double."""
    left, top = margins
    if not by_matrix:
        return double(double(pad(x, (left, left, top, top), mode="reflect"), axis=3), axis=2)
    rows = _doubling(x.shape[2], top, x.dtype, x.device)
    return rows @ (x @ _doubling(x.shape[3], left, x.dtype, x.device).t())


def _reduce(x: Float[Tensor, "n c h2 w2"], *, by_matrix: bool) -> Float[Tensor, "n c h w"]:
    """Half the size, without the `SUPPORT` pixels on every side that the filter uses up."""
    if not by_matrix:
        return halve(halve(x[:, :, CROP:-CROP, CROP:-CROP], axis=3), axis=2)
    rows = _halving(x.shape[2], x.dtype, x.device)
    return rows @ (x @ _halving(x.shape[3], x.dtype, x.device).t())


def double(x: Float[Tensor, "n c h w"], *, axis: int) -> Float[Tensor, "n c h2 w2"]:
    """Zeros between the pixels along an axis (2 or 3), then the filter."""
    height, width = x.shape[2:]
    if axis == 2:
        size, stride, margin = (2 * height, width), (2, 1), (MARGIN, 0)
    else:
        size, stride, margin = (height, 2 * width), (1, 2), (0, MARGIN)
    return spread_channels(x, _taps(x, axis) * 2, size, stride=stride, padding=margin)


def halve(x: Float[Tensor, "n c h w"], *, axis: int) -> Float[Tensor, "n c h2 w2"]:
    """The filter along an axis (2 or 3) and every second pixel, without padding."""
    stride = (2, 1) if axis == 2 else (1, 2)
    return filter_channels(x, _taps(x, axis), stride=stride)


def _taps(x: Tensor, axis: int) -> Float[Tensor, "c 1 kh kw"]:
    return _filter(axis, x.dtype, x.device).expand(x.shape[1], -1, -1, -1)


@lru_cache(maxsize=32)
def _filter(axis: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "1 1 kh kw"]:
    with torch.inference_mode(False):  # a cached tensor must serve training too
        taps = torch.tensor(SYM6, dtype=torch.float64)
        taps = (taps / taps.sum()).reshape((1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1))
        return taps.to(device, dtype)


@lru_cache(maxsize=64)
def _doubling(
    size: int, margin: int, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "o i"]:
    """Mirroring and `double`, as a matrix: what becomes of every unit vector."""
    with torch.inference_mode(False), torch.no_grad():  # a cached tensor must serve training too
        unit = torch.eye(size, dtype=dtype, device=device)[None, None]
        mirrored = pad(unit, (margin, margin, 0, 0), mode="reflect")
        return double(mirrored, axis=3)[0, 0].t().contiguous()


@lru_cache(maxsize=64)
def _halving(size: int, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "o i"]:
    """Cropping and `halve`, as a matrix."""
    with torch.inference_mode(False), torch.no_grad():
        unit = torch.eye(size, dtype=dtype, device=device)[None, None]
        return halve(unit[..., CROP:-CROP], axis=3)[0, 0].t().contiguous()


def _margins(inverse: Tensor, height: int, width: int) -> tuple[int, int]:
    """Mirrored pixels needed left and right, above and below, in multiples of `STEP`; at most all
    but one of a side.
    """
    x, y = (width - 1) / 2, (height - 1) / 2
    corners = inverse.new_tensor([[-x, -y, 1], [x, -y, 1], [x, y, 1], [-x, y, 1]])
    reached = (corners @ inverse.detach().transpose(1, 2))[:, :, :2].abs().amax((0, 1))
    needed = reached - inverse.new_tensor([x, y])
    steps = ((needed.clamp_min(0) + 2 * SUPPORT) / STEP).ceil() * STEP
    left, top = steps.to(torch.int64).tolist()
    return min(left, width - 1), min(top, height - 1)


def _normalised(
    inverse: Tensor, out_size: tuple[int, int], in_size: tuple[int, int]
) -> Float[Tensor, "n 2 3"]:
    """The map between coordinates in [-1, 1]; both images are twice as fine as the coordinates."""
    (out_h, out_w), (in_h, in_w) = out_size, in_size
    linear = inverse[:, :2, :2]
    offset = inverse[:, :2, 2] + DELAY * (linear.sum(2) - 1)
    forward = inverse.new_tensor([out_w / 4, out_h / 4])
    back = inverse.new_tensor([4 / in_w, 4 / in_h])
    return torch.cat((linear * forward[None, None], offset[:, :, None]), 2) * back[None, :, None]
