"""The two phases of a step, which share one pass of synthetic images and their features.

The features are frozen, so what the generator's phase computes serves the discriminators' too.
Hinge loss of every head (Lim and Ye 2017; Sauer et al. 2021, equation 4), and the spread loss.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import relu

from synthograph.models.base import Augment, Batch, LossTerms, Networks, Phase
from synthograph.models.projected.config import ProjectedConfig
from synthograph.models.projected.networks import Discriminator, input_size, strides_of
from synthograph.models.spread import SpreadLoss, in_pairs
from synthograph.models.stylegan2.phases import StyleLosses

Mixed = dict[str, list[Tensor]]
"""Modality -> mixed pictures, the finest first."""


class Losses(StyleLosses):
    """The losses of one pair of generator and discriminators."""

    config: ProjectedConfig

    def __init__(self, networks: Networks, config: ProjectedConfig, augment: Augment) -> None:
        super().__init__(networks, config, augment)
        self.heads = cast(Mapping[str, Discriminator], dict(networks.discriminators.items()))
        kept = {m: head.spread for m, head in self.heads.items()}
        self.spread = SpreadLoss(config.spread_weight, config.spread_decay, kept)

    def phases(self) -> list[Phase]:
        """The generator first: its images and their features are left to the other phase."""
        return [
            Phase("Gmain", "G", 1, self.generator_main, self.update_style_mean),
            Phase("Dmain", "D", 1, self.discriminator_main, self.update_discriminators),
        ]

    def generator_main(self, batch: Batch) -> LossTerms:
        """Raise the logits of all heads, and keep pairs of a class as far apart as real ones."""
        images, ws = self._synthesise(batch, "Gmain")
        mixed = self._mixed(images, batch, "Gmain")
        batch.keep("mixed", [x for m in self.spec.modalities for x in mixed[m]])
        logits = self._logits(mixed, batch.synthetic_labels)
        score = torch.stack([each.mean(1) for m in logits for each in logits[m]]).mean(0)
        spread, told = self.spread.of_synthetic(mixed, batch.synthetic_labels)
        total = spread - score * len(logits)
        stats = {**self._scores("fake", logits), **told, "Loss/G/loss": total.detach()}
        return LossTerms(total.mean(), stats, batch_stats={"w": ws[:, 0].detach()})

    def discriminator_main(self, batch: Batch) -> LossTerms:
        """Hinge loss of every head, summed."""
        with torch.no_grad():
            real = self._mixed(batch.reals, batch, "Dmain")
            synthetic = self._kept(batch)
        # apart, so that no normalisation is of real and synthetic images
        logits = self._logits(real, batch.labels)
        against = self._logits(synthetic, batch.synthetic_labels)
        losses = [
            relu(1 - one).mean(1) + relu(1 + other).mean(1)
            for m in logits
            for one, other in zip(logits[m], against[m], strict=True)
        ]
        total = torch.stack(losses).sum(0)
        stats = self._scores("real", logits)
        signs = stats["Loss/signs/real"]
        stats["Loss/D/loss"] = total.detach()
        found = {
            f"power/{m}": torch.stack([x.float().square().mean((1, 2, 3)) for x in pictures], 1)
            for m, pictures in real.items()
        }
        found |= self.spread.of_real(real, batch.labels)
        return LossTerms(total.mean(), stats, signs, found)

    def update_discriminators(self, means: Mapping[str, Tensor]) -> None:
        """Spectral norms, and what real images say of pairs and of the scale of the pictures."""
        units: dict[str, Tensor] = {}
        for name, each in self.heads.items():
            each.iterate()
            known, found = each.scale != 0, means[f"power/{name}"]
            each.scale.copy_(torch.where(known, each.scale, found.clamp(min=1e-12).rsqrt()))
            # distances of the very first batch are in the units of before the scale was known
            units[name] = torch.where(known, 1.0, each.scale)
        self.spread.update(means, units)

    def _kept(self, batch: Batch) -> Mixed:
        """What the generator's phase left; computed anew where it left nothing."""
        left = batch.left("mixed")
        if left is None:
            return self._mixed(self._synthesise(batch, "Gmain")[0], batch, "Gmain")
        taps = len(left) // len(self.spec.modalities)
        parts = [list(left[i : i + taps]) for i in range(0, len(left), taps)]
        return dict(zip(self.spec.modalities, parts, strict=True))

    def _mixed(self, images: Tensor, batch: Batch, scope: str) -> Mixed:
        """Mixed pictures of augmented images; a pair is augmented alike."""
        if self.config.pairs and self.config.shared_draw:
            batch = in_pairs(batch)
        parts = self.spec.split(self.augment(images, batch, scope))
        size, strides, taps = self._size, strides_of(self.config), self.networks.taps
        assert taps is not None, "training hands them over"
        return {m: self.heads[m].mixed(taps(part, size, strides)) for m, part in parts.items()}

    @property
    def _size(self) -> tuple[int, int]:
        return input_size(self.spec, self.config)

    def _logits(self, mixed: Mixed, label: Tensor) -> dict[str, list[Tensor]]:
        return {m: self.heads[m](pictures, label) for m, pictures in mixed.items()}

    def _scores(self, which: str, logits: Mapping[str, Sequence[Tensor]]) -> dict[str, Tensor]:
        """Mean score of all heads and its sign."""
        found = torch.stack([x.detach().mean(1) for m in logits for x in logits[m]])
        score = found.mean(0)
        return {f"Loss/scores/{which}": score, f"Loss/signs/{which}": score.sign()}
