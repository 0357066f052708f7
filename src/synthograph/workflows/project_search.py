"""The search behind `project`: what is made small, how many targets go at once, how long it takes,
and the loop over the targets.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.devices import Precision, free_memory, is_gpu, pick_device, pick_precision
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress, Tracks
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.tensors import write_tensors
from synthograph.features import registry
from synthograph.features.lpips import PerceptualDistance
from synthograph.features.registry import default_distance, perceptual_distance
from synthograph.features.vgg16 import MIN_SIDE
from synthograph.models.snapshot import Snapshot
from synthograph.models.transfer import origin
from synthograph.report.words import duration, several
from synthograph.sampling.latents import TUNED
from synthograph.sampling.projection import Projector, Schedule, Targets
from synthograph.sampling.target_distance import TargetDistance
from synthograph.sampling.tuning import Tuning, tuned
from synthograph.workflows.latent_requests import ProjectRequest
from synthograph.workflows.project_files import Outputs
from synthograph.workflows.project_targets import TargetSet

STOPPING = "stopping; targets that are done are kept"
MOST = {False: 16, True: 64}
"""Targets at once by default, on a processor and on a GPU: more are no faster."""
SHARE = 0.5
"""Of the free memory, that targets at once may take."""
FRAMES = 100
"""Of a progress video."""
TRIALS = 2
"""Steps that are timed for the plan."""
PIXELS, AUTO = "pixels", "auto"
DISTANCES = {name.removesuffix("-distance"): name for name in registry.DISTANCES}


@dataclass(frozen=True)
class Search:
    """How targets are projected.

    Attributes:
        projector: finds styles.
        tuning: of a generator for each target; None without.
        batch: targets at once.
        video: ending of the progress video of each target; None for none.
    """

    projector: Projector
    tuning: Tuning | None
    batch: int
    video: str | None

    def run(self, outputs: Outputs, numbers: Sequence[int], tracks: Tracks) -> None:
        """Project some of the targets and write each.

        Raises:
            StoppedError: a signal came; targets that are done are kept.
        """
        steps, tunes = self.projector.schedule.steps, self.tuning.steps if self.tuning else 0
        batches = [numbers[k : k + self.batch] for k in range(0, len(numbers), self.batch)]
        total = len(batches) * steps + len(numbers) * tunes
        ticks = iter(tracks("projecting")(range(total), total))
        with StopRequest(STOPPING) as stop:

            def tick() -> None:
                next(ticks, None)
                stop.heed()

            for some in batches:
                self._batch(outputs, some, tick)
        next(ticks, None)  # the bar is done

    def _batch(self, outputs: Outputs, numbers: Sequence[int], tick: Callable[[], None]) -> None:
        targets = outputs.targets.targets(numbers, outputs.snapshot)
        every = max(1, self.projector.schedule.steps // FRAMES)
        film: list[Tensor] = []

        def watch(step: int, ws: Float[Tensor, "n s w"]) -> None:
            tick()
            if self.video is not None and step % every == 0:
                film.append(ws.cpu())

        styles = self.projector.project(targets, watch=watch)
        for place, number in enumerate(numbers):
            network = None
            if self.tuning is not None:
                network = self._tuned(
                    outputs, number, targets.take(slice(place, place + 1)), styles[[place]], tick
                )
            way = [ws[place] for ws in film]
            outputs.write(number, styles[place], tuned=network, film=way, ending=self.video)

    def _tuned(
        self,
        outputs: Outputs,
        number: int,
        target: Targets,
        ws: Float[Tensor, "1 s w"],
        tick: Callable[[], None],
    ) -> Snapshot:
        """The target's own generator, as a snapshot beside its other files."""
        assert self.tuning is not None, "the search tunes generators"
        generator = tuned(self.projector, target, ws, self.tuning, tick=tick)
        groups, images = outputs.targets.digests(number)
        known = outputs.snapshot.info
        info = known.model_copy(
            update={
                "converted_from": None,
                "initialised_from": origin(outputs.snapshot),
                # it has seen the target now, and may not be judged by it
                "group_digests": sorted({*known.group_digests, *groups}),
                "image_digests": sorted({*known.image_digests, *images}),
            }
        )
        path = outputs.folder / f"{outputs.targets.names[number]}{TUNED}"
        write_tensors(path, generator.state_dict(), info.tree())
        return replace(outputs.snapshot, path=path, info=info, generator=generator, networks=None)


def make_projector(request: ProjectRequest, snapshot: Snapshot) -> Projector:
    """What finds styles, as it is asked for.

    Raises:
        UserError: weights are missing, or images are too small for features.
    """
    device = pick_device(request.device)
    precision = pick_precision(Precision(request.precision), device)
    seen = _perceptual(request, snapshot, precision)
    return Projector(
        snapshot,
        TargetDistance(snapshot.info.spec, seen, by_features=request.distance != PIXELS),
        Schedule(steps=request.steps),
        rows_apart=request.space == "w+",
        seed=request.seed,
        device=str(device),
        precision=precision,
    )


def reported_distance(request: ProjectRequest, snapshot: Snapshot) -> TargetDistance:
    """The perceptual distance that stands in results, in fp32 whatever the search computes in."""
    found = _perceptual(request, snapshot, Precision.FP32)
    return TargetDistance(snapshot.info.spec, found)


def _perceptual(
    request: ProjectRequest, snapshot: Snapshot, precision: Precision
) -> PerceptualDistance:
    spec = snapshot.info.spec
    if min(spec.height, spec.width) < MIN_SIDE:
        raise UserError(
            f"{snapshot.path.name} makes images of {spec.width}x{spec.height}: their features need "
            f"{MIN_SIDE} pixels a side, so they cannot be projected"
        )
    name = default_distance() if request.distance in (AUTO, PIXELS) else request.distance
    return perceptual_distance(
        DISTANCES.get(name, name), device=request.device, precision=precision
    )


def plan_search(
    request: ProjectRequest,
    projector: Projector,
    targets: TargetSet,
    count: int,
    progress: Progress,
) -> Search:
    """The search with the number of targets at once that memory allows. How long it takes is
    measured in a few steps, and told.

    Args:
        request: what is asked.
        projector: finds the styles.
        targets: all of them.
        count: how many of them this process projects.
        progress: is told the plan.
    """
    if len(targets) == 1:
        projector = replace(projector, unit=1)  # it has no others to be independent of
    first = targets.targets(range(1), projector.snapshot)
    kept = projector.trial(first).kept
    batch = min(request.batch or _fitting(projector, kept, request.gpus), count)
    some = targets.targets(range(batch), projector.snapshot)
    seconds = projector.trial(some, TRIALS).seconds * -(-count // batch) * request.steps
    tuning = None
    if request.space == "pti":
        tuning = Tuning(request.tuning_steps)
        begin = time.perf_counter()
        tuned(projector, first, projector.mean_styles(first), Tuning(TRIALS))
        seconds += (time.perf_counter() - begin) / TRIALS * tuning.steps * count
    told = f"{several(count, 'target')} into {request.space} of {projector.snapshot.path.name}"
    tunes = "" if tuning is None else f", then {tuning.steps} of a generator for each"
    progress.log(f"plan: {told}, {request.steps} steps{tunes}; {batch} at once")
    progress.log(
        f"it will take about {duration(seconds / 3600)}, {duration(seconds / 3600 / count)} a "
        f"target, and {kept * batch / 2**20:.0f} MiB of memory"
    )
    return Search(projector, tuning, batch, request.video)


def _fitting(projector: Projector, kept: int, processes: int) -> int:
    """Targets at once that memory allows, and no more than pay."""
    device = torch.device(projector.device)
    free, most = free_memory(device), MOST[is_gpu(device)]
    if free is None:
        return most
    units = int(SHARE * free / processes) // (kept * projector.unit)
    return projector.unit * max(1, min(most // projector.unit, units))
