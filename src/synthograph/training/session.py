"""One training step, and everything that it works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from synthograph.archive.stream import TrainingStream
from synthograph.core.errors import DivergedError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Batch, Family, LossTerms, Phase
from synthograph.models.snapshot import SnapshotInfo
from synthograph.ops.augment import AugmentPipe
from synthograph.training.augmentation import set_strength
from synthograph.training.config import RunConfig
from synthograph.training.ema import ema_decay, update_ema
from synthograph.training.state import TrainingState


@dataclass
class Session:
    """Everything that training works on; `setup` makes it.

    Attributes:
        config: the resolved configuration.
        spec: the images.
        family: the model's family.
        phases: what a step does.
        state: what a step changes.
        pipe: augmentation, or None.
        stream: training images.
        streams: random streams.
        device: where it computes.
        info: the document for snapshots, without the images seen.
    """

    config: RunConfig
    spec: ImageSpec
    family: Family
    phases: Sequence[Phase]
    state: TrainingState
    pipe: AugmentPipe | None
    stream: TrainingStream
    streams: Streams
    device: torch.device
    info: SnapshotInfo

    def batch(self, count: int) -> Batch:
        """The next `count` training images on the device."""
        first = self.state.progress.images
        indices = torch.arange(first, first + count)
        reals, labels = self.stream.batch(first, count)
        fakes = self.stream.draw_labels(indices)
        to = self.device
        return Batch(reals.to(to), labels.to(to), fakes.to(to), indices.to(to), self.streams)

    def step(self) -> str | None:
        """One training step: every phase that is due, the average, the augmentation's strength.

        Returns:
            An alarm for the log, or None.
        """
        progress, controller = self.state.progress, self.state.controller
        set_strength(self.pipe, controller.p)
        batch = self.batch(self.config.training.batch)
        for phase in self.phases:
            if progress.steps % phase.interval == 0:
                self.run_phase(phase, batch)
        progress.steps += 1
        progress.images += len(batch)
        decay = ema_decay(self.config.training, progress.images)
        update_ema(self.state.ema, self.state.networks.generator, decay)
        return controller.after_step(progress.steps, len(batch))

    def run_phase(self, phase: Phase, batch: Batch) -> None:
        """Accumulate a phase's gradients over the shares of a batch and step its optimiser once."""
        self.state.networks.select(phase.key)
        optimiser = self.state.optimisers[phase.key]
        optimiser.zero_grad(set_to_none=True)
        share = self.config.training.batch_gpu
        done: list[LossTerms] = []
        for start in range(0, len(batch), share):
            part = batch.take(slice(start, start + share))
            terms = phase.loss(part)
            if terms.loss is not None:
                (terms.loss * (len(part) / len(batch))).backward()
            done.append(terms)
            self.state.moments.add_all(terms.stats)
            if terms.real_signs is not None:
                self.state.controller.observe(terms.real_signs)
        self._refuse_non_finite(phase)
        optimiser.step()
        with torch.no_grad():
            phase.absorb(_means([terms.running for terms in done]))

    def _refuse_non_finite(self, phase: Phase) -> None:
        module = self.state.networks.trainable()[phase.key]
        total = torch.zeros((), device=self.device)
        for parameter in module.parameters():
            if parameter.grad is not None:
                total = total + parameter.grad.sum()
        if not bool(torch.isfinite(total)):
            raise DivergedError(
                f"phase {phase.name} gave gradients that are not finite after "
                f"{self.state.progress.images} images. Resume the last state with --set of a lower "
                "model.optimisers.*.lr or a higher model.r1_gamma, or train with --precision fp32"
            )


def _means(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean over all images of what the shares of a batch gave."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: torch.cat([p[name] for p in parts if name in p]).mean(0) for name in names}
