"""Training of a mask generator on a few painted images.

Every image is left out in turn, with all others of its patient. What members that never saw it make
of it says after how many steps to stop, whether a linear head is better than a deep one, and what
to expect of new images.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from pydantic import Field
from torch import Tensor
from torch.nn.functional import one_hot

from synthograph.annotation.heads import Head, HeadShape, decide
from synthograph.annotation.pixels import PixelSample
from synthograph.core.config import Config
from synthograph.core.progress import Track
from synthograph.core.seeds import stream_key
from synthograph.stats.linear import mean_interval
from synthograph.stats.masks import compare_masks

# n image, c channel, h height, w width, k class, p pixel, f feature, m member, e check

MOMENTS = 8192
"""Pixels from which mean and deviation of features are taken."""
MOST_FOLDS = 8
"""Trainings with images left out; of more patients several are left out together."""


class HeadConfig(Config):
    """A head, and how it is trained.

    Attributes:
        shape: of the ensemble.
        steps: at most; each on `batch` pixels.
        checks: how often images that are left out are looked at, evenly over all steps.
        rate: of Adam; falls to 0 along a half cosine unless `constant`.
        decay: weight of the squared weights of the first map in the loss.
        overlap: weight of one minus the Dice of the classes in the loss, beside the cross-entropy.
        standardised: features are brought to mean 0 and deviation 1 first.
    """

    shape: HeadShape = HeadShape()
    steps: int = Field(200, ge=1)
    batch: int = Field(1024, ge=1)
    checks: int = Field(5, ge=1)
    rate: float = Field(0.03, gt=0)
    constant: bool = False
    decay: float = Field(3e-3, ge=0)
    overlap: float = Field(1.0, ge=0)
    standardised: bool = True


LINEAR = HeadConfig()
DEEP = HeadConfig(
    shape=HeadShape(widths=[32]), steps=450, batch=512, rate=0.01, decay=3e-3, overlap=3
)
PUBLISHED = HeadConfig(
    shape=HeadShape(widths=[128, 32], normalised=True, patch=0, vote=True),
    steps=2000,
    batch=64,
    rate=1e-3,
    constant=True,
    decay=0,
    overlap=0,
    standardised=False,
)
"""Zhang et al. 2021, section 3.2 and their supplement: every pixel as often, no weighting."""


@dataclass(frozen=True)
class Painted:
    """What is learned from.

    Attributes:
        masks: class ids of every image, or `IGNORED`.
        sample: the pixels.
        features: of these pixels.
        layers: number of an image -> its layers of features.
        channels: of every layer.
        classes: how many.
        groups: patient of every image, by 0, 1, 2 ...; empty where each is of its own.
    """

    masks: UInt8[np.ndarray, "n h w"]
    sample: PixelSample
    features: Float[Tensor, "p f"]
    layers: Callable[[int], Sequence[Tensor]]
    channels: Sequence[int]
    classes: int
    groups: Sequence[int] = ()

    def __len__(self) -> int:
        return len(self.masks)


def fit(config: HeadConfig, painted: Painted, images: Sequence[int], seed: int) -> Iterator[Head]:
    """Train an ensemble on some images.

    Args:
        config: of the head.
        painted: what there is.
        images: numbers of those that it sees.
        seed: of first weights, by which the members differ, and of the order of pixels.

    Yields:
        The same head at every check, ready to predict.
    """
    device = painted.features.device
    head = Head(config.shape, painted.channels, painted.classes)
    draws = torch.Generator().manual_seed(stream_key(seed, "annotate/weights")[0])
    head.begin(draws)
    rows = torch.isin(painted.sample.images, torch.tensor(images)).nonzero()[:, 0].to(device)
    if config.standardised:
        some = rows[:: max(1, len(rows) // MOMENTS)]
        deviation, mean = torch.std_mean(painted.features[some], dim=0)
        head.mean.copy_(mean)
        head.scale.copy_(deviation.nan_to_num().clamp(min=1e-6))
    head.to(device)
    weights, classes = (
        t.to(device)[rows] for t in (painted.sample.weights, painted.sample.classes)
    )
    weights = weights / weights.mean()
    optimiser = torch.optim.Adam(head.parameters(), lr=config.rate, fused=True)
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.rate * _scale(config, step)
        chosen = torch.randint(len(rows), (config.batch,), generator=draws).to(device)
        logits = head(painted.features[rows[chosen]])
        loss = _loss(logits, classes[chosen], weights[chosen], config.overlap)
        loss = loss + config.decay * head.first.square().sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        if _due(config, step):
            yield head.eval()
            head.train()


def _loss(
    logits: Float[Tensor, "m p k"],
    classes: Int64[Tensor, " p"],
    weights: Float[Tensor, " p"],
    overlap: float,
) -> Float[Tensor, ""]:
    """Weighted cross-entropy, plus `overlap` times one minus the Dice of the classes that there are
    but the background (Milletari et al. 2016, with sums in place of squares); of all members
    together.
    """
    logs = logits.log_softmax(2)
    entropy = -logs[:, torch.arange(len(classes)), classes]
    total = (entropy * weights).mean(1).sum()
    if overlap:
        truth = one_hot(classes, logits.shape[2]) * weights[:, None]
        said = logs.exp() * weights[:, None]
        hits = (logs.exp() * truth).sum(1)
        dice = 2 * hits / (said.sum(1) + truth.sum(0)).clamp(min=1e-6)
        there = truth.sum(0)[1:] > 0
        total = total + overlap * ((1 - dice[:, 1:]) * there).sum() / there.sum().clamp(min=1)
    return total


def _scale(config: HeadConfig, step: int) -> float:
    """Factor of the learning rate (Loshchilov and Hutter 2017)."""
    return 1.0 if config.constant else 0.5 * (1 + math.cos(math.pi * step / config.steps))


def _due(config: HeadConfig, step: int) -> bool:
    """Whether a check follows a step: evenly, the last one at the end."""
    before, after = (k * config.checks // config.steps for k in (step, step + 1))
    return after > before


@dataclass(frozen=True)
class LeftOut:
    """What heads make of images that they never saw.

    Attributes:
        dice: of every check, patient and class, the mean over the images of a patient; NaN where
            it has no value: no mask has the class, or no image of others has it, so that it could
            not be learned.
    """

    dice: Float64[np.ndarray, "e g k"]

    @property
    def means(self) -> Float64[np.ndarray, "e g"]:
        """Mean over the classes but the background."""
        return _mean(self.dice[:, :, 1:], 2)

    @property
    def best(self) -> int:
        """The check with the best mean over patients; of equals the first."""
        return int(np.nan_to_num(_mean(self.means, 1), nan=-1).argmax())

    @property
    def share(self) -> float:
        """Patients that are left out at once divided by those that are learned from."""
        return 1 / (min(self.dice.shape[1], MOST_FOLDS) - 1)

    @property
    def best_dice(self) -> Float64[np.ndarray, "g k"]:
        """Dice at the best check."""
        values: np.ndarray = self.dice[self.best]
        return values

    @property
    def value(self) -> float | None:
        """Mean over patients and classes at the best check; None where nothing has a value."""
        value = float(_mean(self.means[self.best], 0))
        return value if math.isfinite(value) else None

    def beats(self, other: "LeftOut") -> bool:
        """Whether its mean is better than another's, beyond the 95 % interval of the difference
        over the patients (Student's t); two are too few to say so.
        """
        gains = self.means[self.best] - other.means[other.best]
        gains = gains[np.isfinite(gains)]
        if len(gains) < 3:
            return False
        ends = mean_interval(torch.from_numpy(gains))[1]
        return ends is not None and ends.low > 0


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Mean of what has a value; NaN where nothing has."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(there, values, 0).sum(axis) / there.sum(axis))


def folds(groups: Sequence[int]) -> list[list[int]]:
    """Numbers of images that are left out at once: all images of a patient.

    Args:
        groups: patient of every image, by 0, 1, 2 ...
    """
    count = min(max(groups) + 1, MOST_FOLDS)
    return [[n for n, group in enumerate(groups) if group % MOST_FOLDS == k] for k in range(count)]


def _by_group(
    dice: Float64[np.ndarray, "e n k"], groups: Sequence[int]
) -> Float64[np.ndarray, "e g k"]:
    own = np.asarray(groups)
    return np.stack([_mean(dice[:, own == g], 1) for g in range(max(groups) + 1)], 1)


def leave_out(
    config: HeadConfig,
    painted: Painted,
    seed: int,
    track: Track = lambda items, total: items,
    network: Sequence[Float[Tensor, "k h w"]] = (),
) -> list[LeftOut]:
    """Train without each image, and compare what comes of it with the painted mask.

    Args:
        config: of the head.
        painted: images of two patients or more.
        seed: of all draws.
        track: shows how far it is.
        network: probabilities of every image by an image network that never saw it.

    Returns:
        What came of the head with that network, if there is one, then of the head alone.
    """
    count = len(painted)
    groups = painted.groups or range(count)
    parts = folds(groups)
    opinions = [network, ()] if network else [()]
    dice = np.full((len(opinions), config.checks, count, painted.classes), np.nan)
    for fold in track(parts, len(parts)):
        rest = [number for number in range(count) if number not in fold]
        layers = {number: painted.layers(number) for number in fold}
        known = np.isin(np.arange(painted.classes), painted.masks[rest])
        for check, head in enumerate(fit(config, painted, rest, seed)):
            own = [_own(head, layers[number], painted) for number in fold]
            for place, others in enumerate(opinions):
                said = [
                    _said(head, each, others[number] if others else None)
                    for number, each in zip(fold, own, strict=True)
                ]
                found = _dice(painted.masks[fold], np.stack(said), painted.classes)
                dice[place, check, fold] = np.where(known, found, np.nan)
    return [LeftOut(_by_group(each, groups)) for each in dice]


def _own(head: Head, layers: Sequence[Tensor], painted: Painted) -> Float[Tensor, "m k h w"]:
    """Probabilities of an image by the members of a head."""
    return next(head.probabilities(layers, (painted.masks.shape[1], painted.masks.shape[2])))


def _said(head: Head, own: Tensor, network: Tensor | None) -> UInt8[np.ndarray, "h w"]:
    other = None if network is None else network.to(own)
    return decide(own, vote=head.shape.vote, network=other)[0].cpu().numpy()


def _dice(truth: np.ndarray, said: np.ndarray, classes: int) -> Float64[np.ndarray, "n k"]:
    groups = torch.arange(len(truth))
    return compare_masks(truth, said, classes, groups=groups, distances=False).dice.numpy()
