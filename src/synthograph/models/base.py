"""The family interface: all that the engine, sampling and metrics know of a model.

A family builds networks from an image specification, defines the phases of a training step and the
schedule, and draws samples. Everything else about a model stays in its
own folder.
"""

import abc
import copy
import enum
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, NoReturn, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.config import AdamConfig, ModelConfig


@dataclass(frozen=True)
class Condition:
    """The labels of a conditional model.

    Attributes:
        classes: class names in index order; a label is then one-hot. Empty without classes.
        width: width of the label vector; 0 for an unconditional model.
    """

    classes: tuple[str, ...] = ()
    width: int = 0

    def one_hot(self, name_or_index: str) -> Float[Tensor, " c"]:
        """The label of a class given by name or by index.

        Raises:
            UserError: no such class, or the model is not conditional on classes.
        """
        if not self.width:
            raise UserError(
                f"class {name_or_index!r}: this model is not conditional, leave the class out"
            )
        if not self.classes:
            raise UserError(
                f"class {name_or_index!r}: this model was trained on label vectors of {self.width} "
                "values, not on classes; use it from Python (synthograph.load), which takes vectors"
            )
        if name_or_index in self.classes:
            index = self.classes.index(name_or_index)
        elif name_or_index.isdecimal() and int(name_or_index) < self.width:
            index = int(name_or_index)
        else:
            raise UserError(
                f"class {name_or_index!r} is unknown: {nearest(name_or_index, self.classes)}"
            )
        return torch.eye(self.width)[index]


class NoiseMode(enum.StrEnum):
    """Where the per-pixel noise of the synthesis comes from."""

    CONST = "const"
    RANDOM = "random"
    NONE = "none"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UserError(f"noise mode {value!r} is unknown: {nearest(str(value), cls)}")


class TruncationCenter(enum.StrEnum):
    """What truncation pulls styles to."""

    GLOBAL = "global"
    CLASS = "class"

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UserError(f"truncation center {value!r} is unknown: {nearest(str(value), cls)}")


@runtime_checkable
class FeatureTaps(Protocol):
    """Inner pictures of a frozen network, through which a family sees images."""

    def __call__(
        self, images: Float[Tensor, "n c h w"], size: tuple[int, int], strides: Sequence[int]
    ) -> list[Tensor]:
        """Pictures of images in [-1, 1], the finest first; gradients flow to the images.

        Args:
            images: of any size and number of channels.
            size: height and width that they are brought to, multiples of these strides.
            strides: which pictures, as `FrozenFeatures.strides` has them.
        """
        ...


@dataclass
class Networks:
    """What a family trains: a generator, whose EMA copy is what gets shared, and a discriminator
    for each modality.

    Attributes:
        buffers: further tensors that belong to the training state, such as a running mean.
        trained: optimiser key -> the module whose parameters that optimiser steps.
        frozen: parts of the discriminators that are not trained (Freeze-D).
        fp32_penalties: compute penalties in fp32 whatever the precision of the blocks; set where
            half precision made them overflow.
        taps: the frozen network of `ModelConfig.frozen_features`, set by training; it is no part of
            the state.
    """

    generator: nn.Module
    discriminators: nn.ModuleDict
    buffers: dict[str, Tensor] = field(default_factory=dict)
    trained: dict[str, nn.Module] = field(default_factory=dict)
    frozen: list[nn.Module] = field(default_factory=list)
    fp32_penalties: bool = False
    taps: FeatureTaps | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Weights and buffers under `generator/` and `discriminators/`."""
        parts = {"generator": self.generator, "discriminators": self.discriminators}
        return {f"{p}/{name}": t for p, m in parts.items() for name, t in m.state_dict().items()}

    def select(self, key: str | None) -> None:
        """Let gradients flow to the parameters of one optimiser key only."""
        for name, module in self.trained.items():
            module.requires_grad_(name == key)
        for module in self.frozen:
            module.requires_grad_(False)


@dataclass(frozen=True)
class ModelBundle:
    """Networks with what they were built for; weights are transferred from one to another. There
    may be no discriminators.
    """

    spec: ImageSpec
    condition: Condition
    config: ModelConfig
    networks: Networks


@dataclass(frozen=True)
class ImportedModel(ModelBundle):
    """Raw networks that a family read from a foreign file, and the averaged generator."""

    ema: nn.Module


@dataclass(frozen=True)
class WeightInit:
    """The initial value of a tensor of new networks.

    Attributes:
        value: in the shape of the new tensor.
        sources: names of the source's tensors that it is computed from, the main one first; empty
            for a constant.
        how: what was done to the source's tensor, in one phrase; empty if it was copied.
    """

    value: Tensor
    sources: tuple[str, ...]
    how: str = ""


@dataclass(frozen=True)
class Stage:
    """The schedule for the step that begins at an image count.

    Attributes:
        resolution: longer side of the images that the networks make and see, in pixels.
        batch_scale: images of the step, in multiples of the batch that the run is configured for.
        rate_scale: optimiser key -> factor of its learning rate, 1 unless given.
        fade: share of the newest layers in the result, in [0, 1].
        optimiser_run: Adam forgets its averages after the last step of one number.
    """

    resolution: int
    batch_scale: int = 1
    rate_scale: Mapping[str, float] = field(default_factory=dict)
    fade: float = 1.0
    optimiser_run: int = 0


@dataclass(frozen=True)
class Batch:
    """Images of one training step: all of them, those of a rank, or a microbatch.

    Attributes:
        reals: real images [n, c, h, w] in [-1, 1].
        labels: their labels [n, width].
        synthetic_labels: labels for synthetic images, drawn from the data.
        indices: global image indices, int64 [n], on the host; all randomness is keyed by them.
        streams: random streams of the run.
        step_indices: global image indices of the whole step.
        stage: the schedule for the step.
        kept: what phases leave for later ones of the same step; see `keep`.
    """

    reals: Tensor
    labels: Tensor
    synthetic_labels: Tensor
    indices: Int64[Tensor, " n"]
    streams: Streams
    step_indices: range
    stage: Stage
    kept: dict[tuple[str, range], Sequence[Tensor]] = field(default_factory=dict, repr=False)

    def keep(self, name: str, tensors: Sequence[Tensor]) -> None:
        """Leave what was computed for these images to a later phase of the same step."""
        self.kept[name, self._places] = [tensor.detach() for tensor in tensors]

    def left(self, name: str) -> Sequence[Tensor] | None:
        """What an earlier phase of the step left for these images under that name; None where it
        left nothing, or took the images in other microbatches.
        """
        return self.kept.get((name, self._places))

    @property
    def _places(self) -> range:
        """Microbatches are images in a row."""
        first = int(self.indices[0])
        return range(first, first + len(self.indices))

    def take(self, rows: slice | Int64[Tensor, " m"]) -> "Batch":
        """The images `rows` of this batch."""
        return replace(
            self,
            reals=self.reals[rows],
            labels=self.labels[rows],
            synthetic_labels=self.synthetic_labels[rows],
            indices=self.indices[rows],
        )

    def __len__(self) -> int:
        return len(self.indices)


@dataclass(frozen=True)
class LossTerms:
    """What a phase returns: the same names for every microbatch, each with a row per image that
    takes part.

    Attributes:
        loss: scalar, mean over the images of the microbatch; None where none of them takes part.
        stats: statistic name -> one value per image.
        real_signs: signs of the logits of real images, for the augmentation controller.
        batch_stats: values per image [n, ...] whose mean over the whole batch
            `Phase.update_running_stats` receives.
    """

    loss: Tensor | None
    stats: Mapping[str, Tensor] = field(default_factory=dict)
    real_signs: Tensor | None = None
    batch_stats: Mapping[str, Tensor] = field(default_factory=dict)

    def detached(self) -> "LossTerms":
        """Without the loss, whose gradient has been taken, so that its graph is freed."""
        return replace(self, loss=None)


@dataclass(frozen=True)
class Phase:
    """One part of a training step.

    Attributes:
        name: such as `Gmain`.
        key: key of the optimiser that it steps.
        interval: the phase runs every so many steps.
        loss: microbatch -> terms; gradients are summed over microbatches before the step.
        update_running_stats: receives the batch means of `LossTerms.batch_stats` once per step.
    """

    name: str
    key: str
    interval: int
    loss: Callable[[Batch], LossTerms]
    update_running_stats: Callable[[Mapping[str, Tensor]], None] = lambda means: None


Augment = Callable[[Tensor, Batch, str], Tensor]
"""Augments images before a discriminator sees them; the identity where training uses none.

The name keeps the random numbers of one use apart from those of another.
"""


class Family(abc.ABC):
    """A kind of generative model."""

    name: ClassVar[str]
    about: ClassVar[str] = ""
    """What it is for, what it needs and what it costs, in a few sentences for users."""
    Config: ClassVar[type[ModelConfig]]

    @abc.abstractmethod
    def build(self, spec: ImageSpec, condition: Condition, config: ModelConfig) -> Networks:
        """Fresh networks on the CPU, fp32; weights come from torch's global generator."""

    @abc.abstractmethod
    def phases(self, networks: Networks, config: ModelConfig, augment: Augment) -> list[Phase]:
        """The phases of a training step, in order."""

    @abc.abstractmethod
    def optimiser_rates(self, config: ModelConfig) -> dict[str, AdamConfig]:
        """Adam settings per optimiser key, corrected for the intervals of the phases; the keys are
        those of `Networks.trained` and of `Phase.key`.
        """

    @abc.abstractmethod
    def schedule(self, config: ModelConfig, spec: ImageSpec, images_seen: int) -> Stage:
        """What holds for the step that begins at an image count, which alone decides it: a resumed
        run continues in the middle of a stage.
        """

    def grown(self, config: ModelConfig, spec: ImageSpec, images_seen: int) -> bool:
        """Whether images have their last size, and the newest layers count in full."""
        now, last = (self.schedule(config, spec, n) for n in (images_seen, sys.maxsize))
        return (now.resolution, now.fade) == (last.resolution, last.fade)

    def stage_starts(self, config: ModelConfig, spec: ImageSpec) -> Sequence[int]:
        """Image counts at which `schedule` begins another stage, 0 first. A step that begins
        before such a count is of the stage before.
        """
        return (0,)

    @abc.abstractmethod
    def sample(
        self,
        generator: nn.Module,
        z: Float[Tensor, "n z"],
        label: Tensor | None,
        *,
        truncation: float = 1.0,
        cutoff: int | None = None,
        center: TruncationCenter = TruncationCenter.GLOBAL,
        noise: NoiseMode = NoiseMode.CONST,
        seeds: Int64[Tensor, " n"] | None = None,
    ) -> Tensor:
        """Images [n, c, h, w] of the full size, fp32, nominally in [-1, 1].

        With `seeds` random noise is a function of an image's seed, so it does not depend on the
        batch; without, it comes from torch's global generator.
        """

    @abc.abstractmethod
    def set_precision(self, networks: Networks, dtype: torch.dtype) -> None:
        """Let the network blocks compute in `dtype`."""

    @abc.abstractmethod
    def discriminator_layers(self, networks: Networks) -> list[list[nn.Module]]:
        """Per discriminator the layers that can be frozen, from the image inwards."""

    @abc.abstractmethod
    def preset(self, name: str, spec: ImageSpec, gpus: int) -> JsonObject:
        """A named starting point as a part of the run configuration tree.

        Raises:
            UserError: no preset of that name.
        """

    def check(self, spec: ImageSpec, config: ModelConfig) -> None:
        """Refuse settings that each are in range but do not fit the images or each other.

        Raises:
            SettingError: there is one; its path begins inside of `config`.
        """
        return None

    def from_checkpoint(self, content: object) -> ImportedModel | None:
        """Networks from the content of a foreign file, or None where it is not of this family."""
        return None

    def portable(self, generator: nn.Module) -> nn.Module:
        """A copy of a generator for programs that cannot ask tensors what they hold: what decides
        how images are computed is a number of Python's own in it, and no operation needs to know
        how many images there are.
        """
        return copy.deepcopy(generator)

    def map_weights(self, target: ModelBundle, source: ModelBundle) -> dict[str, WeightInit]:
        """Initial weights of new networks, taken from trained ones of this family.

        Args:
            target: fresh networks; they are only looked at.
            source: trained ones.

        Returns:
            Name, as in `Networks.tensors`, to its start; names that are left out stay fresh. Unless
            a family knows better: tensors of the same name and shape.
        """
        given, wanted = source.networks.tensors(), target.networks.tensors()
        same = (n for n in wanted if n in given and given[n].shape == wanted[n].shape)
        return {name: WeightInit(given[name], (name,)) for name in same}

    def inherited_settings(
        self, config: ModelConfig, asked: JsonObject | None = None
    ) -> JsonObject:
        """The part of a model's configuration tree that networks which start from it should share,
        so that their tensors have the same shapes and mean the same.

        Args:
            config: of the networks to start from.
            asked: the user's own settings of the model, which may leave others without meaning.
        """
        return {"family": config.family, "z_dim": config.z_dim}

    def narrower(self, spec: ImageSpec, config: ModelConfig, factor: int) -> ModelConfig | None:
        """The same networks with all their channels divided by `factor`, to time what would take
        long; None where there are none.
        """
        return None

    def preset_within(self, name: str, kimg: float) -> str:
        """The preset that `name` stands for in this family, in a training of so many thousand
        images.
        """
        return name

    def preset_note(self, name: str, spec: ImageSpec) -> str | None:
        """A warning where a preset was not published for images like these, else None."""
        return None

    @abc.abstractmethod
    def preset_names(self) -> Iterable[str]:
        """Names that `preset` knows."""
