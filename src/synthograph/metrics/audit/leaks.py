"""How often synthetic images are turned, mirrored or recoloured, against real ones: augmentations
of training may have leaked into them. What training did is said by its record alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.progress import Tracks, silent
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.matcher import levelled, resized
from synthograph.metrics.audit.recorded import UPSIDE_DOWN
from synthograph.metrics.audit.sets import provenance
from synthograph.ops.operations import OPERATIONS, ColourOperation, Exact, vflip
from synthograph.results.audit import AugmentationLeakage, Leak, TrainedWith

# n image, m synthetic image, c channel, h height, w width, d feature

FOLDS = 5
SIDE = 16
"""Longest side of the pictures that decide."""
RIDGE = 0.3
"""Weight that pulls the covariance of features to its mean variance."""
MIN_DIFFERENCE = 0.3
"""Difference of detection and false alarms from which a transform is distinguishable at all."""
MARGIN, MIN_STANDARD_ERRORS = 0.05, 3.0
"""A leak is a share that exceeds this by so many standard errors; there are several transforms."""
MIN_IMAGES = 40


def leaked_augmentations(
    real: ImageSet,
    synthetic: ImageSet,
    *,
    recorded: TrainedWith | None = None,
    seed: int = 0,
    tracks: Tracks = silent,
) -> AugmentationLeakage:
    """Estimate how many synthetic images are turned, mirrored or recoloured.

    For every transform a linear discriminant learns real images from their transformed copies, on
    four fifths of the groups; the others give its detections t and false alarms f. A share s of
    synthetic images flagged means (s - f) / (t - f) transformed ones (Rogan and Gladen 1978); its
    interval is by the delta method, with variances over groups for real images.

    Args:
        real: real images, with groups.
        synthetic: images of the generator of the same kind.
        recorded: what the generator says of the augmentation in its training.
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
    streams = Streams(seed, "audit/leaks/")
    folds, changes, found = _folds(real.groups, streams), _changes(real), []
    unchanged = {
        features: (_rows(real, features, streams), _rows(synthetic, features, streams))
        for features in (_shape, _colours)
    }
    groups = (real.groups, synthetic.groups)
    for name, change in tracks("leaked augmentations")(list(changes.items()), len(changes)):
        plain, others = unchanged[change.features]
        changed = _rows(real, change.features, streams, change.apply)
        found.append(_leak(name, (plain, changed, others), groups, folds))
    sets = {"real": real, "generated": synthetic}
    return AugmentationLeakage(
        transforms=tuple(found),
        recorded=recorded,
        provenance=provenance(sets, seed),
        sentence=_in_words(found, recorded),
    )


def _in_words(leaks: Sequence[Leak], recorded: TrainedWith | None) -> str:
    """What shows, and whether training can be its cause: only what was recorded is said of it."""
    known = {leak.transform: leak.share for leak in leaks if leak.leaked}
    changes = () if recorded is None else recorded.changes
    ours, others = ([name for name in known if (name in changes) is mine] for mine in (True, False))
    parts = []
    if ours and recorded is not None:
        strength = "" if recorded.p is None else f", at p = {recorded.p:.2g} when it was saved"
        parts.append(
            f"synthetic images look changed as the augmentation of training does: "
            f"{_shares(ours, known)}{strength}"
        )
    if others:
        why = (
            "whether the generator was trained with augmentation is not recorded"
            if recorded is None
            else "by its record the generator was trained without that, so the difference from "
            "real images has another cause"
        )
        parts.append(f"synthetic images look changed: {_shares(others, known)}; {why}")
    unknown = ", ".join(leak.transform for leak in leaks if leak.share is None)
    if unknown:
        parts.append(f"not distinguishable on such images: {unknown}")
    if not known:
        parts.insert(0, "none shows in the synthetic images")
    return f"augmentations: {'; '.join(parts)}"


def _shares(names: Sequence[str], shares: Mapping[str, float | None]) -> str:
    return ", ".join(f"{name} ({shares[name] or 0:.0%})" for name in names)


def _shape(pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """A small grey picture without brightness and contrast."""
    grey = resized(pixels.mean(1, keepdim=True), SIDE)
    return levelled(grey, torch.ones_like(grey), 0.2 * SIDE, 0.3).flatten(1)


def _colours(pixels: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
    """Quantiles, spread and products of the channels, and the same squared."""
    flat = pixels.flatten(2)
    levels = torch.quantile(flat, torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95]), dim=2)
    mean = flat.mean(2)
    first = torch.cat([*levels, mean, flat.std(2)], dim=1)
    pairs = mean[:, :, None] - mean[:, None]
    both = torch.cat((first, pairs.flatten(1)), dim=1)
    return torch.cat((both, both.square(), both.abs().sqrt()), dim=1)


@dataclass(frozen=True)
class _Change:
    """A change that may have leaked, and the features in which it shows."""

    apply: Exact
    features: Callable[[Tensor], Tensor]


def _changes(images: ImageSet) -> dict[str, _Change]:
    """The augmentations that images of this kind can show; upside down, by two of them together."""
    shape, colours = dict[str, _Change](), dict[str, _Change]()
    for operation in OPERATIONS.values():
        if operation.leak is None:
            continue
        name, apply = operation.leak
        if not isinstance(operation, ColourOperation):
            shape[name] = _Change(apply, _shape)
        elif operation.grey or images.spec.channels == 3:
            colours[name] = _Change(apply, _colours)
    return {**shape, UPSIDE_DOWN: _Change(vflip, _shape), **colours}


def _rows(
    images: ImageSet,
    features: Callable[[Tensor], Tensor],
    streams: Streams,
    change: Exact = lambda pixels, numbers, streams: pixels,
) -> Float[Tensor, "n _"]:
    """Features of all images of a set, changed or as they are."""
    rows, start = [], 0
    for batch in images.batches():
        pixels = resized(batch.to(torch.float32) / images.spec.max_value, 2 * SIDE)
        numbers = torch.arange(start, start + len(batch))
        rows.append(features(change(pixels, numbers, streams).clamp(0, 1)))
        start += len(batch)
    return torch.cat(rows)


def _folds(groups: Int64[Tensor, " n"], streams: Streams) -> Int64[Tensor, " n"]:
    """Fold of every image; groups stay whole."""
    known, group = torch.unique(groups, return_inverse=True)
    order = streams.permutation("folds", 0, len(known))
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


def _leak(
    name: str,
    rows: tuple[Tensor, Tensor, Tensor],
    groups: tuple[Int64[Tensor, " n"], Int64[Tensor, " m"]],
    folds: Int64[Tensor, " n"],
) -> Leak:
    """Frequency of a transform from features of plain, transformed and synthetic images."""
    plain, changed, others = rows
    alarms, detected = torch.zeros(len(plain)), torch.zeros(len(plain))
    votes = torch.zeros(len(others))
    for fold in range(FOLDS):
        out = folds == fold
        weights, offset = _discriminant(plain[~out], changed[~out])
        alarms[out] = (plain[out] @ weights > offset).to(torch.float32)
        detected[out] = (changed[out] @ weights > offset).to(torch.float32)
        votes += (others @ weights > offset) / FOLDS
    f, t, r = (float(each.mean()) for each in (alarms, detected, votes))
    leak = Leak(
        transform=name,
        share=None,
        interval=None,
        detected=t,
        false_alarms=f,
        flagged=r,
        leaked=False,
    )
    if t - f < MIN_DIFFERENCE:
        return leak
    share = (r - f) / (t - f)
    # the estimate is linear in what every group and every synthetic image adds to it
    real = -((1 - share) * (alarms - f) + share * (detected - t)) / (t - f)
    spread = _variance(real, groups[0]) + _variance((votes - r) / (t - f), groups[1])
    width = 1.96 * math.sqrt(spread)
    leaked = share - MIN_STANDARD_ERRORS * math.sqrt(spread) > MARGIN
    low, high = max(share - width, 0.0), max(min(share + width, 1.0), 0.0)
    share = min(max(share, 0.0), 1.0)
    interval = (min(low, share), max(high, share))
    return leak.replace(share=share, interval=interval, leaked=leaked)


def _variance(parts: Float[Tensor, " n"], groups: Int64[Tensor, " n"]) -> float:
    """Variance of the mean of numbers that sum to nothing, with groups as the unit."""
    _, group = torch.unique(groups, return_inverse=True)
    count = int(group.max()) + 1
    sums = torch.zeros(count).index_add_(0, group, parts) / len(parts)
    return float(sums.square().sum()) * count / (count - 1)
