"""An archive of procedural test objects whose truth is known."""

from synthograph.archive.prepare import PrepareOptions, prepare
from synthograph.archive.writer import refuse_destination
from synthograph.core.commands import TYPED
from synthograph.core.config import calling, flatten, merge, parse_assignments
from synthograph.core.progress import Progress
from synthograph.core.request import keeping
from synthograph.sources.phantoms import PhantomOptions, make_phantoms
from synthograph.workflows.grid import draw_grid, refuse_grid
from synthograph.workflows.prepare import PrepareResult
from synthograph.workflows.requests import PhantomRequest


def run(request: PhantomRequest, *, progress: Progress) -> PrepareResult:
    """Draw the phantoms and write their archive.

    Raises:
        UserError: a setting or the destination breaks a rule.
    """
    asked = request.model_dump(include={"kind", "count", "size", "seed", "site"})
    sets = parse_assignments(request.settings)
    with calling({name: f"--set {name}" for name in flatten(sets, sections=True)}):
        options = PhantomOptions.parse(merge(asked, sets))
    refuse_destination(request.dest)
    refuse_grid(request.grid)
    phantoms = make_phantoms(options)
    summary = prepare(
        phantoms.items,
        request.dest,
        PrepareOptions(classes=phantoms.classes, invariances=list(phantoms.invariances)),
        command={TYPED: request.command_line(), "phantom": options.recorded()},
        track=progress.track(f"drawing {request.kind} phantoms"),
    )
    if request.grid is not None:
        with keeping(PrepareResult(request.dest, summary)):
            draw_grid(request.dest, request.grid)
    return PrepareResult(request.dest, summary, request.grid)
