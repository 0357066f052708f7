"""Losses of StyleGAN2: non-saturating logistic loss, R1 and path length, as four phases of a
training step.

Sources: Goodfellow et al. 2014 (loss), Mescheder et al. 2018, equation 9 (R1), Karras et al. 2020,
section 3.2 and appendix B (path length, lazy regularisation). Random numbers are drawn per image,
so the losses of an image do not depend on how a batch is divided.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from synthograph.models.base import Augment, Batch, LossTerms, Networks, Phase
from synthograph.models.spread import Pictures, SpreadLoss, distances_in
from synthograph.models.stylegan2.config import GeneratorConfig, StyleGAN2Config
from synthograph.models.stylegan2.mapping import MappingNetwork
from synthograph.models.stylegan2.networks import Discriminator, Generator
from synthograph.ops.convolution import features_only

PATH_MEAN = "path_length_mean"


def drawn(batch: Batch, stream: str, *shape: int) -> Tensor:
    """Standard normal numbers [n, *shape], many per image, so drawn where the images are."""
    return batch.streams.normal(stream, batch.indices.to(batch.reals.device), shape)


def mixed_styles(
    mapping: MappingNetwork,
    batch: Batch,
    labels: Float[Tensor, "n c"],
    phase: str,
    share: float,
    rows: int,
) -> Float[Tensor, "n {rows} w"]:
    """The first `rows` of styles for labels, a share of them mixed from two latents at a crossover
    of their own; row 0 is never a mixed one. Source: Karras et al. 2019, section 3.1.
    """
    streams, width = batch.streams.under(phase), mapping.z_dim
    first: Tensor = mapping(drawn(batch, f"{phase}/z", width), labels)[:, :rows]
    if not share:
        return first
    second = mapping(drawn(batch, f"{phase}/z2", width), labels)[:, :rows]
    crossover = 1 + streams.integers("crossover", batch.indices, rows - 1)
    mixed = streams.uniform("mix", batch.indices) < share
    own = torch.arange(rows)[None] < torch.where(mixed, crossover, rows)[:, None]
    return torch.where(own.to(first.device)[:, :, None], first, second)


@contextmanager
def penalty_precision(networks: Networks, fp32: bool = False) -> Iterator[None]:
    """Lets the networks compute in fp32 while a penalty's graph is built, if that is asked."""
    parts: list[Any] = [networks.generator.synthesis, *networks.discriminators.values()]
    before = [part.block_dtype for part in parts]
    for part in parts if fp32 or networks.fp32_penalties else []:
        part.block_dtype = torch.float32
    try:
        yield
    finally:
        for part, dtype in zip(parts, before, strict=True):
            part.block_dtype = dtype


class StyleLosses:
    """What the losses of every family with a generator of StyleGAN2 need of it."""

    def __init__(self, networks: Networks, config: GeneratorConfig, augment: Augment) -> None:
        generator = networks.generator
        assert isinstance(generator, Generator), "the family builds its own generator"
        self.networks, self.config, self.augment = networks, config, augment
        self.generator, self.spec = generator, generator.spec

    def update_style_mean(self, means: Mapping[str, Tensor]) -> None:
        """Move the mean style, where one is kept, towards the batch's."""
        mean, decay = self.generator.mapping.w_avg, self.config.w_avg_decay
        if mean is not None and decay is not None:
            mean.lerp_(means["w"], 1 - decay)

    def _synthesise(self, batch: Batch, phase: str) -> tuple[Tensor, Float[Tensor, "n s w"]]:
        """Images, with fresh noise if any, and their styles; row 0 is never a mixed one."""
        generator, share = self.generator, self.config.style_mixing
        labels = batch.synthetic_labels
        ws = mixed_styles(generator.mapping, batch, labels, phase, share, generator.num_ws)
        synthesis, noise = self.generator.synthesis, None
        if self.config.noise:
            noise = drawn(batch, f"{phase}/noise", synthesis.noise_pixels)
        return synthesis(ws, noise_mode="random", noise=noise), ws


class Losses(StyleLosses):
    """The losses of one pair of generator and discriminators."""

    config: StyleGAN2Config

    def __init__(self, networks: Networks, config: StyleGAN2Config, augment: Augment) -> None:
        super().__init__(networks, config, augment)
        self.judges = cast(Mapping[str, Discriminator], dict(networks.discriminators.items()))
        kept = distances_in(networks.buffers, self.spec.modalities)
        self.spread = SpreadLoss(config.spread_weight, config.spread_decay, kept)

    def phases(self) -> list[Phase]:
        """All phases of a step, in order; a penalty of weight 0 has none."""
        config = self.config
        phases = [Phase("Gmain", "G", 1, self.generator_main, self.update_style_mean)]
        if config.path_weight:
            phases.append(
                Phase("Greg", "G", config.path_interval, self.path_length, self.update_path_mean)
            )
        phases.append(Phase("Dmain", "D", 1, self.discriminator_main, self.spread.update))
        if config.r1_gamma:
            phases.append(Phase("Dreg", "D", config.r1_interval, self.r1))
        return phases

    def generator_main(self, batch: Batch) -> LossTerms:
        """Fool the discriminators: softplus(-logit), weighted over the modalities; and keep pairs
        of a class as far apart as real ones, where that is asked for.
        """
        image, ws = self._synthesise(batch, "Gmain")
        seen = self.augment(image, self.spread.alike(batch), "Gmain")
        logits, features = self._judged(seen, batch.synthetic_labels)
        weights = self.config.modality_weights
        losses = {m: softplus(-x) * weights.get(m, 1.0) for m, x in logits.items()}
        spread, told = self.spread.of_synthetic(features, batch.synthetic_labels)
        total = torch.stack(list(losses.values())).sum(0) + spread[:, None]
        stats = {**self._scores("fake", logits), **told, "Loss/G/loss": total.detach()}
        return LossTerms(total.mean(), stats, batch_stats={"w": ws[:, 0].detach()})

    def path_length(self, batch: Batch) -> LossTerms:
        """Penalise Jacobians whose length differs from its running mean, on every second image of
        the whole batch, the first one included.
        """
        chosen = ((batch.indices - batch.step_indices.start) % 2 == 0).nonzero()[:, 0]
        if not len(chosen):
            none = batch.reals.new_zeros(0)
            stats = {"Loss/pl_penalty": none, "Loss/G/reg": none}
            return LossTerms(None, stats, batch_stats={"length": none})
        half = batch.take(chosen)
        with penalty_precision(self.networks, self.config.penalty_precision == "fp32"):
            image, ws = self._synthesise(half, "Greg")
        probe = drawn(half, "Greg/probe", *image.shape[1:])
        projected = (image * probe).sum() / math.sqrt(image.shape[2] * image.shape[3])
        with features_only():
            (gradient,) = torch.autograd.grad(projected, [ws], create_graph=True)
        lengths = gradient.float().square().sum(2).mean(1).sqrt()
        penalty = (lengths - self.networks.buffers[PATH_MEAN]).square()
        weighted = penalty * self.config.path_weight
        # these images stand for all: microbatches, weighted by their images, add up to the mean
        part = len(batch.step_indices[::2]) / len(batch.step_indices)
        loss = weighted.sum() / (part * len(batch)) * self.config.path_interval
        stats = {"Loss/pl_penalty": penalty.detach(), "Loss/G/reg": weighted.detach()}
        return LossTerms(loss, stats, batch_stats={"length": lengths.detach()})

    def update_path_mean(self, means: Mapping[str, Tensor]) -> None:
        """Move the mean path length towards the batch's."""
        self.networks.buffers[PATH_MEAN].lerp_(means["length"], self.config.path_decay)

    def discriminator_main(self, batch: Batch) -> LossTerms:
        """Distinguish real from synthetic: softplus(synthetic logit) + softplus(-real logit)."""
        with torch.no_grad():
            image, _ = self._synthesise(batch, "Dmain")
        alike = self.spread.alike(batch)
        seen = self.augment(image, alike, "Dmain/fake")
        synthetic, _ = self._judged(seen, batch.synthetic_labels)
        seen = self.augment(batch.reals, alike, "Dmain/real")
        real, features = self._judged(seen, batch.labels)
        losses = [softplus(synthetic[m]) + softplus(-real[m]) for m in real]
        total = torch.stack(losses).sum(0)
        stats = {
            **self._scores("fake", synthetic),
            **self._scores("real", real),
            "Loss/D/loss": total.detach(),
        }
        signs = torch.cat(list(real.values()), dim=1).detach().sign().mean(1)
        return LossTerms(total.mean(), stats, signs, self.spread.of_real(features, batch.labels))

    def r1(self, batch: Batch) -> LossTerms:
        """Penalise the squared gradient of the logits with respect to the real images before
        augmentation.
        """
        reals = batch.reals.detach().requires_grad_(True)
        augmented = self.augment(reals, batch, "Dreg")
        with penalty_precision(self.networks, self.config.penalty_precision == "fp32"):
            logits, _ = self._judged(augmented, batch.labels)
        scored = torch.stack([x.sum() for x in logits.values()]).sum()
        with features_only():
            (gradient,) = torch.autograd.grad(scored, [reals], create_graph=True)
        parts = self.spec.split(gradient.float())
        penalties = {m: part.square().sum((1, 2, 3)) for m, part in parts.items()}
        factors = self.config.modality_r1
        joint = torch.stack([x * factors.get(m, 1.0) for m, x in penalties.items()]).sum(0)
        weighted = joint * (self.config.r1_gamma / 2)
        total = torch.stack(list(penalties.values())).sum(0).detach()
        stats = {"Loss/r1_penalty": total, "Loss/D/reg": weighted.detach()}
        if len(penalties) > 1:
            stats |= {f"Loss/r1_penalty/{m}": x.detach() for m, x in penalties.items()}
        return LossTerms(weighted.mean() * self.config.r1_interval, stats)

    def _judged(self, image: Tensor, label: Tensor) -> tuple[dict[str, Tensor], Pictures]:
        """Logits and features of every modality."""
        parts = self.spec.split(image)
        found = {m: self.judges[m].judged(part, label) for m, part in parts.items()}
        return {m: x[0] for m, x in found.items()}, {m: x[1] for m, x in found.items()}

    def _scores(self, which: str, logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Scores and signs, the mean over modalities and, where there are several, each."""
        joint = torch.cat([x.detach() for x in logits.values()], dim=1)
        stats = {
            f"Loss/scores/{which}": joint.mean(1),
            f"Loss/signs/{which}": joint.sign().mean(1),
        }
        if len(logits) > 1:
            for m, x in logits.items():
                stats[f"Loss/scores/{which}/{m}"] = x.detach()
                stats[f"Loss/signs/{which}/{m}"] = x.detach().sign()
        return stats
