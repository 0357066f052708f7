"""A family as small as one can be, whose training changes at a stage: resolution, batch, learning
rates, fade, and optimisers that start anew. Its optimiser keys are its own.
"""

from collections.abc import Iterable
from typing import Any, Literal

import pydantic
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, softplus

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models import base
from synthograph.models.config import AdamConfig, ModelConfig

FIRST = 22
"""Images of the first stage, which its last step exceeds."""
RATES = {"painter": 0.01, "critic": 0.02}


class StagedConfig(ModelConfig):
    """Learning rates only."""

    family: Literal["staged"] = "staged"
    z_dim: int = 4
    optimisers: dict[str, AdamConfig] = pydantic.Field(
        {key: AdamConfig(lr=lr) for key, lr in RATES.items()}
    )


class Painter(nn.Module):
    """A layer per resolution, of which the finer one is faded in."""

    fade: Tensor

    def __init__(self, spec: ImageSpec, width: int, z_dim: int) -> None:
        super().__init__()
        self.spec, self.shape = spec, (spec.channels, spec.height, spec.width)
        self.coarse = nn.Linear(z_dim + width, spec.channels * spec.height * spec.width // 4)
        self.fine = nn.Linear(z_dim + width, spec.channels * spec.height * spec.width)
        self.register_buffer("fade", torch.zeros(()))

    def forward(self, z: Tensor, label: Tensor | None) -> Tensor:
        x = z if label is None else torch.cat((z, label), 1)
        channels, height, width = self.shape
        coarse = self.coarse(x).reshape(-1, channels, height // 2, width // 2)
        fine = self.fine(x).reshape(-1, *self.shape)
        return torch.lerp(interpolate(coarse, size=(height, width)), fine, self.fade)


class Critic(nn.Module):
    """One layer that reads images of the full size."""

    def __init__(self, numbers: int, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(numbers + width, 1)

    def forward(self, image: Tensor, label: Tensor) -> Tensor:
        return self.layer(torch.cat((image.flatten(1), label), 1))


class Staged(base.Family):
    """See the module."""

    name = "staged"
    Config = StagedConfig

    def build(
        self, spec: ImageSpec, condition: base.Condition, config: ModelConfig
    ) -> base.Networks:
        painter = Painter(spec, condition.width, config.z_dim)
        numbers = {name: n * spec.height * spec.width for name, n in spec.modalities.items()}
        critics = nn.ModuleDict({m: Critic(n, condition.width) for m, n in numbers.items()})
        trained = {"painter": painter, "critic": critics}
        return base.Networks(painter, critics, {"mean": torch.zeros(())}, trained)

    def phases(
        self, networks: base.Networks, config: ModelConfig, augment: base.Augment
    ) -> list[base.Phase]:
        painter, spec = networks.generator, networks.generator.spec

        def paint(batch: base.Batch, name: str) -> Tensor:
            painter.fade.fill_(batch.stage.fade)
            z = batch.streams.normal(f"{name}/z", batch.indices, (config.z_dim,))
            return augment(painter(z, batch.synthetic_labels), batch, name)

        def logits(images: Tensor, labels: Tensor, stage: base.Stage) -> Tensor:
            size = images.shape[2:]
            coarse = [side * stage.resolution // max(size) for side in size]
            seen = spec.split(interpolate(adaptive_avg_pool2d(images, coarse), size=size))
            judged = [networks.discriminators[m](part, labels) for m, part in seen.items()]
            return torch.cat(judged, 1).mean(1)

        def painting(batch: base.Batch) -> base.LossTerms:
            images = paint(batch, "painting")
            losses = softplus(-logits(images, batch.synthetic_labels, batch.stage))
            brightness = images.detach().mean((1, 2, 3))
            stats = {"Loss/painter": losses.detach()}
            return base.LossTerms(losses.mean(), stats, batch_stats={"mean": brightness})

        def judging(batch: base.Batch) -> base.LossTerms:
            with torch.no_grad():
                images = paint(batch, "judging")
            real = logits(augment(batch.reals, batch, "real"), batch.labels, batch.stage)
            made = logits(images, batch.synthetic_labels, batch.stage)
            losses = softplus(-real) + softplus(made)
            stats = {"Loss/critic": losses.detach()}
            return base.LossTerms(losses.mean(), stats, real.detach().sign())

        def remember(means: Any) -> None:
            networks.buffers["mean"].lerp_(means["mean"], 0.1)

        return [
            base.Phase("painting", "painter", 1, painting, remember),
            base.Phase("judging", "critic", 1, judging),
        ]

    def optimiser_rates(self, config: ModelConfig) -> dict[str, AdamConfig]:
        return dict(config.optimisers)

    def schedule(self, config: ModelConfig, spec: ImageSpec, images_seen: int) -> base.Stage:
        full = max(spec.height, spec.width)
        if images_seen < FIRST:
            return base.Stage(full // 2, batch_scale=3, rate_scale={"critic": 0.25}, fade=0.0)
        return base.Stage(
            full, batch_scale=2, fade=min((images_seen - FIRST + 1) / 20, 1.0), optimiser_run=1
        )

    def stage_starts(self, config: ModelConfig, spec: ImageSpec) -> list[int]:
        return [0, FIRST]

    def sample(self, generator: nn.Module, z: Tensor, label: Tensor | None, **_: object) -> Tensor:
        images: Tensor = generator(z, label)
        return images

    def set_precision(self, networks: base.Networks, dtype: torch.dtype) -> None:
        """Always fp32."""

    def discriminator_layers(self, networks: base.Networks) -> list[list[nn.Module]]:
        return [[critic.layer] for critic in networks.discriminators.values()]

    def preset(self, name: str, spec: ImageSpec, gpus: int) -> dict[str, Any]:
        if name not in self.preset_names():
            raise UserError(f"preset {name!r} is unknown")
        training = {"kimg": 0.05, "batch": 2, "batch_gpu": 1, "tick_kimg": 0.01, "snap": 2}
        return {"model": {"family": self.name}, "training": training}

    def preset_names(self) -> Iterable[str]:
        return ("tiny",)
