"""What new StyleGAN2 networks take over from trained ones, layer by layer.

Layers are matched by the longer side of their level, modalities by their name, else by their number
of channels, classes by their name. Where shapes differ, a rule keeps what the network computes: a
head of one channel gives the mean of the source's channels, a from-image layer answers to a grey
image as the source does. Labels that the source does not know are read with fresh weights, so that
classes differ from the first image on: where they begin alike, they stay so for long. What no rule
covers stays fresh.
"""

import math
import re
from collections.abc import Callable, Mapping

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate

from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, ModelBundle, WeightInit
from synthograph.models.stylegan2.config import Architecture, GeneratorConfig
from synthograph.models.stylegan2.mapping import MappingNetwork
from synthograph.models.stylegan2.networks import Discriminator, Generator
from synthograph.ops.activation import rms_normalise

INHERITED = (
    "family",
    "z_dim",
    "w_dim",
    "channel_base",
    "channel_max",
    "mapping_layers",
    "mapping_width",
    "mapping_rate",
    "embedding_width",
    "generator_architecture",
    "discriminator_architecture",
    "noise",
    "clamp",
    "discriminator_channel_base",
    "discriminator_channel_max",
    "discriminator_clamp",
    "label_width",
    "label_layers",
    "label_mapping_width",
    "label_embedding_width",
    "mbstd_channels",
)
"""Settings that decide on the tensors and on what they mean; losses, optimisers and batches are not
among them.
"""

NEAR = 0.5
PINV_TOLERANCE = 1e-3
BLOCK = re.compile(r"\bblocks\.(\d+)\.")
HEAD = re.compile(r"\.heads\.([^.]+)\.")
HEAD_TENSOR = r"\.heads\.[^.]+\.(weight|bias)$"
FROM_IMAGE = re.compile(r"\bfrom_image\.")
DISCRIMINATOR = re.compile(r"^discriminators/([^.]+)\.")


def map_weights(target: ModelBundle, source: ModelBundle, part: str = "") -> dict[str, WeightInit]:
    """Starts for the tensors of fresh networks, by name; what is left out stays fresh.

    Args:
        target: fresh networks.
        source: trained ones.
        part: how names begin of the tensors that are wanted, such as `generator/`.
    """
    mapper = _WeightMapper(target, source)
    found = {name: mapper.start(name) for name in mapper.wanted if name.startswith(part)}
    return {name: start for name, start in found.items() if start is not None}


def match_levels(target: ImageSpec, source: ImageSpec) -> list[int | None]:
    """For every level of the target, from the coarsest: the source's level of the nearest longer
    side, if it is within a factor of sqrt(2), else None.
    """
    theirs = source.grid.sides
    found: list[int | None] = []
    for side in target.grid.sides:
        distances = [abs(math.log2(side / other)) for other in theirs]
        best = min(range(len(theirs)), key=distances.__getitem__)
        found.append(best if distances[best] < NEAR else None)
    return found


def match_modalities(target: Mapping[str, int], source: Mapping[str, int]) -> dict[str, str]:
    """For every modality of the target the source's one of that name, else its first of as many
    channels, else its first.
    """
    first = next(iter(source))
    return {
        name: name if name in source else next((m for m, n in source.items() if n == count), first)
        for name, count in target.items()
    }


def match_classes(target: Condition, source: Condition) -> list[int | None]:
    """For every entry of the target's label the source's entry, or None where there is none.

    Classes match by name. Where the source has no names (label vectors, or classes that are only
    numbered) entries match by their place if there are as many.
    """
    common = set(target.classes) & set(source.classes)
    if common:
        return [source.classes.index(n) if n in common else None for n in target.classes]
    numbered = source.classes == tuple(str(i) for i in range(source.width))
    if (numbered or not source.classes) and target.width == source.width:
        return list(range(target.width))
    return [None] * target.width


class _WeightMapper:
    """Fresh networks (target) beside the trained ones that they start from (source)."""

    def __init__(self, target: ModelBundle, source: ModelBundle) -> None:
        self.target, self.source = target, source
        self.wanted, self.given = target.networks.tensors(), source.networks.tensors()
        self.levels = match_levels(target.spec, source.spec)
        self.finest = source.spec.grid.doublings
        self.modalities = match_modalities(target.spec.modalities, source.spec.modalities)
        self.classes = match_classes(target.condition, source.condition)

    def start(self, name: str) -> WeightInit | None:
        """What the tensor `name` starts with; None leaves it fresh."""
        donor = next((n for n in self._candidates(name) if n in self.given), None)
        if donor is None:
            return self._silent_head(name) if re.search(HEAD_TENSOR, name) else None
        rules = (rule for pattern, rule in RULES if re.search(pattern, name))
        return next(rules, _WeightMapper.same)(self, name, donor)

    def same(self, name: str, donor: str) -> WeightInit | None:
        """The source's tensor, if it has the same shape."""
        fits = self.given[donor].shape == self.wanted[name].shape
        return WeightInit(self.given[donor], (donor,)) if fits else None

    def _candidates(self, name: str) -> list[str]:
        """Names of the source's tensors that may play the part of the target's `name`."""
        ours = DISCRIMINATOR.match(name) or HEAD.search(name)
        if ours is not None:
            theirs = self.modalities[ours[1]]
            name = name[: ours.start(1)] + theirs + name[ours.end(1) :]
        block = BLOCK.search(name)
        if block is None:
            return [name]
        counts_inwards = DISCRIMINATOR.match(name) is not None
        if counts_inwards:  # discriminators count their blocks from the finest
            level = self.levels[len(self.levels) - 1 - int(block[1])]
            numbers = [None if level is None else self.finest - level]
        else:
            numbers = [self.levels[int(block[1])]]
        if FROM_IMAGE.search(name) or (HEAD.search(name) and not _skip(self.target)):
            numbers.append(
                0 if counts_inwards else self.finest
            )  # image and features meet only once
        return [
            name[: block.start(1)] + str(n) + name[block.end(1) :] for n in numbers if n is not None
        ]

    def head(self, name: str, donor: str) -> WeightInit | None:
        """Weight or bias of an output head: as it is, or the mean over the source's channels."""
        fresh, x = self.wanted[name], self.given[donor]
        if x.shape[1:] != fresh.shape[1:]:
            return None
        if len(x) == len(fresh):
            return WeightInit(x, (donor,))
        return WeightInit(x.mean(0, keepdim=True).expand_as(fresh), (donor,), "mean over channels")

    def _silent_head(self, name: str) -> WeightInit | None:
        """Heads of levels finer than the source's begin at zero, so that images begin as its."""
        block = BLOCK.search(name)
        assert block is not None, "heads belong to blocks"
        level = int(block[1])
        finer = self.levels[level] is None and any(k is not None for k in self.levels[:level])
        if not finer or not _skip(self.target):
            return None
        return WeightInit(
            torch.zeros_like(self.wanted[name]), (), "zero: images begin as the source's"
        )

    def reader(self, name: str, donor: str) -> WeightInit | None:
        """Weight of a from-image layer, [o, c, 1, 1].

        With other channels each gets the sum of the source's, scaled so that a grey image, shown as
        equal channels, gives the same features under the scaling by 1 / sqrt(fan in).
        """
        fresh, x = self.wanted[name], self.given[donor]
        if x.shape[1:] == fresh.shape[1:] or len(x) != len(fresh):
            return self.same(name, donor)
        total = x.sum(1, keepdim=True) / math.sqrt(x.shape[1] * fresh.shape[1])
        return WeightInit(total.expand_as(fresh), (donor,), "sum over channels")

    def const(self, name: str, donor: str) -> WeightInit | None:
        """The learned constant [c, h, w], resampled where the coarsest level has another shape."""
        fresh, x = self.wanted[name], self.given[donor]
        if len(x) != len(fresh) or self.levels[0] != 0:
            return None
        if x.shape == fresh.shape:
            return self.same(name, donor)
        size = list(fresh.shape[1:])
        resampled = interpolate(x[None], size=size, mode="bilinear", align_corners=False)[0]
        return WeightInit(resampled, (donor,), "resampled")

    def dense(self, name: str, donor: str) -> WeightInit | None:
        """Weight [o, c h w] of the layer that reads the coarsest level whole, resampled as the
        constant is, and scaled so that even features give about the same output as before.
        """
        start, grid = self.same(name, donor), self.source.spec.grid
        if start is not None or self.levels[0] != 0:
            return start
        fresh, x, size = self.wanted[name], self.given[donor], self.target.spec.grid[:2]
        maps = x.reshape(len(x), -1, grid.height, grid.width)
        resampled = interpolate(maps, size=list(size), mode="bilinear", align_corners=False)
        value = resampled.flatten(1) * math.sqrt(x.shape[1] / resampled[0].numel())
        return WeightInit(value, (donor,), "resampled") if value.shape == fresh.shape else None

    def embedding(self, name: str, donor: str) -> WeightInit | None:
        """Weight of a label's embedding [e, classes]: a column per class, see `match_classes`.

        A class that the source does not know keeps its fresh column. The others are scaled by the
        root of the ratio of class counts, which takes 1 / sqrt(fan in) into account.
        """
        fresh, x = self.wanted[name], self.given[donor]
        if len(x) != len(fresh):
            return None
        if self.classes == list(range(x.shape[1])):
            return WeightInit(x, (donor,))
        if all(k is None for k in self.classes):
            return None
        known = x * math.sqrt(fresh.shape[1] / x.shape[1])
        columns = [fresh[:, i] if k is None else known[:, k] for i, k in enumerate(self.classes)]
        value = torch.stack(columns, dim=1)
        names = self.target.condition.classes or map(str, range(len(self.classes)))
        unknown = [n for n, k in zip(names, self.classes, strict=True) if k is None]
        how = f"fresh columns for {', '.join(unknown)}"
        return WeightInit(value, (donor,), how if unknown else "columns by class name")

    def mapping(self, name: str, donor: str) -> WeightInit | None:
        """Layers from latent to style; the first one also reads the label's embedding."""
        before, after = _config(self.source), _config(self.target)
        gained = bool(self.target.condition.width) - bool(self.source.condition.width)
        x = self._mapping_weight(donor)
        how = (
            "" if before.mapping_rate == after.mapping_rate else "scaled to the other mapping_rate"
        )
        start: WeightInit | None = WeightInit(x, (name,), how)
        if ".layers.0." in name and gained:
            same_latent = before.z_dim == after.z_dim
            change = self._with_label if gained > 0 else self._without_label
            start = change(name, x) if same_latent else None
        fits = start is not None and start.value.shape == self.wanted[name].shape
        return start if fits else None

    def _mapping_weight(self, name: str) -> Tensor:
        """The source's tensor of a mapping layer, as the target's mapping_rate needs it."""
        before, after = _config(self.source), _config(self.target)
        return self.given[name] * (before.mapping_rate / after.mapping_rate)

    def _with_label(self, name: str, x: Tensor) -> WeightInit:
        """Columns for the label stay fresh."""
        fresh = self.wanted[name]
        if name.endswith("bias") or len(x) != len(fresh):
            return WeightInit(x, (name,))
        known = x.shape[1]
        grown = torch.cat((x * math.sqrt(fresh.shape[1] / known), fresh[:, known:]), dim=1)
        return WeightInit(grown, (name,), "fresh columns for the label")

    def _without_label(self, name: str, x: Tensor) -> WeightInit:
        """What the label contributed goes, in its mean over the classes, to the bias."""
        generator, z = self.source.networks.generator, _config(self.source).z_dim
        assert isinstance(generator, Generator), "the family builds its own generator"
        embed = generator.mapping.embed
        assert embed is not None, "the source is conditional"
        weight = self._mapping_weight(name.replace("bias", "weight"))
        wide = weight.shape[1]
        if name.endswith("weight"):
            return WeightInit(
                x[:, :z] * math.sqrt(z / wide), (name,), "without the label's columns"
            )
        with torch.no_grad():
            labels = torch.eye(self.source.condition.width)
            embedded = rms_normalise(embed(labels)).mean(0)
        sources = (name, *(f"generator/mapping.embed.{p}" for p in ("weight", "bias")))
        share = weight[:, z:] @ embedded / math.sqrt(wide)
        return WeightInit(x + share, sources, "mean over classes added")

    def last_layer(self, name: str, donor: str) -> WeightInit | None:
        """The last layer of a discriminator, whose outputs a conditional one projects on the label.

        Without a label a row is what was the mean over classes of the projections. With a new label
        the rows are such that every class begins with the logit that the source gave.
        """
        gained = bool(self.target.condition.width) - bool(self.source.condition.width)
        if not gained:
            return self.same(name, donor)
        x, built = self.given[donor], self.target if gained > 0 else self.source
        modality = str(DISCRIMINATOR.match(name if gained > 0 else donor)[1])  # type: ignore[index]
        projections = _projections(built, modality)
        width = projections.shape[1]
        if gained > 0:
            inverse = torch.linalg.pinv(projections, rtol=PINV_TOLERANCE)
            rows = (inverse.sum(1) * math.sqrt(width))[:, None]
            how = "rows such that every class begins with the source's logit"
        else:
            rows = projections.mean(0, keepdim=True) / math.sqrt(width)
            how = "mean over classes"
        value = rows @ x if x.dim() == 2 else (rows @ x[:, None])[:, 0]
        if value.shape != self.wanted[name].shape:
            return None
        labels = donor.split(".")[0] + ".mapping."  # they went into the mean over classes
        averaged = [n for n in self.given if n.startswith(labels) and gained < 0]
        return WeightInit(value, (donor, *averaged), how)


@torch.no_grad()
def _projections(built: ModelBundle, modality: str) -> Float[Tensor, "c w"]:
    """What a conditional discriminator maps every class to."""
    discriminator = built.networks.discriminators[modality]
    assert isinstance(discriminator, Discriminator), "the family builds its own discriminators"
    assert isinstance(discriminator.mapping, MappingNetwork), "it is conditional"
    projections: Tensor = discriminator.mapping(None, torch.eye(built.condition.width))
    return projections


def _config(built: ModelBundle) -> GeneratorConfig:
    assert isinstance(built.config, GeneratorConfig), "the registry parses configs by family"
    return built.config


def _skip(built: ModelBundle) -> bool:
    """Whether the generator has heads at every level."""
    return _config(built).generator_architecture is Architecture.SKIP


RULES: tuple[tuple[str, Callable[[_WeightMapper, str, str], WeightInit | None]], ...] = (
    (HEAD_TENSOR, _WeightMapper.head),
    (r"\bfrom_image\.weight$", _WeightMapper.reader),
    (r"^generator/synthesis\.blocks\.0\.const$", _WeightMapper.const),
    (r"^discriminators/[^.]+\.dense\.weight$", _WeightMapper.dense),
    (r"\bmapping\.embed\.weight$", _WeightMapper.embedding),
    (r"^generator/mapping\.layers\.", _WeightMapper.mapping),
    (r"^discriminators/[^.]+\.out\.", _WeightMapper.last_layer),
)
"""Name of a tensor -> how it is taken over; all others need the same shape."""
