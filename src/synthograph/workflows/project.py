"""Projection of images into the latent space of a generator."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.parts import Part
from synthograph.core.animations import check_animation
from synthograph.core.commands import TYPED
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import refuse_unwritable_folder
from synthograph.core.outputs import is_packed, refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features.packaged import RANDOM
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.report.projections import table
from synthograph.report.words import several
from synthograph.results.projection import (
    NO_ANONYMISATION,
    ProjectionMethod,
    Projections,
)
from synthograph.sampling.folder import NOTE, Unfinished
from synthograph.sampling.latents import Rendering, check_rendering
from synthograph.sampling.projection import Projector
from synthograph.workflows.latent_inputs import open_network
from synthograph.workflows.latent_requests import ProjectRequest
from synthograph.workflows.processes import in_parts
from synthograph.workflows.project_files import RESULT, SHEET, TABLE, Outputs
from synthograph.workflows.project_search import (
    FRAMES,
    make_projector,
    plan_search,
    reported_distance,
)
from synthograph.workflows.project_targets import open_targets
from synthograph.workflows.tables import worded_lines


@dataclass(frozen=True, repr=False)
class ProjectResult(Result):
    """Projections that were written.

    Attributes:
        outdir: their folder.
        found: all of them; None where other parts are not done yet.
        part: of which part the targets of this command are, such as 2/4; None for all.
        done: how many these are.
        left_out: which files could not be read, in words.
    """

    outdir: Path
    found: Projections | None
    part: str | None = None
    done: int = 0
    left_out: str = ""

    def lines(self) -> Iterator[str]:
        """How near they come, by split, and what they are not."""
        if self.left_out:
            yield f"warning: {self.left_out}"
        if self.found is None:
            yield f"{self.outdir}: {several(self.done, 'target')} of part {self.part}"
            return
        yield from worded_lines(table(self.found))
        yield f"note: {NO_ANONYMISATION}"
        yield f"{self.outdir}: {RESULT}, {TABLE}, {SHEET}, and NAME.npz of every target"


def run(request: ProjectRequest, *, progress: Progress) -> ProjectResult | None:
    """Project images of an archive, or image files.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: an option breaks a rule, targets do not fit the network, or something is in the
            way.
        StoppedError: a signal came; it names the command that goes on.
        ProcessesError: one of several processes ended early.
    """
    refuse_other_kinds(request.outdir, "--outdir")
    if is_packed(request.outdir):
        raise UserError(
            f"--outdir {request.outdir}: projections are files in a folder: name a folder"
        )
    refuse_unwritable_folder(request.outdir)
    part = None if request.part is None else Part.parse(request.part)
    snapshot = open_network(request.network, progress)
    style_family(snapshot.info.family)
    check_rendering(snapshot, Rendering())
    _refuse_video(request, snapshot)
    projector, reported = make_projector(request, snapshot), reported_distance(request, snapshot)
    if reported.perceptual.indicative:
        progress.log(f"note: distances by {RANDOM} are indicative, since it was never trained")
    reference = None if request.reference is None else Projections.load(request.reference)
    method = _method(request, projector)
    if reference is not None:
        now = (snapshot.sha256, reported.perceptual.name, *_way(method))
        _refuse_other_reference(request, reference, now)
    with open_targets(request, snapshot, progress) as targets:
        own = range(len(targets)) if part is None else part.numbers(len(targets))
        if request.dry_run:
            if own:
                plan_search(request, projector, targets, len(own), progress)
            return None
        outputs = Outputs(request.outdir, targets, snapshot, reported, projector.device)
        unfinished = _begin(request, outputs, method, part)
        if request.gpus > 1 and part is None:
            words = request.model_copy(update={"network": snapshot.path}).command_words()
            in_parts(words, request.command_line(), request.gpus)
            unfinished.resume()
        left = own[unfinished.done :]
        if left:
            search = plan_search(request, projector, targets, len(left), progress)
            try:
                search.run(outputs, left, progress.track)
            except StoppedError as stopped:
                raise StoppedError(f"{stopped}. Continue with: {request.command_line()}") from None
        found, inner = None, part is not None and unfinished.whole.exists()  # of several processes
        if not inner and all((request.outdir / name).exists() for name in outputs.records):
            whole = request.model_copy(update={"part": None})
            found = outputs.finish(method, reference, whole.own_line())
        unfinished.finish()
    return ProjectResult(request.outdir, found, request.part, len(own), targets.left_out)


def _refuse_video(request: ProjectRequest, snapshot: Snapshot) -> None:
    """Refuse videos that could not be written, before the search."""
    if request.video is not None:
        spec = snapshot.info.spec
        size = (spec.height, 2 * spec.width * len(spec.modalities))
        file = request.outdir / f"NAME.{request.video}"
        check_animation(file, FRAMES + 1, size, option="--video")


def _method(request: ProjectRequest, projector: Projector) -> ProjectionMethod:
    tunes = {"tuning_steps": request.tuning_steps} if request.space == "pti" else {}
    return ProjectionMethod(
        space=request.space,
        minimised=projector.distance.name,
        steps=request.steps,
        seed=request.seed,
        precision=projector.precision,
        **tunes,
    )


def _begin(
    request: ProjectRequest, outputs: Outputs, method: ProjectionMethod, part: Part | None
) -> Unfinished:
    """Claim the folder for these targets, or go on in it."""
    targets = outputs.targets
    asked = [targets.files, targets.labels, targets.names, targets.source.archive.images_hash]
    command = {
        TYPED: request.command_line(),
        "project": outputs.snapshot.sha256,
        "targets": hashlib.sha256(json.dumps(asked).encode()).hexdigest(),
        "method": method.tree(),
        "distance": outputs.reported.perceptual.name,
        "video": request.video,
    }
    done = request.outdir / RESULT
    if done.exists() and not any(request.outdir.glob(f"{NOTE}*.json")):
        raise UserError(f"{request.outdir} holds finished projections: choose another --outdir")
    unfinished = Unfinished(request.outdir, command, outputs.records, part=part, verb="project")
    unfinished.resume()
    return unfinished


def _way(method: ProjectionMethod) -> tuple[str, ...]:
    """How projections were found."""
    return method.space, method.minimised, str(method.steps), str(method.tuning_steps)


def _refuse_other_reference(
    request: ProjectRequest, reference: Projections, now: tuple[str, ...]
) -> None:
    """Refuse projections that distances cannot be compared with.

    Args:
        request: names their file.
        reference: what it holds.
        now: hash of the network, distance and `_way` of the projections to be.

    Raises:
        UserError: they are of another network, or were found or measured in another way.
    """
    then = (reference.network_sha256, reference.distance_name, *_way(reference.method))
    names = ("network", "distance", "space", "minimised distance", "steps", "tuning steps")
    for name, theirs, ours in zip(names, then, now, strict=True):
        if theirs != ours:
            raise UserError(
                f"--reference {request.reference}: its {name} is {theirs:.30}, here it is "
                f"{ours:.30}: project held-out images in the same way first"
            )
