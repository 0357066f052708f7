"""StyleGAN2 for any number of modalities: one trunk, one output head and one discriminator per
modality.

With one modality it is the network of Karras et al. 2020 ("Analyzing and improving the image
quality of StyleGAN", "Training generative adversarial networks with limited data"); with {"vis": 3,
"nir": 1} it is the dual-branch network of BiOcularGAN (Tomasevic et al. 2022).
"""

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.core.errors import SettingError
from synthograph.core.spec import ImageSpec
from synthograph.models.base import NoiseMode
from synthograph.models.inputs import require_image, require_shape, require_styles
from synthograph.models.mapped import (
    LayeredDiscriminator,
    StyleGenerator,
    StyleSynthesis,
)
from synthograph.models.stylegan2.config import Architecture, GeneratorConfig, StyleGAN2Config
from synthograph.models.stylegan2.layers import Conv, Linear
from synthograph.models.stylegan2.mapping import MappingNetwork
from synthograph.ops import resample
from synthograph.ops.activation import LRELU_GAIN, limit, lrelu_
from synthograph.ops.modulation import modulated_conv, modulated_pointwise

# n image, z latent, c label, s style row, w width of a style, i o channels, hh ww size, p pixels


class Level(NamedTuple):
    """One resolution of the network: its size and its number of channels."""

    height: int
    width: int
    channels: int


def levels_of(spec: ImageSpec, channel_base: int, channel_max: int) -> list[Level]:
    """All resolutions from the coarsest grid up; channels are base // longer side, at most
    `channel_max`.
    """
    grid = spec.grid
    sizes = [(grid.height << k, grid.width << k) for k in range(grid.doublings + 1)]
    return [Level(h, w, min(channel_base // max(h, w), channel_max)) for h, w in sizes]


def discriminator_levels(spec: ImageSpec, config: StyleGAN2Config) -> list[Level]:
    """All resolutions of a discriminator from the coarsest grid up."""
    base = config.discriminator_channel_base or config.channel_base
    most = config.discriminator_channel_max or config.channel_max
    return levels_of(spec, base, most)


def check_base(spec: ImageSpec, config: GeneratorConfig, name: str) -> None:
    """Refuse a setting of channels per side, of that name, that leaves a level without any.

    Raises:
        SettingError: it does.
    """
    side, base = max(spec.height, spec.width), getattr(config, name)
    if base is not None and base < side:
        rule = f"must be at least {side}, the longer side, or the finest level has no channels"
        raise SettingError(name, rule, value=str(base))


def check_channels(spec: ImageSpec, config: StyleGAN2Config) -> None:
    """Refuse numbers of channels that leave a level without any or that nothing can share.

    Raises:
        SettingError: there is one.
    """
    for name in ("channel_base", "discriminator_channel_base"):
        check_base(spec, config, name)
    channels, maps = discriminator_levels(spec, config)[0].channels, config.mbstd_channels
    if maps and channels % maps:
        fitting = [n for n in range(1, channels + 1) if channels % n == 0]
        near = min(fitting, key=lambda n: abs(n - maps))
        rule = (
            f"must divide the {channels} channels of the discriminator's coarsest level, as "
            f"{near} does"
        )
        raise SettingError("mbstd_channels", rule, value=str(maps))


class StyledConv(nn.Module):
    """Modulated 3x3 convolution with bias, leaky ReLU and, where the model has it, noise."""

    noise_const: Tensor | None

    def __init__(self, inputs: int, level: Level, *, config: GeneratorConfig, up: bool) -> None:
        super().__init__()
        self.affine = Linear(config.w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(level.channels, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(level.channels))
        fixed = torch.randn(level.height, level.width) if config.noise else None
        self.noise_strength = nn.Parameter(torch.zeros(())) if config.noise else None
        self.register_buffer("noise_const", fixed)
        self.convolve = resample.conv_up if up else resample.conv
        self.clamp = config.clamp

    def forward(
        self, x: Tensor, w: Float[Tensor, "n w"], noise: "Noise", gain: float = 1.0
    ) -> Tensor:
        """Apply the layer; `gain` multiplies the output and the clamp."""
        weight = self.weight * (1 / math.sqrt(self.weight[0].numel()))
        style, scale = self.affine(w), gain * LRELU_GAIN
        y = modulated_conv(x, weight, style, self.bias, convolve=self.convolve, gain=scale)
        drawn = noise.map_for(self.noise_const, w)
        if drawn is not None and self.noise_strength is not None:
            y += (drawn * (self.noise_strength * scale)).to(y.dtype)
        return lrelu_(y, clamp=None if self.clamp is None else self.clamp * gain)


class ToImage(nn.Module):
    """Modulated 1x1 convolution from features to one modality, not demodulated; fp32 out."""

    def __init__(self, inputs: int, outputs: int, *, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.affine = Linear(w_dim, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.clamp = clamp

    def forward(self, x: Tensor, w: Float[Tensor, "n w"]) -> Tensor:
        """Image part of this level."""
        style = self.affine(w) * (1 / math.sqrt(self.weight.shape[1]))
        y = modulated_pointwise(x, self.weight.flatten(1), style)
        return limit(y.float() + self.bias[:, None, None], self.clamp)


class Noise:
    """The noise of one synthesis pass: fixed maps, given ones, fresh ones, or none."""

    def __init__(self, mode: NoiseMode, given: Float[Tensor, "n p"] | None) -> None:
        self.mode, self.given, self.used = mode, given, 0

    def map_for(
        self, fixed: Float[Tensor, "hh ww"] | None, w: Float[Tensor, "n w"]
    ) -> Tensor | None:
        """Noise [h, w] or [n, 1, h, w] for the next layer, whose fixed map and styles are given, or
        None.
        """
        if fixed is None or self.mode is NoiseMode.NONE:
            return None
        if self.mode is NoiseMode.CONST:
            return fixed
        shape = (w.shape[0], 1, *fixed.shape)
        if self.given is None:
            return torch.randn(shape, device=fixed.device)
        start, self.used = self.used, self.used + fixed.numel()
        return self.given[:, start : self.used].reshape(shape)


class SynthesisBlock(nn.Module):
    """All layers of one resolution. Consumes one style row per convolution; heads share the row
    that follows.
    """

    const: Tensor

    def __init__(
        self,
        inputs: int | None,
        level: Level,
        *,
        modalities: Mapping[str, int],
        config: GeneratorConfig,
        with_heads: bool,
    ) -> None:
        super().__init__()
        o, w_dim, clamp = level.channels, config.w_dim, config.clamp
        resnet = config.generator_architecture is Architecture.RESNET
        self.conv0: StyledConv | None = None
        self.skip: Conv | None = None
        if inputs is None:
            self.const = nn.Parameter(torch.randn(o, level.height, level.width))
        else:
            self.conv0 = StyledConv(inputs, level, config=config, up=True)
            if resnet:
                self.skip = Conv(inputs, o, kernel=1, bias=False, convolve=resample.conv_up)
        self.conv1 = StyledConv(o, level, config=config, up=False)
        heads = {
            name: ToImage(o, channels, w_dim=w_dim, clamp=clamp)
            for name, channels in modalities.items()
        }
        self.heads = nn.ModuleDict(heads if with_heads else {})

    @property
    def convs(self) -> int:
        """Number of style rows that the convolutions consume."""
        return 1 if self.conv0 is None else 2

    def features(
        self, x: Tensor | None, ws: Float[Tensor, "n s w"], noise: Noise, dtype: torch.dtype
    ) -> Tensor:
        """Features of this level from those of the level below (None at the coarsest)."""
        if self.conv0 is None:
            start = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
            start = start.contiguous(memory_format=torch.channels_last)
            return self.conv1(start, ws[:, 0], noise)
        assert x is not None, "only the coarsest level starts from a constant"
        if self.skip is None:
            return self.conv1(self.conv0(x, ws[:, 0], noise), ws[:, 1], noise)
        half = math.sqrt(0.5)
        side = self.skip(x, gain=half)
        return side + self.conv1(self.conv0(x, ws[:, 0], noise), ws[:, 1], noise, gain=half)

    def add_image(self, image: Tensor | None, x: Tensor, w: Float[Tensor, "n w"]) -> Tensor | None:
        """The image of the level below, twice the size, plus what this level's heads add."""
        if image is not None:
            image = resample.upsample(image)
        if not self.heads:
            return image
        added = torch.cat([head(x, w) for head in self.heads.values()], dim=1)
        return added if image is None else image + added


class Synthesis(StyleSynthesis):
    """Styles to images."""

    def __init__(self, spec: ImageSpec, config: GeneratorConfig) -> None:
        super().__init__()
        levels = levels_of(spec, config.channel_base, config.channel_max)
        skip = config.generator_architecture is Architecture.SKIP
        inputs = [None, *[level.channels for level in levels[:-1]]]
        self.blocks = nn.ModuleList(
            SynthesisBlock(
                i,
                level,
                modalities=spec.modalities,
                config=config,
                with_heads=skip or level is levels[-1],
            )
            for i, level in zip(inputs, levels, strict=True)
        )
        self.num_ws, self.w_dim = 2 * len(levels), config.w_dim
        shapes = [(level.height, level.width) for level in levels for _ in range(2)]
        # the coarsest has one convolution
        self.noise_shapes = tuple(shapes[1:]) if config.noise else ()
        self.block_dtype = torch.float32

    def forward(
        self,
        ws: Float[Tensor, "n s w"],
        *,
        noise_mode: str = NoiseMode.RANDOM,
        force_fp32: bool = False,
        noise: Float[Tensor, "n p"] | None = None,
    ) -> Float[Tensor, "n o hh ww"]:
        """Render styles.

        Args:
            ws: styles, one row per layer.
            noise_mode: "const" fixed maps, "random" fresh ones, "none"; all the same for a model
                without noise.
            force_fp32: compute the blocks in fp32 whatever `block_dtype` says.
            noise: for "random", `noise_pixels` standard normal numbers per image; None draws from
                torch's global generator.

        Returns:
            Images, fp32, nominally in [-1, 1], modalities concatenated along the channels.

        Raises:
            UserError: styles or noise do not fit the network, or there is no such mode.
        """
        ws = require_styles(ws, self.num_ws, self.w_dim)
        if noise is not None:
            noise = require_shape(noise, [self.noise_pixels], "noise")
        maps = Noise(NoiseMode(noise_mode), noise)
        dtype = torch.float32 if force_fp32 else self.block_dtype
        image: Tensor | None = None
        for _, so_far in self._levels(ws, maps, dtype):
            image = so_far
        assert image is not None, "the last block always has heads"
        return image.contiguous()

    def drawn(
        self, ws: Float[Tensor, "n s w"], noise_mode: str
    ) -> tuple[Float[Tensor, "n o hh ww"], list[Tensor]]:
        """Images, and the features [n, c, h, w] of every level, the coarsest first.

        Raises:
            UserError: styles do not fit the network, or there is no such mode.
        """
        maps = Noise(NoiseMode(noise_mode), None)
        ws = require_styles(ws, self.num_ws, self.w_dim)
        levels = list(self._levels(ws, maps, self.block_dtype))
        image = levels[-1][1]
        assert image is not None, "the last block always has heads"
        return image.contiguous(), [x for x, _ in levels]

    def _levels(
        self, ws: Float[Tensor, "n s w"], maps: Noise, dtype: torch.dtype
    ) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Features of every level and the image so far."""
        ws = ws.float()
        x: Tensor | None = None
        image: Tensor | None = None
        row = 0
        for module in self.blocks:
            assert isinstance(module, SynthesisBlock), "blocks hold nothing else"
            x = module.features(x, ws[:, row:], maps, dtype)
            row += module.convs
            image = module.add_image(image, x, ws[:, row])
            yield x, image


class Generator(StyleGenerator):
    """Latent and label to image: `mapping` then `synthesis`."""

    def __init__(self, spec: ImageSpec, label_dim: int, config: GeneratorConfig) -> None:
        synthesis = Synthesis(spec, config)
        mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=label_dim,
            w_dim=config.w_dim,
            num_ws=synthesis.num_ws,
            layers=config.mapping_layers,
            width=config.mapping_width,
            embedding=config.embedding_width,
            rate=config.mapping_rate,
        )
        if config.w_avg_decay is None:
            mapping.w_avg = None
        super().__init__(spec, label_dim, synthesis, mapping)


class DiscriminatorBlock(nn.Module):
    """Two convolutions and a halving of the size."""

    def __init__(
        self,
        level: Level,
        outputs: int,
        *,
        image_channels: int,
        config: StyleGAN2Config,
        first: bool,
    ) -> None:
        super().__init__()
        i, clamp = level.channels, _discriminator_clamp(config)
        architecture = config.discriminator_architecture
        from_image = first or architecture is Architecture.SKIP
        self.from_image = Conv(image_channels, i, kernel=1, clamp=clamp) if from_image else None
        self.conv0 = Conv(i, i, kernel=3, clamp=clamp)
        self.conv1 = Conv(i, outputs, kernel=3, convolve=resample.conv_down, clamp=clamp)
        resnet = architecture is Architecture.RESNET
        self.skip = (
            Conv(i, outputs, kernel=1, bias=False, convolve=resample.conv_down) if resnet else None
        )

    def forward(self, x: Tensor | None, image: Tensor, dtype: torch.dtype) -> Tensor:
        """Features at half the size; `x` is None at full resolution."""
        if self.from_image is not None:
            y = self.from_image(image.to(dtype))
            x = y if x is None else x + y
        assert x is not None, "the first block reads the image"
        if self.skip is None:
            return self.conv1(self.conv0(x))
        half = math.sqrt(0.5)
        return self.skip(x, gain=half) + self.conv1(self.conv0(x), gain=half)


def _discriminator_clamp(config: StyleGAN2Config) -> float | None:
    clamp = config.discriminator_clamp
    return config.clamp if clamp == "same" else clamp


def minibatch_deviation(
    x: Float[Tensor, "n c hh ww"], group: int, maps: int = 1
) -> Float[Tensor, "n m hh ww"]:
    """Standard deviation over a group of consecutive images, averaged over pixels and a part of
    the channels.

    A batch that the group size does not divide ends in a smaller group. Source: Karras et al. 2018,
    section 3.
    """
    size, added = min(group, len(x)), []
    for part in x.split(len(x) // size * size):
        groups = part.reshape(-1, min(size, len(part)), *x.shape[1:])
        # `var` takes thirty times as long over an axis that is not the last
        variance = (groups - groups.mean(1, keepdim=True)).square().mean(1)
        means = (variance + 1e-8).sqrt().reshape(len(groups), maps, -1).mean(2)
        added.append(means.repeat_interleave(groups.shape[1], 0))
    return torch.cat(added)[:, :, None, None].expand(-1, -1, *x.shape[2:])


class Discriminator(LayeredDiscriminator):
    """Image of one modality to a logit, with projection conditioning (Miyato and Koyama 2018)."""

    def __init__(
        self, spec: ImageSpec, modality: str, label_dim: int, config: StyleGAN2Config
    ) -> None:
        super().__init__()
        channels = spec.modalities[modality]
        self.image_shape = (channels, spec.height, spec.width)
        levels = discriminator_levels(spec, config)[::-1]
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                level,
                below.channels,
                image_channels=channels,
                config=config,
                first=level is levels[0],
            )
            for level, below in zip(levels[:-1], levels[1:], strict=True)
        )
        last = levels[-1]
        self.group, self.maps = config.mbstd_group, config.mbstd_channels
        self.label_dim = label_dim
        clamp = _discriminator_clamp(config)
        label_width = (config.label_width or last.channels) if label_dim else 0
        reads_image = config.discriminator_architecture is Architecture.SKIP or not self.blocks
        self.from_image = (
            Conv(channels, last.channels, kernel=1, clamp=clamp) if reads_image else None
        )
        self.conv = Conv(last.channels + self.maps, last.channels, kernel=3, clamp=clamp)
        self.dense = Linear(last.channels * last.height * last.width, last.channels, activate=True)
        self.out = Linear(last.channels, label_width or 1)
        self.mapping = None
        if label_dim:
            self.mapping = MappingNetwork(
                z_dim=0,
                label_dim=label_dim,
                w_dim=label_width,
                num_ws=None,
                layers=config.label_layers,
                width=config.label_mapping_width,
                embedding=config.label_embedding_width,
            )
        self.block_dtype = torch.float32

    def forward(
        self, image: Float[Tensor, "n o hh ww"], label: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n 1"]:
        """Logits; positive means that the image looks real.

        Args:
            image: images of this modality, in [-1, 1].
            label: one-hot classes or label vectors of a conditional network.

        Raises:
            UserError: images or labels do not fit the network.
        """
        return self.judged(image, label)[0]

    def judged(
        self, image: Float[Tensor, "n o hh ww"], label: Float[Tensor, "n c"] | None = None
    ) -> tuple[Float[Tensor, "n 1"], list[Tensor]]:
        """Logits as `forward` gives them, and the features behind each block, the finest first."""
        image = require_image(image, self.image_shape)
        image = image.contiguous(memory_format=torch.channels_last)
        x: Tensor | None = None
        features: list[Tensor] = []
        for block in self.blocks:
            assert isinstance(block, DiscriminatorBlock), "blocks hold nothing else"
            x = block(x, image, self.block_dtype)
            assert x is not None, "a block gives features"
            features.append(x)
            if self.from_image is not None:
                image = resample.downsample(image)
        return self._epilogue(x, image, label), features

    def layers(self) -> list[nn.Module]:
        """The layers in front of the epilogue, from the image inwards, as Freeze-D counts them."""
        parts: list[nn.Module | None] = []
        for block in self.blocks:
            assert isinstance(block, DiscriminatorBlock), "blocks hold nothing else"
            parts += [block.from_image, block.conv0, block.conv1, block.skip]
        return [part for part in parts if part is not None]

    def _epilogue(self, x: Tensor | None, image: Tensor, label: Tensor | None) -> Tensor:
        """The epilogue at the coarsest level, in fp32."""
        if self.from_image is not None:
            seen = self.from_image(image)
            x = seen if x is None else x.float() + seen
        assert x is not None, "without blocks the epilogue reads the image"
        x = x.float()
        if self.maps:
            x = torch.cat((x, minibatch_deviation(x, self.group, self.maps)), dim=1)
        x = self.conv(x)
        x = self.out(self.dense(x.contiguous().flatten(1)))
        if self.mapping is None:
            return x
        condition = self.mapping(None, label)
        return (x * condition).sum(1, keepdim=True) / math.sqrt(condition.shape[1])
