"""The spread loss, our own: synthetic images of a class shall differ as much as real ones do.

Images come in pairs of one class, and are compared in the pictures that a discriminator has of
them. The mean distance of real pairs is part of the training state, per class and picture.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import one_hot, relu

from synthograph.core.errors import SettingError
from synthograph.models.base import Batch, Condition
from synthograph.models.config import PAIR

Pictures = Mapping[str, Sequence[Tensor]]
"""Modality -> pictures [n, c, h, w] of the same images, the finest first."""

# n image, l picture, y class


def kept_distances(
    modalities: Iterable[str], condition: Condition, pictures: int
) -> dict[str, Float[Tensor, "y l"]]:
    """Mean distances of real pairs as buffers of a family's networks, 0 until a pair was seen."""
    classes = max(len(condition.classes), 1)
    return {_buffer(m): torch.zeros(classes, pictures) for m in modalities}


def distances_in(
    buffers: Mapping[str, Tensor], modalities: Iterable[str]
) -> dict[str, Float[Tensor, "y l"]]:
    """Those of these buffers that are such means, by modality."""
    return {m: buffers[_buffer(m)] for m in modalities if _buffer(m) in buffers}


def _buffer(modality: str) -> str:
    return f"spread/{modality}"


def check_pictures(weight: float, pictures: int) -> None:
    """Refuse the loss where there is no picture to compare images in.

    Raises:
        SettingError: there is none, and a weight.
    """
    if weight and not pictures:
        rule = "must be 0 for images this small: there are no features to compare"
        raise SettingError("spread_weight", rule, value=str(weight))


class SpreadLoss:
    """The loss of one training; of weight 0 it adds nothing and follows nothing.

    Args:
        weight: of the loss.
        decay: of the mean distances, per step.
        kept: mean distances of real pairs by modality, which change. Networks that grow have fewer
            pictures at first, those of the last columns.
    """

    def __init__(
        self, weight: float, decay: float, kept: Mapping[str, Float[Tensor, "y l"]]
    ) -> None:
        self.weight, self.decay, self._kept = weight, decay, kept

    def alike(self, batch: Batch) -> Batch:
        """The batch, in which both images of a pair have the same random numbers."""
        return in_pairs(batch) if self.weight else batch

    def of_synthetic(
        self, pictures: Pictures, labels: Tensor
    ) -> tuple[Float[Tensor, " n"], dict[str, Tensor]]:
        """The weighted loss of every image, and its statistics."""
        wanted = self._wanted(pictures)
        if not wanted:
            return torch.zeros(len(labels), device=labels.device), {}
        loss, ratio = spread_loss(pictures, labels, wanted)
        return self.weight * loss, {"Loss/spread": loss.detach(), "Progress/spread": ratio}

    @torch.no_grad()
    def of_real(self, pictures: Pictures, labels: Tensor) -> dict[str, Tensor]:
        """What real images say of pairs, as `LossTerms.batch_stats`."""
        wanted = self._wanted(pictures)
        return pair_stats(pictures, labels, wanted) if wanted else {}

    def update(
        self, means: Mapping[str, Tensor], units: Mapping[str, Tensor] | None = None
    ) -> None:
        """Move the mean distances towards those of a batch.

        Args:
            means: batch means of what `of_real` gave.
            units: factors of the batch's distances, by modality.
        """
        for name, mean in self._kept.items() if "share" in means else ():
            seen = means[_buffer(name)].shape[-1]
            follow(mean[:, -seen:], means, name, self.decay, (units or {}).get(name, 1.0))

    def _wanted(self, pictures: Pictures) -> dict[str, Float[Tensor, "y l"]]:
        """Mean distances in these pictures; empty without the loss, and without a picture."""
        if not self.weight or not all(pictures.values()):
            return {}
        return {m: self._kept[m][:, -len(seen) :] for m, seen in pictures.items()}


def in_pairs(batch: Batch) -> Batch:
    """The batch with one number for both images of a pair, so that both are augmented alike."""
    return replace(batch, indices=batch.indices - batch.indices % PAIR)


def pair_distances(pictures: Sequence[Tensor]) -> Float[Tensor, "pairs l"]:
    """Root mean square difference of the images of each pair, for every picture."""
    gaps = (x.float().unflatten(0, (-1, PAIR)) for x in pictures)
    squares = [(gap[:, 0] - gap[:, 1]).square().mean((1, 2, 3)) for gap in gaps]
    return (torch.stack(squares, 1) + 1e-12).sqrt()


def spread_loss(
    pictures: Pictures, labels: Tensor, wanted: Mapping[str, Float[Tensor, "y l"]]
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    """How far the pair of each image falls short of the distance of real pairs, squared, meaned
    over pictures and summed over modalities; and the mean ratio of the two distances.

    A class of which no real pair was seen yet, whose distance is 0, asks for nothing.
    """
    losses, ratios = [], []
    for name, seen in pictures.items():
        real = wanted[name][_kinds(labels, len(wanted[name]))[::PAIR]]
        ratio = torch.where(real > 0, pair_distances(seen) / real.clamp(min=1e-12), 1.0)
        losses.append(relu(1 - ratio).square().mean(1))
        ratios.append(ratio.detach().mean(1))
    loss, ratio = torch.stack(losses).sum(0), torch.stack(ratios).mean(0)
    return loss.repeat_interleave(PAIR), ratio.repeat_interleave(PAIR)


def pair_stats(
    pictures: Pictures, labels: Tensor, means: Mapping[str, Float[Tensor, "y l"]]
) -> dict[str, Tensor]:
    """What `follow` needs of real images to move these means, as `LossTerms.batch_stats`."""
    classes = len(next(iter(means.values())))
    share = one_hot(_kinds(labels, classes), classes).to(torch.float32)
    found = {"share": share}
    for name, seen in pictures.items():
        distances = pair_distances(seen).repeat_interleave(PAIR, 0)
        found[f"spread/{name}"] = share[:, :, None] * distances[:, None]
    return found


def follow(
    mean: Float[Tensor, "y l"],
    found: Mapping[str, Tensor],
    name: str,
    decay: float,
    unit: Tensor | float = 1.0,
) -> None:
    """Move the mean distance of real pairs towards that of a batch, in classes that are in it.

    Args:
        mean: is changed.
        found: batch means of what `pair_stats` gave.
        name: modality.
        decay: of the mean, per step; the first batch of a class replaces it.
        unit: factor of the batch's distances.
    """
    share = found["share"][:, None]
    now = found[f"spread/{name}"] / share.clamp(min=1e-12) * unit
    moved = torch.where(mean == 0, now, mean.lerp(now, 1 - decay))
    mean.copy_(torch.where(share > 0, moved, mean))


def _kinds(labels: Tensor, classes: int) -> Int64[Tensor, " n"]:
    """The class of each image; 0 where labels are no classes."""
    if classes == 1:
        return torch.zeros(len(labels), dtype=torch.int64, device=labels.device)
    return labels.argmax(1)
