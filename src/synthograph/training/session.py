"""One training step, and everything that it works on."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.stream import TrainingStream
from synthograph.core.devices import is_gpu
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Batch, Family, LossTerms, Phase, Stage
from synthograph.models.snapshot import SnapshotInfo
from synthograph.ops.augment import AugmentPipe
from synthograph.training.augmentation import set_strength
from synthograph.training.config import RunConfig
from synthograph.training.distributed import Team, concatenate_terms
from synthograph.training.ema import ema_decay, update_ema
from synthograph.training.state import TrainingState


@dataclass
class Session:
    """Everything that training works on; `setup` makes it.

    Attributes:
        config: resolved.
        phases: what a step does.
        state: what a step changes.
        rows: training images, as rows of their archive.
        info: the document for snapshots, without the images seen.
        data: digest of the training images, groups and labels, in their order.
        held_out: the images that choose the best snapshot.
        microbatch: images computed at once where the batch is as configured, and as many times
            more as a stage has larger batches; less than configured after memory ran out.
        rate_factor: factor of all learning rates, less than 1 after rollbacks.
        alarms: warnings of the step in progress.
    """

    config: RunConfig
    spec: ImageSpec
    family: Family
    phases: Sequence[Phase]
    state: TrainingState
    pipe: AugmentPipe | None
    rows: ArchiveRows
    stream: TrainingStream
    streams: Streams
    device: torch.device
    info: SnapshotInfo
    data: str
    held_out: ArchiveRows
    team: Team = field(default_factory=Team)
    microbatch: int = 0
    rate_factor: float = 1.0
    alarms: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.microbatch = self.microbatch or self.config.training.batch_gpu

    @cached_property
    def held_out_digest(self) -> str:
        """Of the images that choose, in any order."""
        labels = (row.label or "" for row in self.held_out.rows)
        seen = sorted(zip(self.held_out.digests, labels, strict=True))
        return hashlib.sha256(json.dumps(seen).encode()).hexdigest()

    @property
    def stage(self) -> Stage:
        """The family's schedule for the next step."""
        return self.family.schedule(self.config.model, self.spec, self.state.progress.images)

    @property
    def grown(self) -> bool:
        """See `Family.grown`."""
        return self.family.grown(self.config.model, self.spec, self.state.progress.images)

    @property
    def batch_size(self) -> int:
        """Images of the next step."""
        return self.stage.batch_scale * self.config.training.batch

    def batch(self, count: int) -> Batch:
        """This process's part of the next `count` training images, on the device."""
        own = self.team.rank_slice(count, self.config.group)
        step_indices = range(self.state.progress.images, self.state.progress.images + count)
        first = step_indices[own.start]
        indices = torch.arange(first, first + len(own))
        reals, labels = self.stream.batch(first, len(own), self.device)
        synthetic = self.stream.draw_labels(indices).to(self.device)
        return Batch(reals, labels, synthetic, indices, self.streams, step_indices, self.stage)

    def step(self) -> list[str]:
        """One training step: every phase that is due, the average, the augmentation's strength.

        Returns:
            Alarms for the log.
        """
        progress, controller = self.state.progress, self.state.controller
        self.alarms = []
        set_strength(self.pipe, controller.p)
        stage, size = self.stage, self.batch_size
        self._set_rates(stage)
        batch = self.batch(size)
        for phase in self.phases:
            if progress.steps % phase.interval == 0:
                self.run_phase(phase, batch)
        progress.steps += 1
        progress.images += size
        decay = ema_decay(self.config.training, progress.images, size)
        update_ema(self.state.ema, self.state.networks.generator, decay)
        if self.stage.optimiser_run != stage.optimiser_run:
            for optimiser in self.state.optimisers.values():
                optimiser.state.clear()
        alarm = controller.after_step(progress.steps, size)
        return self.alarms if alarm is None else [*self.alarms, alarm]

    def _set_rates(self, stage: Stage) -> None:
        """Learning rates of a step: the family's, scaled by its schedule and by rollbacks."""
        for key, adam in self.family.optimiser_rates(self.config.model).items():
            rate = adam.lr * self.rate_factor * stage.rate_scale.get(key, 1.0)
            for group in self.state.optimisers[key].param_groups:
                group["lr"] = rate

    def run_phase(self, phase: Phase, batch: Batch) -> None:
        """Sum a phase's gradients over microbatches and processes, and step its optimiser once.

        Where the gradients are not finite the optimiser is not stepped, and that is counted.
        """
        self.state.networks.select(phase.key)
        terms = self.team.gather(concatenate_terms(self._accumulate(phase, batch)))
        self.team.sum_gradients(self.state.networks.trained[phase.key])
        self.state.moments.add_all(terms.stats)
        if terms.real_signs is not None:
            self.state.controller.observe(terms.real_signs)
        if not self._finite(phase):
            self.state.progress.non_finite += 1
            self.state.moments.add(f"Nonfinite/{phase.name}", torch.ones(1))
            return
        self.state.optimisers[phase.key].step()
        means = {name: rows.mean(0) for name, rows in terms.batch_stats.items() if len(rows)}
        if means:
            with torch.no_grad():
                phase.update_running_stats(means)

    def _accumulate(self, phase: Phase, batch: Batch) -> list[LossTerms]:
        """Gradients of all microbatches; of smaller ones, with the same sum, if memory runs out.

        Raises:
            UserError: not even the smallest microbatch fits.
        """
        while True:
            try:
                return self._run_microbatches(phase, batch)
            except torch.OutOfMemoryError:
                smaller = self._smaller_microbatch()
            # outside of the handler, which holds on to the tensors of the failed microbatch
            self.alarms.append(
                f"out of memory with {self.microbatch} images at once; from now on {smaller}, "
                f"which gives the same gradients (--batch-gpu {smaller} starts with it)"
            )
            self.microbatch = smaller
            if is_gpu(self.device):
                torch.cuda.empty_cache()

    def _run_microbatches(self, phase: Phase, batch: Batch) -> list[LossTerms]:
        self.state.optimisers[phase.key].zero_grad(set_to_none=True)
        done: list[LossTerms] = []
        at_once = self.microbatch * batch.stage.batch_scale
        for start in range(0, len(batch), at_once):
            part = batch.take(slice(start, start + at_once))
            terms = phase.loss(part)
            if terms.loss is not None:
                (terms.loss * (len(part) / len(batch.step_indices))).backward()
            done.append(terms.detached())
        return done

    def _smaller_microbatch(self) -> int:
        """At most half of the present microbatch, made of whole groups; divides the batch."""
        batch = self.config.training.batch
        group = min(self.config.group, self.microbatch)
        fitting = [s for s in range(group, self.microbatch // 2 + 1, group) if batch % s == 0]
        if not fitting:
            raise UserError(
                f"{self.device} has too little memory for {self.microbatch} images at once, and "
                f"fewer would cut the groups of {group} images of the discriminator: use a smaller "
                "--batch, network (--set model.channel_max=...) or image size"
            )
        return fitting[-1]

    def _finite(self, phase: Phase) -> bool:
        """Whether all gradients that the phase's optimiser would use are finite."""
        module = self.state.networks.trained[phase.key]
        gradients = [p.grad for p in module.parameters() if p.grad is not None]
        # the sum of absolute values: on a processor the largest takes four times as long
        return bool(torch.nn.utils.get_total_norm(gradients, 1.0).isfinite())
