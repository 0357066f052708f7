"""How alike two images are, even if one of them was rotated, mirrored, cropped or recoloured.

Every image is compared at a low resolution with every other in a bank of poses. The best candidates
are aligned by an affine map; the image is brought into the poses found and compared with all others
once more, in finer detail, since images of one anatomy are all alike until they are aligned; the
best of these are aligned again (Lucas and Kanade 1981; the correlation as aim: Evangelidis
and Psarakis 2008, "Parametric image alignment using enhanced correlation coefficient
maximization"); the score is how far two images agree in several bands of detail after local mean
and contrast are taken away, over what both of them show. What lies outside one of them does not
count: padding, flat or repeated, is recognised by its appearance and left out.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Bool, Float
from scipy import ndimage
from torch import Tensor

from synthograph.ops.pixels import reduced

# n image, q query, k candidate, b pair, c component, h height, w width, d descriptor

COARSE, MIDDLE, FINE = 10, 16, 64
"""Longest side at which the search, the first alignment and the comparison work at most."""
ANGLES = (-30.0, -15.0, -8.0, 8.0, 15.0, 30.0, 45.0)
LUMA = (0.299, 0.587, 0.114)
"""Brightness of red, green and blue (ITU-R BT.601)."""
MIN_OVERLAP = 0.5
"""Share of an image that another one must show for their agreement to count."""
MIN_OVERLAP_SHOWN = 0.8
"""The same of what is left of a padded image, where that is less."""


@dataclass(frozen=True)
class Pose:
    """Affine maps of places, in halves of the longest side: the place in the other image is
    matrix @ place + shift.
    """

    matrix: Float[Tensor, "*b 2 2"]
    shift: Float[Tensor, "*b 2"]

    def inverse(self) -> "Pose":
        """The inverse map."""
        back = torch.linalg.inv(self.matrix)
        return Pose(back, -(back @ self.shift[..., None])[..., 0])

    def after(self, first: "Pose") -> "Pose":
        """The map that does `first`, then this one."""
        shift = (self.matrix @ first.shift[..., None])[..., 0] + self.shift
        return Pose(self.matrix @ first.matrix, shift)

    def take(self, rows: Tensor | slice) -> "Pose":
        """Those at `rows`."""
        return Pose(self.matrix[rows], self.shift[rows])


def dihedral() -> Float[Tensor, "8 2 2"]:
    """The eight flips and quarter turns as matrices."""
    turns = [torch.eye(2)]
    quarter, flip = torch.tensor([[0.0, -1.0], [1.0, 0.0]]), torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    for _ in range(3):
        turns.append(quarter @ turns[-1])
    return torch.stack([*turns, *(flip @ turn for turn in turns)])


def bank() -> Pose:
    """Poses besides flips and quarter turns: shifts, rotations, cut-outs in several places, and
    smaller images with a border.
    """
    three = (-1, 0, 1)
    found = [(0.0, 1.0, 0.2 * x, 0.2 * y) for x in three for y in three]
    found += [(0.0, 0.85, 0.15 * x, 0.15 * y) for x in three for y in three]
    diagonal = [(x, y) for x in (-1, 1) for y in (-1, 1)]
    found += [(0.0, 0.92, 0.075 * x, 0.075 * y) for x, y in diagonal]
    for angle in (-13.0, 13.0):
        found += [(angle, 0.87, 0.13 * x, 0.13 * y) for x, y in [(0, 0), *diagonal]]
    found += [(angle, 1.0, 0.0, 0.0) for angle in ANGLES]
    found += [(0.0, 1.2, 0.0, 0.0)]
    matrices = []
    for angle, scale, _, _ in found:
        a = math.radians(angle)
        cos, sin = scale * math.cos(a), scale * math.sin(a)
        matrices.append([[cos, -sin], [sin, cos]])
    return Pose(torch.tensor(matrices), torch.tensor([[x, y] for _, _, x, y in found]))


def blur(images: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """Gaussian blur; outside the image is nothing, so weights are to be blurred likewise.

    Both axes are products with a band of a matrix, several times as fast as a convolution of one
    channel on a processor.
    """
    h, w = images.shape[2:]
    down, along = (_gaussian(side, sigma).to(images) for side in (h, w))
    return down @ (images @ along)


@lru_cache(maxsize=64)
def _gaussian(side: int, sigma: float) -> Float[Tensor, "s s"]:
    """Weights of a Gaussian cut at 2.5 deviations, for every place of a line and every other."""
    reach = max(1, math.ceil(2.5 * sigma))
    apart = torch.arange(side)[:, None] - torch.arange(side)[None]
    weights = torch.exp(-0.5 * (apart / sigma) ** 2) * (apart.abs() <= reach)
    return weights / torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2).sum()


def grid(h: int, w: int) -> Float[Tensor, "p 2"]:
    """Places (x, y) of the centres of all pixels; the longest side goes from -1 to 1."""
    y = (torch.arange(h, dtype=torch.float32) * 2 + 1 - h) / max(h, w)
    x = (torch.arange(w, dtype=torch.float32) * 2 + 1 - w) / max(h, w)
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1], dim=-1).reshape(-1, 2)


def warped(
    images: Float[Tensor, "b c h w"], pose: Pose, padding: str = "zeros"
) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b 1 h w"]]:
    """Images seen in a pose, and where they are seen (1 inside, 0 outside)."""
    b, _, h, w = images.shape
    places = grid(h, w) @ pose.matrix.transpose(1, 2) + pose.shift[:, None]
    places = places * (max(h, w) / torch.tensor([float(w), float(h)]))
    inside = (places.abs() <= 1 - 0.5 / min(h, w)).all(dim=2).to(images.dtype)
    seen = nnf.grid_sample(
        images, places.view(b, h, w, 2), mode="bilinear", padding_mode=padding, align_corners=False
    )
    return seen, inside.view(b, 1, h, w)


def levelled(
    images: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"], sigma: float, floor: float
) -> Float[Tensor, "b c h w"]:
    """Local mean taken away, divided by the local contrast; only what has weight counts.

    Args:
        images: pictures.
        weights: 1 where they are seen.
        sigma: of the neighbourhood, in pixels.
        floor: least contrast, as a share of that of the image, so that noise on plain ground stays
            small.
    """
    known = blur(weights, sigma).clamp_min(1e-3)
    centred = (images - blur(images * weights, sigma) / known) * weights
    local = blur(centred.square().mean(1, keepdim=True), sigma) / known
    total = centred.square().mean(dim=(1, 2, 3), keepdim=True) / weights.mean(
        dim=(1, 2, 3), keepdim=True
    ).clamp_min(1e-3)
    return centred / (local + floor**2 * total + 1e-12).sqrt()


def centred(
    images: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b c h w"]:
    """Images less their mean over what is seen, 0 elsewhere; weights are 0 or 1."""
    share = weights.sum(dim=(2, 3), keepdim=True).clamp_min(1)
    return (images - (images * weights).sum(dim=(2, 3), keepdim=True) / share) * weights


def correlation(
    a: Float[Tensor, "b c h w"], b: Float[Tensor, "b c h w"], weights: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, " b"]:
    """Correlation of two pictures over what is seen, all components together."""
    a, b = (centred(each, weights).flatten(1) for each in (a, b))
    return (a * b).sum(1) / (a.square().sum(1) * b.square().sum(1) + 1e-12).sqrt()


def align(
    query: Float[Tensor, "b c h w"],
    shown: Float[Tensor, "b 1 h w"],
    other: Float[Tensor, "b c h w"],
    pose: Pose,
    steps: int,
) -> tuple[Pose, Float[Tensor, " b"]]:
    """The pose near `pose` in which `other` looks most like `query` where that one is shown, by
    Gauss-Newton steps of the inverse composition (Baker and Matthews 2004), and the correlation
    reached; -1 where no pose on the way was allowed.
    """
    slopes = _slopes(query, shown)
    best, reached = pose, torch.full((len(query),), -1.0)
    for step in range(steps + 1):
        seen, inside = warped(other, pose)
        inside = inside * shown
        agreed = correlation(query, seen, inside)
        agreed = torch.where(allowed(pose, inside, shown), agreed, -1.0)
        better = agreed > reached
        best = Pose(
            torch.where(better[:, None, None], pose.matrix, best.matrix),
            torch.where(better[:, None], pose.shift, best.shift),
        )
        reached = torch.where(better, agreed, reached)
        if step < steps:
            pose = _improved(pose, slopes, query, seen, inside)
    return best, reached


def _slopes(
    query: Float[Tensor, "b c h w"], shown: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b m 6"]:
    """How every value changes with the six numbers of an affine map near none; nothing where a
    neighbour is not shown.
    """
    whole = 1 - nnf.max_pool2d(1 - shown, 3, 1, 1)
    h, w = query.shape[2:]
    x, y = grid(h, w).T
    half = max(h, w) / 2
    gy, gx = ((g * whole).flatten(2) * half for g in torch.gradient(query, dim=(2, 3)))
    slopes = torch.stack((gx * x, gx * y, gx, gy * x, gy * y, gy), dim=3)
    return slopes.flatten(1, 2)


def _improved(
    pose: Pose,
    slopes: Float[Tensor, "b m 6"],
    query: Float[Tensor, "b c h w"],
    seen: Float[Tensor, "b c h w"],
    inside: Float[Tensor, "b 1 h w"],
) -> Pose:
    """The pose after one step; brightness and contrast are free."""
    b = len(query)
    q, t = centred(query, inside), centred(seen, inside)
    gain = (q * t).sum((1, 2, 3)) / t.square().sum((1, 2, 3)).clamp_min(1e-9)
    error = gain.clamp(0.2, 5)[:, None, None, None] * t - q
    flat = slopes * inside.expand_as(query).flatten(1)[..., None]
    hessian = flat.transpose(1, 2) @ flat
    scale = hessian.diagonal(dim1=1, dim2=2).mean(1).clamp_min(1e-9)
    damped = hessian + 1e-2 * scale[:, None, None] * torch.eye(6)
    delta = torch.linalg.solve(damped, flat.transpose(1, 2) @ error.view(b, -1, 1))[..., 0]
    delta = delta.clamp(-0.25, 0.25)  # a longer step leaves the ground where slopes tell anything
    back = torch.linalg.inv(delta[:, [0, 1, 3, 4]].view(b, 2, 2) + torch.eye(2))
    matrix = pose.matrix @ back
    return Pose(matrix, pose.shift - (matrix @ delta[:, [2, 5], None])[..., 0])


def allowed(
    pose: Pose, inside: Float[Tensor, "b 1 h w"], shown: Float[Tensor, "b 1 h w"]
) -> Bool[Tensor, " b"]:
    """Whether a pose shows enough of the image and stretches it by no more than a half."""
    least = (MIN_OVERLAP_SHOWN * shown.mean(dim=(1, 2, 3))).clamp_max(MIN_OVERLAP)
    squares = pose.matrix.square().sum((1, 2))
    area = torch.linalg.det(pose.matrix).abs()
    # singular values s >= t from s^2 + t^2 and s t
    root = (squares.square() - 4 * area.square()).clamp_min(0).sqrt()
    large, small = ((squares + root) / 2).sqrt(), ((squares - root) / 2).clamp_min(0).sqrt()
    fits = (large <= 1.6) & (small >= 0.6) & (large <= 1.5 * small)
    return fits & (inside.mean(dim=(1, 2, 3)) >= least)


EDGES = (0.018, 0.04, 0.08, 0.16)
"""Ends of the bands of detail, as deviations of Gaussians in shares of the longest side."""
FLOOR = 0.3
"""Least local contrast, as a share of that of the image: noise on plain ground stays small."""


def bands(
    query: Float[Tensor, "b c h w"],
    shown: Float[Tensor, "b 1 h w"],
    other: Float[Tensor, "b c h w"],
    pose: Pose,
    grey: int,
) -> Float[Tensor, "b s"]:
    """Agreement of aligned images in each band, from the finest to the coarsest, and its mean: of
    all components together, then of the first `grey` ones. A pose that is not allowed agrees in
    nothing.
    """
    seen, inside = warped(other, pose, "border")
    inside = inside * shown
    both, weights = torch.cat((query, seen)), torch.cat((inside, inside))
    sigmas = [max(0.45, edge * max(query.shape[2:])) for edge in EDGES]
    soft = [blur(both * weights, s) / blur(weights, s).clamp_min(1e-3) for s in sigmas]
    parts = (list[Tensor](), list[Tensor]())
    for fine, rough, sigma in zip(soft, soft[1:], sigmas[1:], strict=False):
        band = (fine - rough) * weights
        for part, count in zip(parts, (band.shape[1], grey), strict=True):
            mine, theirs = _even(band[:, :count], 2 * sigma).chunk(2)
            part.append(correlation(mine, theirs, inside))
    agreed = torch.cat([torch.stack([*x, torch.stack(x).mean(0)], dim=1) for x in parts], dim=1)
    return torch.where(allowed(pose, inside, shown)[:, None], agreed, 0.0)


def _even(band: Float[Tensor, "b c h w"], sigma: float) -> Float[Tensor, "b c h w"]:
    """A band of detail divided by its local contrast, all components together."""
    local = blur(band.square().mean(1, keepdim=True), sigma)
    level = band.square().mean(dim=(1, 2, 3), keepdim=True)
    return band / (local + FLOOR**2 * level + 1e-12).sqrt()


def resized(images: Float[Tensor, "n c _ _"], longest: int) -> Float[Tensor, "n c _ _"]:
    """Area averages, so that the longest side is at most so long."""
    return reduced(images, longest, shortest=4)


def detailed(
    fine: Float[Tensor, "n c h w"], shown: Float[Tensor, "n 1 h w"]
) -> Float[Tensor, "n c h w"]:
    """Images of the comparison's size, levelled for the last alignment; 0 where not shown."""
    soft = blur(fine * shown, 0.6) / blur(shown, 0.6).clamp_min(1e-3)
    return levelled(soft, shown, 0.12 * max(fine.shape[2:]), FLOOR)


def medium(
    fine: Float[Tensor, "n c _ _"], shown: Float[Tensor, "n 1 _ _"]
) -> tuple[Float[Tensor, "n c a b"], Float[Tensor, "n 1 a b"]]:
    """Levelled images of the first alignment's size, 0 where not shown, and where they are."""
    weights = resized(shown, 2 * MIDDLE)
    half = resized(fine * shown, 2 * MIDDLE) / weights.clamp_min(1e-3)
    weights = (weights >= 0.5).to(fine.dtype)
    level = levelled(half, weights, 0.12 * max(half.shape[2:]), FLOOR)
    share = resized(weights, MIDDLE)
    there = (share >= 0.5).to(fine.dtype)
    return resized(level, MIDDLE) / share.clamp_min(0.25) * there, there


def small(middle: Float[Tensor, "n c _ _"]) -> Float[Tensor, "n c _ _"]:
    """Images of the search's size."""
    return resized(blur(middle, 0.8), COARSE)


def descriptors(coarse: Float[Tensor, "n c h w"], poses: Pose) -> Float[Tensor, "m d"]:
    """Rows of mean 0 and length 1 for every image in every pose, image by image."""
    n, p = len(coarse), len(poses.shift)
    each = poses.take(torch.arange(p).repeat(n))
    rows = warped(coarse.repeat_interleave(p, dim=0), each)[0].flatten(1)
    rows = rows - rows.mean(1, keepdim=True)
    return rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-6)


FLAT = 1.5 / 255
"""Difference from a corner, of the range of values, up to which a pixel is taken for padding."""
NEARLY, PLAIN, ABRUPT = 10 / 255, 0.8, 0.5
"""The same for outer rows and columns that were compressed, the share of one that is plain, and
the share up to which the second line behind them may have their colour."""
MIN_EMPTY = 0.004
"""Share of an image below which a plain corner is left alone."""
MAX_FRAMED = 0.95
"""Side of what is shown, as a share, from which an image is searched for as it is."""
MIN_SHOWN = 0.25
"""Share that must be left of an image for its padding to be left out."""


def shown(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n 1 h w"]:
    """1 where images in [0, 1] show something, 0 on padding: what a move leaves empty.

    Padding is what lies in one piece with a corner and has its colour, and outer rows and columns
    that repeat the next one. Its inner rim, where both are mixed, goes with it. An image of which
    too little would be left, or that has hardly any padding, is taken as a whole.
    """
    empty = _repeated(images) | torch.stack([_cornered(image) for image in images.numpy()])
    exact = nnf.max_pool2d(empty[:, None].to(images.dtype), 3, 1, 1)
    soft = nnf.max_pool2d(_bordered(images)[:, None].to(images.dtype), 5, 1, 2)
    rim = torch.maximum(exact, soft)
    share = 1 - rim.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(share >= MIN_SHOWN, 1 - rim, 1.0)


def framed(weights: Float[Tensor, "n 1 h w"]) -> Pose:
    """Poses in which what is shown fills the image, where padding left a smaller one on all sides
    of a corner; the image as it is elsewhere.
    """
    h, w = weights.shape[2:]
    places = grid(h, w).view(h, w, 2)
    ends = []
    for axis, line in ((0, places[0, :, 0]), (1, places[:, 0, 1])):
        used = weights[:, 0].amax(1 + axis) > 0
        least = torch.where(used, line, torch.inf).amin(1)
        ends.append(torch.stack((least, torch.where(used, line, -torch.inf).amax(1)), dim=1))
    low, high = torch.stack(ends, dim=1).unbind(2)
    scale = ((high - low) / (places[-1, -1] - places[0, 0])).amax(1)
    smaller = scale < MAX_FRAMED
    scale = torch.where(smaller, scale, 1.0)
    shift = torch.where(smaller[:, None], (low + high) / 2, 0.0)
    return Pose(scale[:, None, None] * torch.eye(2), shift)


def _repeated(images: Float[Tensor, "n c h w"]) -> Bool[Tensor, "n h w"]:
    """Outer rows and columns that repeat the next one."""
    n, _, h, w = images.shape
    empty = torch.zeros(n, h, w, dtype=torch.bool)
    for axis in (2, 3):
        same = (images.diff(dim=axis).abs().amax(1) <= FLAT).all(dim=4 - axis)
        first = same.to(torch.int64).cumprod(1).bool()
        last = same.flip(1).to(torch.int64).cumprod(1).bool().flip(1)
        none = torch.zeros(n, 1, dtype=torch.bool)
        line = torch.cat((first, none), 1) | torch.cat((none, last), 1)
        empty |= line[:, :, None] if axis == 2 else line[:, None]
    return empty


def _bordered(images: Float[Tensor, "n c h w"]) -> Bool[Tensor, "n h w"]:
    """Outer rows and columns of one colour, compression and a few letters apart, that end abruptly:
    the borders and bars of a screenshot. Rows, then columns of what is left.
    """
    rows = _lines(images) | _lines(images.flip(2)).flip(1)
    columns = images.masked_fill(rows[:, None, :, None], torch.nan).transpose(2, 3)
    sides = _lines(columns) | _lines(columns.flip(2)).flip(1)
    return rows[:, :, None] | sides[:, None]


def _lines(images: Float[Tensor, "n c a b"]) -> Bool[Tensor, "n a"]:
    """First lines of one colour; what is NaN does not count."""
    colour = images[:, :, :1].nanmedian(dim=3, keepdim=True).values
    known = images[:, 0].isfinite()
    near = ((images - colour).mean(1).abs() <= NEARLY) & known
    share = near.sum(2) / known.sum(2).clamp_min(1)
    run = (share >= PLAIN).to(torch.int64).cumprod(1)
    beyond = (run.sum(1, keepdim=True) + 1).clamp_max(share.shape[1] - 1)
    return run.bool() & (share.gather(1, beyond) <= ABRUPT)


def _cornered(image: np.ndarray) -> Bool[Tensor, "h w"]:
    """What lies in one piece with a corner and has its colour."""
    empty = np.zeros(image.shape[1:], dtype=bool)
    for row, column in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        if empty[row, column]:
            continue
        alike = np.abs(image - image[:, row, column, None, None]).max(0) <= FLAT
        if alike.sum() >= MIN_EMPTY * alike.size:
            pieces, _ = ndimage.label(alike)
            piece = pieces == pieces[row, column]
            if piece.sum() >= MIN_EMPTY * alike.size:
                empty |= piece
    return torch.from_numpy(empty)
