"""A linear direction in the style space for a column of the manifest, and what moves along it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.files import new_folder, refuse_output, write_bytes, write_text
from synthograph.core.interval import Interval
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.report.words import number, several
from synthograph.results.directions import Directions, FitQuality
from synthograph.sampling.directions import Direction, moved
from synthograph.sampling.latents import Latents, Space, labels_of, render, styles
from synthograph.workflows.direction_search import DirectionSearch
from synthograph.workflows.latent_inputs import class_of, read_latents
from synthograph.workflows.latent_requests import DirectionsRequest
from synthograph.workflows.tables import csv_text, table_lines

SHOWN = 6
"""Samples on the contact sheet."""
FILES = ("directions.json", "steps.csv", "steps.png", "direction.npz", "moved.npz")


@dataclass(frozen=True, repr=False)
class DirectionsResult(Result):
    """A direction, and the folder it was written to."""

    directions: Directions
    outdir: Path

    def lines(self) -> Iterator[str]:
        """What moves along it, how well it fits, and files."""
        found = self.directions
        yield from table_lines(_table(found))
        yield f"found on {found.found_on}: {_worded(found.fit)}"
        yield (
            f"along {found.shuffled} directions fitted to shuffled values, {found.title} changes "
            f"by at most {number(found.chance)}"
        )
        yield found.sentence
        yield from (f"note: {note}" for note in found.notes)
        yield f"{self.outdir}: {', '.join(FILES)}"


def _table(found: Directions) -> Table:
    ends = found.moved[0].steps
    title = f"change from step {ends[0].step:+g} to {ends[-1].step:+g} towards {found.title}"
    table = Table(box=box.SIMPLE, pad_edge=False, title=title, title_justify="left")
    table.add_column("column")
    for head in ("change", "95 % interval", "in real SDs", "cosine", "reader, held out"):
        table.add_column(head, justify="right")
    for each in found.moved:
        table.add_row(
            Text(each.title),
            number(each.change),
            _bounds(each.interval),
            f"{each.in_spreads:+.2f}",
            "–" if each.cosine is None else f"{each.cosine:+.2f}",
            f"{each.scorer.measure} {each.scorer.value:.2f}",
        )
    return table


def _bounds(ends: Interval | None) -> str:
    return "–" if ends is None else f"{number(ends.low)} to {number(ends.high)}"


def _worded(fit: FitQuality) -> str:
    groups = f" of {several(fit.groups, 'group')}" if fit.groups < fit.images else ""
    bounds = "" if fit.interval is None else f" ({fit.interval.low:.2f} to {fit.interval.high:.2f})"
    return f"{fit.measure} {fit.value:.2f}{bounds} on {several(fit.images, 'latent')}{groups}"


def run(request: DirectionsRequest, *, progress: Progress) -> DirectionsResult | None:
    """Find a direction, and measure what moves along it.

    Args:
        request: which column, of which archive, in which network.
        progress: who listens meanwhile.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: a column that is missing or cannot be read from the images, images of another
            kind than the network's, latents without a class, or a folder that is there.
    """
    refuse_output(request.outdir, "--outdir")
    search = DirectionSearch.open(request, progress)
    shown = None
    if request.latents is not None:
        wanted = class_of(search.snapshot, request.of_class)
        shown = read_latents(request.latents, search.snapshot, progress)
        shown = shown.of_class(wanted, str(request.latents))
        labels_of(search.snapshot, shown, search.rendering)  # refused now or never
    for line in search.plan():
        progress.log(line)
    if request.dry_run:
        return None
    found, direction = search.measure()
    result = DirectionsResult(found, request.outdir)
    with keeping(result), new_folder(request.outdir) as folder:
        found.save(folder / "directions.json")
        write_text(folder / "steps.csv", _csv(found))
        _draw(folder, search, direction, shown)
    return result


def _csv(found: Directions) -> str:
    rows = []
    for each in found.moved:
        for step in each.steps:
            ends = step.interval
            bounds = ("", "") if ends is None else (f"{ends.low:.6g}", f"{ends.high:.6g}")
            numbers = (f"{step.step:g}", f"{step.change:.6g}", *bounds)
            rows.append((each.column, each.level, *numbers))
    return csv_text(("column", "level", "step", "change", "low", "high"), rows)


def _draw(
    folder: Path, search: DirectionSearch, direction: Direction, given: Latents | None
) -> None:
    """A sheet of steps, and the latents behind it; and the way along the direction through the
    mean of the samples.
    """
    snapshot, rendering, steps = search.snapshot, search.rendering, search.lengths
    start = search.drawn(search.request.num, SHOWN)[0] if given is None else given
    lengths = [step * direction.spread for step in steps]
    ways = moved(styles(snapshot, start, rendering), direction.vector, lengths)
    owners = [place for place in range(len(start)) for _ in steps]
    shown = Latents(
        ways,
        Space.W,
        tuple(start.labels[place] for place in owners),
        tuple(f"{n}_{s:+g}" for n in start.names for s in steps),
        tuple(start.seeds[place] for place in owners),
        found_on=start.found_on | search.found_on,
    )
    shown.save(folder / "moved.npz", snapshot)
    mean = search.samples[1].mean(0, keepdim=True)
    along = moved(mean, direction.vector, lengths)
    names = tuple(f"step{step:+g}" for step in steps)
    nothing = (None,) * len(steps)
    Latents(along, Space.W, nothing, names, (0,) * len(steps), found_on=search.found_on).save(
        folder / "direction.npz", snapshot
    )
    modalities = snapshot.info.spec.modalities.values()
    drawn = render(snapshot, ways, shown.seeds, rendering)
    tiles = [as_rgb(pixels, modalities) for pixels in drawn]
    rows = [
        (" ".join(filter(None, (name, label))), tiles[at * len(steps) : (at + 1) * len(steps)])
        for at, (name, label) in enumerate(zip(start.names, start.labels, strict=True))
    ]
    sheet = contact_sheet(rows, heads=[f"{step:+g}" for step in steps])
    write_bytes(folder / "steps.png", sheet)
