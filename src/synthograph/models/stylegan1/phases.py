"""The two phases of a training step: Wasserstein loss with gradient penalty (Gulrajani et al. 2017)
and drift (Karras et al. 2018, appendix A.1), or logistic loss with R1 (Mescheder et al. 2018).

Images are seen at the size of the stage. While a level is faded in, synthetic images, real images
and what the discriminators read are blended alike. Random numbers are drawn per image, so the
losses of an image do not depend on how a batch is divided.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from synthograph.models.base import Augment, Batch, LossTerms, Networks, NoiseMode, Phase, Stage
from synthograph.models.spread import Pictures, SpreadLoss, distances_in
from synthograph.models.stylegan1.config import R1_GAMMA, Loss, StyleGAN1Config
from synthograph.models.stylegan1.networks import Discriminator, Generator, Synthesis
from synthograph.models.stylegan2.networks import Noise
from synthograph.models.stylegan2.phases import drawn, mixed_styles, penalty_precision
from synthograph.ops.convolution import features_only
from synthograph.ops.resample_nearest import enlarge, reduce

Scores = dict[str, Float[Tensor, "n 1"]]
"""Per modality the scores of images."""


class Losses:
    """The losses of one pair of generator and discriminators."""

    def __init__(self, networks: Networks, config: StyleGAN1Config, augment: Augment) -> None:
        generator, discriminators = networks.generator, networks.discriminators
        assert isinstance(generator, Generator), "the family builds its own generator"
        self.networks, self.config, self.augment = networks, config, augment
        self.generator, self.spec, self.sides = generator, generator.spec, generator.spec.grid.sides
        kept = distances_in(networks.buffers, self.spec.modalities)
        self.spread = SpreadLoss(config.spread_weight, config.spread_decay, kept)
        self.discriminators: dict[str, Discriminator] = {}
        for name, each in discriminators.items():
            assert isinstance(each, Discriminator), "and its own discriminators"
            self.discriminators[name] = each

    def phases(self) -> list[Phase]:
        """Gmain, Dmain."""
        return [
            Phase("Gmain", "G", 1, self.generator_main, self.update_style_mean),
            Phase("Dmain", "D", 1, self.discriminator_main, self.spread.update),
        ]

    def generator_main(self, batch: Batch) -> LossTerms:
        """Raise the scores of synthetic images; and keep pairs of a class as far apart as real
        ones, where that is asked for. Both of a pair have the same noise then, or the noise would
        keep them apart, not the latents.
        """
        self._grow(batch.stage)
        alike = self.spread.alike(batch)
        image, ws = self._synthesise(batch, batch.synthetic_labels, "Gmain", noise_of=alike)
        image = self.augment(image, alike, "Gmain")
        scores, seen = self._judged(image, batch.synthetic_labels, batch.stage)
        wasserstein = self.config.loss is Loss.WGAN_GP
        losses = [-x if wasserstein else softplus(-x) for x in scores.values()]
        spread, told = self.spread.of_synthetic(seen, batch.synthetic_labels)
        total = torch.stack(losses).sum(0) + spread[:, None]
        stats = {**self._stats("fake", scores), **told, "Loss/G/loss": total.detach()}
        return LossTerms(total.mean(), stats, batch_stats={"w": ws[:, 0].detach()})

    def update_style_mean(self, means: Mapping[str, Tensor]) -> None:
        """Move the mean style towards the batch's."""
        mean = self.generator.mapping.w_avg
        assert mean is not None, "the mapping of a generator keeps one"
        mean.lerp_(means["w"], 1 - self.config.w_avg_decay)

    def discriminator_main(self, batch: Batch) -> LossTerms:
        """Tell real from synthetic images of the same labels, with the penalty of the loss."""
        self._grow(batch.stage)
        with torch.no_grad():
            image, _ = self._synthesise(batch, batch.labels, "Dmain", noise_of=batch)
        alike = self.spread.alike(batch)
        synthetic = self.augment(image, alike, "Dmain/fake")
        real = self.augment(self._reals(batch), alike, "Dmain/real")
        loss = self._wasserstein if self.config.loss is Loss.WGAN_GP else self._logistic
        terms = loss(batch, real, synthetic)
        growth = {"side": batch.stage.resolution, "fade": batch.stage.fade}
        stats = {f"Growth/{n}": real.new_full((len(real),), float(v)) for n, v in growth.items()}
        return replace(terms, stats={**terms.stats, **stats})

    def _wasserstein(self, batch: Batch, real: Tensor, synthetic: Tensor) -> LossTerms:
        """Score of synthetic less score of real images, drift of the real ones' from 0, and slope
        of the scores between the two, which is to be 1.
        """
        share = batch.streams.uniform("Dmain/between", batch.indices.to(real.device))
        between = torch.lerp(real, synthetic, share.to(real)[:, None, None, None])
        slopes = self._slopes(between, batch)
        low = self._scores(synthetic, batch.labels, batch.stage)
        high, seen = self._judged(real, batch.labels, batch.stage)
        main = torch.stack([low[m] - high[m] for m in high]).sum(0)
        drift = torch.stack([x.square() for x in high.values()]).sum(0) * self.config.drift
        norms = torch.stack([g.flatten(1).norm(dim=1, keepdim=True) for g in slopes.values()])
        penalty = (norms - 1).square().sum(0) * self.config.gradient_penalty
        stats = {
            **self._stats("fake", low),
            **self._stats("real", high),
            "Loss/D/loss": main.detach(),
            "Loss/D/reg": (penalty + drift).detach(),
            "Loss/gradient_norm": norms.detach().mean((0, 2)),
        }
        total = (main + drift + penalty).mean()
        return LossTerms(total, stats, batch_stats=self.spread.of_real(seen, batch.labels))

    def _logistic(self, batch: Batch, real: Tensor, synthetic: Tensor) -> LossTerms:
        """softplus(synthetic score) + softplus(-real score), and the squared slope at real images
        as the discriminators see them.
        """
        weight = R1_GAMMA if self.config.r1_gamma is None else self.config.r1_gamma
        low = self._scores(synthetic, batch.labels, batch.stage)
        high, seen = self._judged(real, batch.labels, batch.stage)
        main = torch.stack([softplus(low[m]) + softplus(-high[m]) for m in high]).sum(0)
        stats = {
            **self._stats("fake", low),
            **self._stats("real", high),
            "Loss/D/loss": main.detach(),
        }
        signs = torch.cat(list(high.values()), dim=1).detach().sign().mean(1)
        loss = main
        if weight:
            slopes = self._slopes(real, batch).values()
            squares = torch.stack([g.square().sum((1, 2, 3)) for g in slopes]).sum(0)[:, None]
            loss = main + squares * (weight / 2)
            stats["Loss/r1_penalty"] = squares.detach()
            stats["Loss/D/reg"] = (squares * (weight / 2)).detach()
        return LossTerms(loss.mean(), stats, signs, self.spread.of_real(seen, batch.labels))

    def _slopes(self, image: Tensor, batch: Batch) -> dict[str, Tensor]:
        """Per modality the gradient of its score by the images, to be trained through."""
        image = image.detach().requires_grad_(True)
        with penalty_precision(self.networks):
            scores = self._scores(image, batch.labels, batch.stage)
        joint = torch.stack([x.sum() for x in scores.values()]).sum()
        with features_only():
            (gradient,) = torch.autograd.grad(joint, [image], create_graph=True)
        return self.spec.split(gradient.float())

    def _level(self, stage: Stage) -> int:
        return self.sides.index(stage.resolution)

    def _grow(self, stage: Stage) -> None:
        """Let the networks remember their stage, with which they are saved."""
        parts: list[Synthesis | Discriminator] = [self.generator.synthesis]
        for part in (*parts, *self.discriminators.values()):
            part.growth.set(self._level(stage), stage.fade)

    def _reals(self, batch: Batch) -> Tensor:
        """Real images at the size of the stage, blended as synthetic ones are."""
        stage = batch.stage
        images = reduce(batch.reals, self.sides[-1] // stage.resolution)
        return (
            images if stage.fade == 1 else torch.lerp(enlarge(reduce(images)), images, stage.fade)
        )

    def _synthesise(
        self, batch: Batch, labels: Tensor, phase: str, *, noise_of: Batch
    ) -> tuple[Tensor, Float[Tensor, "n s w"]]:
        """Images at the size of the stage, with fresh noise by the numbers of `noise_of`, and their
        styles; row 0 is never a mixed one.
        """
        level, generator = self._level(batch.stage), self.generator
        share, rows = self.config.style_mixing, 2 * level + 2
        ws = mixed_styles(generator.mapping, batch, labels, phase, share, rows)
        synthesis = generator.synthesis
        pixels = sum(height * width for height, width in synthesis.noise_shapes[:rows])
        noise = drawn(noise_of, f"{phase}/noise", pixels)
        features = synthesis.levels(ws, Noise(NoiseMode.RANDOM, noise), level)
        return synthesis.image(features, batch.stage.fade), ws

    def _judged(self, image: Tensor, label: Tensor, stage: Stage) -> tuple[Scores, Pictures]:
        level, parts = self._level(stage), self.spec.split(image)
        found = {
            m: each.judged(parts[m], label, level, stage.fade)
            for m, each in self.discriminators.items()
        }
        return {m: x[0] for m, x in found.items()}, {m: x[1] for m, x in found.items()}

    def _scores(self, image: Tensor, label: Tensor, stage: Stage) -> Scores:
        return self._judged(image, label, stage)[0]

    def _stats(self, which: str, scores: Scores) -> dict[str, Tensor]:
        """Scores, the mean over modalities and, where there are several, each; and signs, where
        they mean something.
        """
        joint = torch.cat([x.detach() for x in scores.values()], dim=1)
        stats = {f"Loss/scores/{which}": joint.mean(1)}
        if self.config.signed_logits:
            stats[f"Loss/signs/{which}"] = joint.sign().mean(1)
        if len(scores) > 1:
            stats |= {f"Loss/scores/{which}/{m}": x.detach()[:, 0] for m, x in scores.items()}
        return stats
