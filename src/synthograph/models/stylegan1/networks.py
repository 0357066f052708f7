"""StyleGAN for any number of modalities: one trunk, one output head and one discriminator per
modality, of which a stage uses the levels up to its own.

Sources: Karras et al. 2018 ("Progressive growing of GANs": growth, fade, discriminator), Karras et
al. 2019 ("A style-based generator architecture": mapping, styles, noise, mixing).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, NoiseMode
from synthograph.models.inputs import require_image, require_label, require_shape, require_styles
from synthograph.models.mapped import (
    LayeredDiscriminator,
    StyleGenerator,
    StyleSynthesis,
)
from synthograph.models.stylegan1.config import StyleGAN1Config, trained_levels
from synthograph.models.stylegan2.layers import Conv, Linear
from synthograph.models.stylegan2.mapping import MappingNetwork
from synthograph.models.stylegan2.networks import Level, Noise, levels_of, minibatch_deviation
from synthograph.ops import resample, resample_nearest
from synthograph.ops.activation import LRELU_GAIN, lrelu_
from synthograph.ops.resample_nearest import enlarge, reduce

# n image, z latent, c label, s style row, w width of a style, i o channels, hh ww size, p pixels

EPS = 1e-8


class Growth(nn.Module):
    """How far networks have grown; saved with them. Others are refused when they are loaded.

    Attributes:
        level: the finest level in use, counted from the coarsest.
        fade: its share in the result, in [0, 1]; 1 at the first level that has a stage.
        trained: the levels that have a stage.
    """

    level: Tensor
    fade: Tensor

    def __init__(self, trained: range) -> None:
        super().__init__()
        self.trained = trained
        self.register_buffer("level", torch.tensor(trained.start))
        self.register_buffer("fade", torch.ones(()))
        self.register_load_state_dict_post_hook(_refuse_growth)  # type: ignore[no-untyped-call]

    def set(self, level: int, fade: float) -> None:
        """Use the levels up to this one from now on."""
        self.level.fill_(level)
        self.fade.fill_(fade)

    def get(self) -> tuple[int, float]:
        """Level and fade."""
        return int(self.level), float(self.fade)


def _refuse_growth(module: nn.Module, _: object) -> None:
    """Refuse a growth that these networks cannot have."""
    assert isinstance(module, Growth), "it is a hook of that one only"
    (level, fade), trained = module.get(), module.trained
    if level not in trained:
        raise UserError(
            f"says that its networks have grown to level {level}; theirs are {trained.start} to "
            f"{trained.stop - 1}"
        )
    if not 0 <= fade <= 1 or (level == trained.start and fade != 1):
        rule = "1, at the first level" if level == trained.start else "from 0 to 1"
        raise UserError(f"says that level {level} is faded in to {fade:g}, which must be {rule}")


class EndedGrowth(Growth):
    """Growth that goes no further, so that nobody has to look into tensors."""

    def __init__(self, level: int, fade: float) -> None:
        super().__init__(range(level, level + 1))
        self.reached = level, fade

    def get(self) -> tuple[int, float]:
        """Level and fade."""
        return self.reached


def adaptive_norm(
    x: Float[Tensor, "n c hh ww"], scale: Float[Tensor, "n c"], shift: Float[Tensor, "n c"]
) -> Float[Tensor, "n c hh ww"]:
    """Normalise every map to mean 0 and variance 1, then scale and shift it (AdaIN).

    Source: Karras et al. 2019, equation 1.
    """
    y = x.float()
    y = y - y.mean((2, 3), keepdim=True)
    factor = scale[:, :, None, None] * (y.square().mean((2, 3), keepdim=True) + EPS).rsqrt()
    return (y * factor + shift[:, :, None, None]).to(x.dtype)


class StyledLayer(nn.Module):
    """Noise with a weight per channel, bias, leaky ReLU and AdaIN, behind a convolution or, with
    `inputs` None, behind none.
    """

    noise_const: Tensor

    def __init__(self, inputs: int | None, level: Level, w_dim: int, *, up: bool = False) -> None:
        super().__init__()
        channels, self.up = level.channels, up
        self.weight = None
        if inputs is not None:
            self.weight = nn.Parameter(torch.randn(channels, inputs, 3, 3))
        self.noise_strength = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.affine = Linear(w_dim, 2 * channels)
        with torch.no_grad():
            self.affine.bias[:channels] = 1
        self.register_buffer("noise_const", torch.randn(level.height, level.width))

    def forward(self, x: Tensor, w: Float[Tensor, "n w"], noise: Noise) -> Tensor:
        """Apply the layer."""
        if self.weight is not None:
            weight = self.weight * (LRELU_GAIN / math.sqrt(self.weight[0].numel()))
            if self.up:
                x = resample_nearest.smooth(resample_nearest.conv_up(x, weight.to(x.dtype)))
            else:
                x = resample.conv(x, weight.to(x.dtype))
        drawn = noise.map_for(self.noise_const, w)
        added = self.bias[:, None, None]
        if drawn is not None:
            added = added + drawn * self.noise_strength[:, None, None]
        scale, shift = self.affine(w).chunk(2, dim=1)
        return adaptive_norm(lrelu_(x + added.to(x.dtype)), scale, shift)


class ToImage(nn.Module):
    """1x1 convolution from features to one modality, in fp32."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The modality's part of an image."""
        return resample.conv(x.float(), self.weight / math.sqrt(self.weight.shape[1]), self.bias)


class SynthesisBlock(nn.Module):
    """The two layers of one resolution and, where it has a stage, its output heads."""

    def __init__(self, inputs: int | None, level: Level, w_dim: int, heads: dict[str, int]) -> None:
        super().__init__()
        self.const = None
        if inputs is None:
            self.const = nn.Parameter(torch.ones(level.channels, level.height, level.width))
        self.layer0 = StyledLayer(inputs, level, w_dim, up=True)
        self.layer1 = StyledLayer(level.channels, level, w_dim)
        self.heads = nn.ModuleDict({m: ToImage(level.channels, c) for m, c in heads.items()})

    def forward(
        self, x: Tensor | None, ws: Float[Tensor, "n 2 w"], noise: Noise, dtype: torch.dtype
    ) -> Tensor:
        """Features of this level from those of the level below (None at the coarsest)."""
        if self.const is not None:
            x = self.const.to(dtype).expand(ws.shape[0], -1, -1, -1)
            x = x.contiguous(memory_format=torch.channels_last)
        assert x is not None, "only the coarsest level starts from a constant"
        return self.layer1(self.layer0(x, ws[:, 0], noise), ws[:, 1], noise)

    def image(self, x: Tensor) -> Tensor:
        """All modalities of this level."""
        return torch.cat([head(x) for head in self.heads.values()], dim=1)


class Synthesis(StyleSynthesis):
    """Styles to images."""

    def __init__(self, spec: ImageSpec, config: StyleGAN1Config) -> None:
        super().__init__()
        trained = trained_levels(spec, config)
        levels = levels_of(spec, config.channel_base, config.channel_max)
        self.finest, used = len(levels) - 1, levels[: trained.stop]
        inputs = [None, *[level.channels for level in used[:-1]]]
        self.blocks = nn.ModuleList(
            SynthesisBlock(i, level, config.w_dim, spec.modalities if k in trained else {})
            for k, (i, level) in enumerate(zip(inputs, used, strict=True))
        )
        self.num_ws, self.w_dim = 2 * len(used), config.w_dim
        shapes = [(level.height, level.width) for level in used for _ in range(2)]
        self.noise_shapes = tuple(shapes)
        self.growth = Growth(trained)
        self.block_dtype = torch.float32

    def forward(
        self,
        ws: Float[Tensor, "n s w"],
        *,
        noise_mode: str = NoiseMode.RANDOM,
        noise: Float[Tensor, "n p"] | None = None,
        force_fp32: bool = False,
    ) -> Float[Tensor, "n o hh ww"]:
        """Render styles as far as the networks have grown, and enlarge that to the full size.

        Args:
            ws: styles, one row per layer.
            noise_mode: "const" fixed maps, "random" fresh ones, "none".
            noise: for "random", `noise_pixels` standard normal numbers per image; None draws from
                torch's global generator.
            force_fp32: compute the blocks in fp32 whatever `block_dtype` says.

        Returns:
            Images, fp32, nominally in [-1, 1], modalities concatenated along the channels.

        Raises:
            UserError: styles or noise do not fit the network, or there is no such mode.
        """
        ws = require_styles(ws, self.num_ws, self.w_dim)
        if noise is not None:
            noise = require_shape(noise, [self.noise_pixels], "noise")
        level, fade = self.growth.get()
        maps = Noise(NoiseMode(noise_mode), noise)
        features = self.levels(ws, maps, level, torch.float32 if force_fp32 else None)
        return enlarge(self.image(features, fade), 2 ** (self.finest - level))

    def drawn(
        self, ws: Float[Tensor, "n s w"], noise_mode: str
    ) -> tuple[Float[Tensor, "n o hh ww"], list[Tensor]]:
        """Images, and the features [n, c, h, w] of every level that the networks have grown to."""
        maps = Noise(NoiseMode(noise_mode), None)
        ws = require_styles(ws, self.num_ws, self.w_dim)
        level, fade = self.growth.get()
        features = self.levels(ws, maps, level)
        return enlarge(self.image(features, fade), 2 ** (self.finest - level)), features

    def levels(
        self,
        ws: Float[Tensor, "n s w"],
        noise: Noise,
        level: int,
        dtype: torch.dtype | None = None,
    ) -> list[Tensor]:
        """Features of every level up to `level`, from the coarsest; `dtype` None stands for
        `block_dtype`.
        """
        found: list[Tensor] = []
        for k, block in enumerate(self.blocks[: level + 1]):
            below, rows = found[-1] if found else None, ws[:, 2 * k : 2 * k + 2].float()
            found.append(block(below, rows, noise, dtype or self.block_dtype))
        return found

    def image(self, features: list[Tensor], fade: float) -> Tensor:
        """The image of the finest features, faded in over that of the level below."""
        finest = len(features) - 1
        image = self._head(features, finest)
        if fade == 1:
            return image
        return torch.lerp(enlarge(self._head(features, finest - 1)), image, fade)

    def _head(self, features: list[Tensor], level: int) -> Tensor:
        block = self.blocks[level]
        assert isinstance(block, SynthesisBlock), "blocks hold nothing else"
        return block.image(features[level])


class Generator(StyleGenerator):
    """Latent and label to image: `mapping` then `synthesis`."""

    synthesis: Synthesis

    def __init__(self, spec: ImageSpec, label_dim: int, config: StyleGAN1Config) -> None:
        synthesis = Synthesis(spec, config)
        mapping = MappingNetwork(
            z_dim=config.z_dim,
            label_dim=label_dim,
            w_dim=config.w_dim,
            num_ws=synthesis.num_ws,
            layers=config.mapping_layers,
            rate=config.mapping_rate,
        )
        super().__init__(spec, label_dim, synthesis, mapping)


def _smooth_conv_down(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return resample_nearest.conv_down(resample_nearest.smooth(x), weight, bias)


class DiscriminatorBlock(nn.Module):
    """Two convolutions and a halving of the size; where the level has a stage, also the layer that
    reads its images.
    """

    def __init__(self, level: Level, outputs: int, image_channels: int | None) -> None:
        super().__init__()
        channels = level.channels
        self.from_image = _reader(image_channels, channels)
        self.conv0 = Conv(channels, channels, kernel=3)
        self.conv1 = Conv(channels, outputs, kernel=3, convolve=_smooth_conv_down)

    def forward(self, x: Tensor) -> Tensor:
        """Features at half the size."""
        return self.conv1(self.conv0(x))


def _reader(image_channels: int | None, channels: int) -> Conv | None:
    return None if image_channels is None else Conv(image_channels, channels, kernel=1)


class Discriminator(LayeredDiscriminator):
    """Image of one modality to a logit, of which a conditional one has as many as a label has
    entries, weighted by the label (Mescheder et al. 2018). Label vectors may be all zero, so with
    them one more counts for every image.
    """

    def __init__(
        self, spec: ImageSpec, modality: str, condition: Condition, config: StyleGAN1Config
    ) -> None:
        super().__init__()
        channels = spec.modalities[modality]
        trained = trained_levels(spec, config)
        levels = levels_of(spec, config.channel_base, config.channel_max)
        self.image_shape = (channels, spec.height, spec.width)
        self.finest, used = len(levels) - 1, levels[: trained.stop]
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(level, below.channels, channels if k in trained else None)
            for k, (below, level) in enumerate(zip(used[:-1], used[1:], strict=True), start=1)
        )
        last = levels[0]
        self.from_image = _reader(channels if 0 in trained else None, last.channels)
        self.group, self.label_dim = config.mbstd_group, condition.width
        self.conv = Conv(last.channels + 1, last.channels, kernel=3)
        self.dense = Linear(last.channels * last.height * last.width, last.channels, activate=True)
        always = not condition.classes  # without labels the only one
        self.out = Linear(last.channels, condition.width + always)
        self.growth = Growth(trained)
        self.block_dtype = torch.float32

    def forward(
        self, image: Float[Tensor, "n o hh ww"], label: Float[Tensor, "n c"] | None = None
    ) -> Float[Tensor, "n 1"]:
        """Scores of images of the full size, seen as far as the networks have grown.

        Args:
            image: images of this modality, in [-1, 1].
            label: one-hot classes or label vectors of a conditional network.

        Raises:
            UserError: images or labels do not fit the network.
        """
        level, fade = self.growth.get()
        image = require_image(image, self.image_shape)
        return self.judge(reduce(image, 2 ** (self.finest - level)), label, level, fade)

    def judge(self, image: Tensor, label: Tensor | None, level: int, fade: float) -> Tensor:
        """Scores of images of the size of `level`."""
        scores, _ = self.judged(image, label, level, fade)
        return scores

    def judged(
        self, image: Tensor, label: Tensor | None, level: int, fade: float
    ) -> tuple[Float[Tensor, "n 1"], list[Tensor]]:
        """Scores as `judge` gives them, and the features behind each block, the finest first."""
        image = image.contiguous(memory_format=torch.channels_last)
        x = self._read(image, level)
        features: list[Tensor] = []
        for k in range(level, 0, -1):
            x = self.blocks[k - 1](x)
            if k == level and fade < 1:
                x = torch.lerp(self._read(reduce(image), k - 1), x, fade)
            features.append(x)
        return self._epilogue(x.float(), label), features

    def layers(self) -> list[nn.Module]:
        """The layers in front of the epilogue, from the image inwards, as Freeze-D counts them."""
        parts: list[nn.Module | None] = []
        for block in reversed(self.blocks):
            assert isinstance(block, DiscriminatorBlock), "blocks hold nothing else"
            parts += [block.from_image, block.conv0, block.conv1]
        return [part for part in parts if part is not None]

    def _read(self, image: Tensor, level: int) -> Tensor:
        """Features of an image of the size of `level`."""
        reader = self.blocks[level - 1].from_image if level else self.from_image
        assert isinstance(reader, Conv), "the level has a stage"
        features: Tensor = reader(image.to(self.block_dtype))
        return features

    def _epilogue(self, x: Tensor, label: Tensor | None) -> Tensor:
        """The layers at the coarsest level, in fp32."""
        x = self.conv(torch.cat((x, minibatch_deviation(x, self.group)), dim=1))
        x = self.out(self.dense(x.contiguous().flatten(1)))
        if not self.label_dim:
            return x
        label = require_label(label, self.label_dim)
        own = (x[:, : self.label_dim] * label).sum(1, keepdim=True)
        return own + x[:, self.label_dim :].sum(1, keepdim=True)
