"""One training step, and everything that it works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from synthograph.archive.stream import TrainingStream
from synthograph.core.errors import UserError
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
        data: digest of the training images, groups and labels, in their order.
        share: images computed at once; smaller than configured after memory ran out.
        alarms: what the present step has to say.
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
    data: str
    share: int = 0
    alarms: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.share = self.share or self.config.training.batch_gpu

    def batch(self, count: int) -> Batch:
        """The next `count` training images on the device."""
        first = self.state.progress.images
        indices = torch.arange(first, first + count)
        reals, labels = self.stream.batch(first, count)
        fakes = self.stream.draw_labels(indices)
        to = self.device
        return Batch(reals.to(to), labels.to(to), fakes.to(to), indices.to(to), self.streams)

    def step(self) -> list[str]:
        """One training step: every phase that is due, the average, the augmentation's strength.

        Returns:
            Alarms for the log.
        """
        progress, controller = self.state.progress, self.state.controller
        self.alarms.clear()
        set_strength(self.pipe, controller.p)
        batch = self.batch(self.config.training.batch)
        for phase in self.phases:
            if progress.steps % phase.interval == 0:
                self.run_phase(phase, batch)
        progress.steps += 1
        progress.images += len(batch)
        decay = ema_decay(self.config.training, progress.images)
        update_ema(self.state.ema, self.state.networks.generator, decay)
        alarm = controller.after_step(progress.steps, len(batch))
        return [*self.alarms, *([] if alarm is None else [alarm])]

    def run_phase(self, phase: Phase, batch: Batch) -> None:
        """Accumulate a phase's gradients over the shares of a batch and step its optimiser once.

        Where the gradients are not finite the optimiser is not stepped, and that is counted.
        """
        self.state.networks.select(phase.key)
        done = self._accumulate(phase, batch)
        for terms in done:
            self.state.moments.add_all(terms.stats)
            if terms.real_signs is not None:
                self.state.controller.observe(terms.real_signs)
        if not self._finite(phase):
            self.state.progress.non_finite += 1
            self.state.moments.add(f"Nonfinite/{phase.name}", torch.ones(1))
            return
        self.state.optimisers[phase.key].step()
        with torch.no_grad():
            phase.absorb(_means([terms.running for terms in done]))

    def _accumulate(self, phase: Phase, batch: Batch) -> list[LossTerms]:
        """Gradients of all shares; when memory runs out, of smaller shares, which sum to the same.

        Raises:
            UserError: not even the smallest share fits.
        """
        while True:
            try:
                return self._shares(phase, batch)
            except torch.OutOfMemoryError:
                smaller = self._smaller_share(len(batch))
            # outside of the handler, which holds on to the tensors of the failed share
            self.alarms.append(
                f"out of memory with {self.share} images at once; from now on {smaller}, which "
                f"gives the same gradients (--batch-gpu {smaller} starts with it)"
            )
            self.share = smaller
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _shares(self, phase: Phase, batch: Batch) -> list[LossTerms]:
        self.state.optimisers[phase.key].zero_grad(set_to_none=True)
        done: list[LossTerms] = []
        for start in range(0, len(batch), self.share):
            part = batch.take(slice(start, start + self.share))
            terms = phase.loss(part)
            if terms.loss is not None:
                (terms.loss * (len(part) / len(batch))).backward()
            done.append(terms.detached())
        return done

    def _smaller_share(self, batch: int) -> int:
        """At most half of the present share, made of whole minibatch-std groups."""
        group = min(self.config.group, self.share)
        fitting = [s for s in range(group, self.share // 2 + 1, group) if batch % s == 0]
        if not fitting:
            raise UserError(
                f"{self.device} has too little memory for {self.share} images at once, and fewer "
                f"would cut the groups of {group} images of the discriminator: use a smaller "
                "--batch, network (--set model.channel_max=...) or image size"
            )
        return fitting[-1]

    def _finite(self, phase: Phase) -> bool:
        """Whether all gradients that the phase's optimiser would use are finite."""
        module = self.state.networks.trainable()[phase.key]
        total = torch.zeros((), device=self.device)
        for parameter in module.parameters():
            if parameter.grad is not None:
                total = total + parameter.grad.sum()
        return bool(torch.isfinite(total))


def _means(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean over all images of what the shares of a batch gave."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: torch.cat([p[name] for p in parts if name in p]).mean(0) for name in names}
