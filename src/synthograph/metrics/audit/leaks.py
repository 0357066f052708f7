"""Whether augmentations of training leaked into synthetic images: how often they are turned,
mirrored or recoloured, against real ones.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.matcher import levelled, resized
from synthograph.metrics.audit.sets import provenance
from synthograph.metrics.evaluate import Tracks, silent
from synthograph.results.audit import AugmentationLeakage, Leak

# n image, c channel, h height, w width, d feature

FOLDS = 5
SIDE = 16
"""Longest side of the pictures that decide."""
RIDGE = 0.3
"""Weight that pulls the covariance of features to its mean variance."""
TELLS = 0.3
"""Difference of detection and false alarms from which a transform is distinguishable at all."""
MARGIN, MIN_STANDARD_ERRORS = 0.05, 3.0
"""A leak is a share that exceeds this by so many standard errors; there are several transforms."""
MIN_IMAGES = 40

# m synthetic image

Change = Callable[[Tensor, Int64[Tensor, " n"], Streams], Tensor]


def leaked_augmentations(
    real: ImageSet, synthetic: ImageSet, *, seed: int = 0, tracks: Tracks = silent
) -> AugmentationLeakage:
    """Estimate how many synthetic images are turned, mirrored or recoloured.

    For every transform a linear discriminant learns real images from their transformed copies, on
    four fifths of the groups; the others give its detections t and false alarms f. A share s of
    synthetic images flagged means (s - f) / (t - f) transformed ones (Rogan and Gladen 1978); its
    interval is by the delta method, with variances over groups for real images.

    Args:
        real: real images, with groups.
        synthetic: images of the generator of the same kind.
        seed: of folds and transforms.
        tracks: shows progress.

    Raises:
        UserError: fewer than 40 images, or too few groups, in a set.
    """
    for images in (real, synthetic):
        if images.count < MIN_IMAGES or (images is real and images.group_count < 2 * FOLDS):
            raise UserError(
                f"{images.name}: {images.count} images of {images.group_count} groups; a test for "
                f"leaked augmentations needs {MIN_IMAGES} images, and {2 * FOLDS} groups of real "
                "ones"
            )
    streams, folds = Streams(seed, "audit/leaks/"), _folds(real.groups, seed)
    changes = _changes(real)
    made = _rows(synthetic, None, streams)
    plain = _rows(real, None, streams)
    found = []
    for name in tracks("leaked augmentations")(list(changes), len(changes)):
        kind = "colours" if name in COLOURS else "shape"
        changed = _rows(real, changes[name], streams)
        rows = (plain[kind], changed[kind], made[kind])
        found.append(_judged(name, rows, (real.groups, synthetic.groups), folds))
    sets = {"real": real, "generated": synthetic}
    return AugmentationLeakage(
        transforms=tuple(found), provenance=provenance(sets, seed), sentence=_in_words(found)
    )


def _in_words(leaks: Sequence[Leak]) -> str:
    known = [(leak.transform, leak.share) for leak in leaks if leak.leaked]
    found = ", ".join(f"{name} ({share:.0%})" for name, share in known if share is not None)
    unknown = ", ".join(leak.transform for leak in leaks if leak.share is None)
    words = "none shows in the synthetic images"
    if found:
        words = f"synthetic images look as if they had been changed as in training: {found}"
    words = f"augmentations: {words}"
    return f"{words}; not distinguishable on such images: {unknown}" if unknown else words


def _rot90(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    quarters = streams.integers("turned", numbers, 3) + 1
    if images.shape[2] != images.shape[3]:
        return images.flip(2, 3)
    return torch.stack([x.rot90(int(k), (1, 2)) for x, k in zip(images, quarters, strict=True)])


def _hflip(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    return images.flip(3)


def _vflip(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    return images.flip(2)


def _brightness(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    return images + 0.2 * streams.normal("brightness", numbers, (1, 1, 1))


def _contrast(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    return (images - 0.5) * (0.5 * streams.normal("contrast", numbers, (1, 1, 1))).exp2() + 0.5


def _hue(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    """Rotated about the grey axis, as the augmentation pipeline of ADA does."""
    angle = (streams.uniform("hue", numbers, (1,))[:, 0] * 2 - 1) * math.pi
    axis = torch.full((3,), 3**-0.5)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) * 3**-0.5
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    matrix = cos * torch.eye(3) + sin * cross + (1 - cos) * torch.outer(axis, axis)
    return torch.einsum("nij,njhw->nihw", matrix, images)


def _saturation(images: Tensor, numbers: Tensor, streams: Streams) -> Tensor:
    grey = images.mean(1, keepdim=True)
    return grey + (images - grey) * streams.normal("saturation", numbers, (1, 1, 1)).exp2()


COLOURS = ("brightness", "contrast", "hue", "saturation")


def _changes(images: ImageSet) -> dict[str, Change]:
    """The transforms of ADA that images of this kind can show, at its strength."""
    every: dict[str, Change] = {
        "turned": _rot90,
        "mirrored": _hflip,
        "upside_down": _vflip,
        "brightness": _brightness,
        "contrast": _contrast,
    }
    if images.spec.channels == 3:
        every |= {"hue": _hue, "saturation": _saturation}
    return every


def _rows(images: ImageSet, change: Change | None, streams: Streams) -> dict[str, Tensor]:
    """Features of all images: of their shape, without brightness and contrast, and of colours."""
    largest, start = 255.0 if images.spec.bits == 8 else 65535.0, 0
    shape, colours = [], []
    for batch in images.batches():
        pixels = resized(batch.to(torch.float32) / largest, 2 * SIDE)
        if change is not None:
            numbers = torch.arange(start, start + len(batch))
            pixels = change(pixels, numbers, streams).clamp(0, 1)
        start += len(batch)
        grey = resized(pixels.mean(1, keepdim=True), SIDE)
        shape.append(levelled(grey, torch.ones_like(grey), 0.2 * SIDE, 0.3).flatten(1))
        colours.append(_colours(pixels))
    return {"shape": torch.cat(shape), "colours": torch.cat(colours)}


def _colours(pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Quantiles, spread and products of the channels, and the same squared."""
    flat = pixels.flatten(2)
    levels = torch.quantile(flat, torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95]), dim=2)
    mean = flat.mean(2)
    first = torch.cat([*levels, mean, flat.std(2)], dim=1)
    pairs = mean[:, :, None] - mean[:, None]
    both = torch.cat((first, pairs.flatten(1)), dim=1)
    return torch.cat((both, both.square(), both.abs().sqrt()), dim=1)


def _folds(groups: Int64[Tensor, " n"], seed: int) -> Int64[Tensor, " n"]:
    """Fold of every image; groups stay whole."""
    known, group = torch.unique(groups, return_inverse=True)
    order = Streams(seed, "audit/leaks/").permutation("folds", 0, len(known))
    return (order.argsort() % FOLDS)[group]


def _discriminant(
    plain: Float[Tensor, "n d"], changed: Float[Tensor, "n d"]
) -> tuple[Float[Tensor, " d"], Float[Tensor, ""]]:
    """Weights and offset of a linear discriminant with a regular covariance (Friedman 1989)."""
    rows = torch.cat((plain - plain.mean(0), changed - changed.mean(0)))
    scale = rows.std(0).clamp_min(1e-6)
    rows = rows / scale
    covariance = rows.T @ rows / len(rows)
    covariance = (1 - RIDGE) * covariance + RIDGE * torch.eye(rows.shape[1])
    weights = torch.linalg.solve(covariance, (changed.mean(0) - plain.mean(0)) / scale) / scale
    return weights, ((plain.mean(0) + changed.mean(0)) / 2 @ weights)


def _judged(
    name: str,
    rows: tuple[Tensor, Tensor, Tensor],
    groups: tuple[Int64[Tensor, " n"], Int64[Tensor, " m"]],
    folds: Int64[Tensor, " n"],
) -> Leak:
    """Frequency of a transform from features of plain, transformed and synthetic images."""
    plain, changed, made = rows
    alarms, detected = torch.zeros(len(plain)), torch.zeros(len(plain))
    votes = torch.zeros(len(made))
    for fold in range(FOLDS):
        out = folds == fold
        weights, offset = _discriminant(plain[~out], changed[~out])
        alarms[out] = (plain[out] @ weights > offset).to(torch.float32)
        detected[out] = (changed[out] @ weights > offset).to(torch.float32)
        votes += (made @ weights > offset) / FOLDS
    f, t, r = (float(each.mean()) for each in (alarms, detected, votes))
    if t - f < TELLS:
        return Leak(
            transform=name,
            share=None,
            interval=None,
            detected=t,
            false_alarms=f,
            flagged=r,
            leaked=False,
        )
    share = (r - f) / (t - f)
    # the estimate is linear in what every group and every synthetic image adds to it
    real = -((1 - share) * (alarms - f) + share * (detected - t)) / (t - f)
    spread = _variance(real, groups[0]) + _variance((votes - r) / (t - f), groups[1])
    width = 1.96 * math.sqrt(spread)
    leaked = share - MIN_STANDARD_ERRORS * math.sqrt(spread) > MARGIN
    low, high = max(share - width, 0.0), max(min(share + width, 1.0), 0.0)
    share = min(max(share, 0.0), 1.0)
    return Leak(
        transform=name,
        share=share,
        interval=(min(low, share), max(high, share)),
        detected=t,
        false_alarms=f,
        flagged=r,
        leaked=leaked,
    )


def _variance(parts: Float[Tensor, " n"], groups: Int64[Tensor, " n"]) -> float:
    """Variance of the mean of numbers that sum to nothing, with groups as the unit."""
    _, group = torch.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    sums = torch.zeros(count).index_add_(0, group, parts) / len(parts)
    return float(sums.square().sum()) * count / (count - 1)
