"""How far two painters, or one who painted twice, agree."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthograph.annotation.agreement import agreement
from synthograph.core.errors import UserError
from synthograph.core.files import placed, refuse_output
from synthograph.core.names import nearest
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.report.words import number, several
from synthograph.results.annotations import PaintedMask, PainterAgreement
from synthograph.stats.masks import IGNORED
from synthograph.workflows.annotate_requests import AnnotateAgreementRequest
from synthograph.workflows.annotation_sets import OpenSet
from synthograph.workflows.tables import rows_lines


@dataclass(frozen=True)
class Painting:
    """The masks of one painter.

    Attributes:
        opened: the annotation set.
        painter: who; None for the masks that are learned from, whoever painted them.
    """

    opened: OpenSet
    painter: str | None

    def masks(self) -> dict[str, PaintedMask]:
        """Id of an image -> its mask."""
        found = {}
        for image in self.opened.about.images:
            own = next((m for m in image.masks if self.painter in (None, m.painter)), None)
            if own is not None:
                found[image.id] = own
        return found


@dataclass(frozen=True, repr=False)
class AnnotateAgreementResult(Result):
    """How far two paintings agree.

    Attributes:
        found: the numbers.
        out: their file, if one was asked for.
    """

    found: PainterAgreement
    out: Path | None

    def lines(self) -> Iterator[str]:
        """A row for every class, and what was compared."""
        rows = []
        for each in self.found.classes:
            ends, name = each.interval, each.of_class or "mean"
            shown = "" if ends is None else f"{number(ends.low)} to {number(ends.high)}"
            rows.append((name, number(each.dice), shown, each.images, each.missing))
        head = ("class", "Dice", "95 % interval", "images", "in one only")
        yield from rows_lines(head, rows, framed=False)
        only = self.found.only_first + self.found.only_second
        yield (
            f"{several(self.found.images, 'image')} that both painted, {only} that one did; "
            f"{self.found.ignored:.1%} of the pixels ignored"
        )
        if self.out is not None:
            yield str(self.out)


def run(request: AnnotateAgreementRequest, *, progress: Progress) -> AnnotateAgreementResult:
    """Compare the masks of two painters.

    Raises:
        UserError: a set cannot be read, both are of different images or classes, or no image was
            painted by both.
    """
    refuse_output(request.out, "--out", file=True)
    first, second = _paintings(request.first, request.second)
    _refuse_different(first, second)
    ours, theirs = first.masks(), second.masks()
    both = [name for name in ours if name in theirs]
    if not both:
        raise UserError(
            f"{request.first}: no image was painted by both; give two painters of the same images"
        )
    if all(ours[name] == theirs[name] for name in both):
        raise UserError(
            f"{request.second or request.first}: its masks are those of {request.first}, of the "
            "same painter; name another one, such as SET:anna"
        )
    stacks = []
    for painting, masks in ((first, ours), (second, theirs)):
        images = painting.opened.about.by_id()
        shown = progress.track("reading")(both, len(both))
        stacks.append(np.stack([painting.opened.mask(images[n], masks[n]) for n in shown]))
    names = [each.name for each in first.opened.about.classes]
    found = PainterAgreement(
        first=str(first.opened.folder),
        second=str(second.opened.folder),
        painters=tuple(sorted({masks[n].painter for n in both for masks in (ours, theirs)})),
        images=len(both),
        only_first=len(ours) - len(both),
        only_second=len(theirs) - len(both),
        ignored=float(((stacks[0] == IGNORED) | (stacks[1] == IGNORED)).mean()),
        classes=tuple(agreement(stacks[0], stacks[1], names, request.seed)),
        seed=request.seed,
        version=VERSION,
        command=request.command_line(),
    )
    if request.out is not None:
        found.save(placed(request.out))
    return AnnotateAgreementResult(found, request.out)


def _painting(text: str) -> Painting:
    """Of `SET` or `SET:PAINTER`.

    Raises:
        UserError: there is no such set or painter.
    """
    folder, colon, painter = text.rpartition(":")
    if not colon or Path(text).is_dir():
        return Painting(OpenSet.read(Path(text)), None)
    opened = OpenSet.read(Path(folder))
    if painter not in opened.about.painters:
        raise UserError(
            f"{text}: nobody called {painter!r:.80} painted there; "
            f"{nearest(painter, opened.about.painters)}"
        )
    return Painting(opened, painter)


def _paintings(first: str, second: str | None) -> tuple[Painting, Painting]:
    """Both; without a second one, the two painters of a set.

    Raises:
        UserError: a set cannot be read, or has not two painters.
    """
    one = _painting(first)
    if second is not None:
        return one, _painting(second)
    painters, folder = one.opened.about.painters, one.opened.folder
    if len(painters) != 2:
        raise UserError(
            f"{folder}: has masks of {several(len(painters), 'painter')}; name two, such as "
            f"{folder}:anna {folder}:ben"
        )
    mine = one.painter or painters[0]
    (other,) = (name for name in painters if name != mine)
    return Painting(one.opened, mine), Painting(one.opened, other)


def _refuse_different(first: Painting, second: Painting) -> None:
    """Refuse paintings that cannot be compared.

    Raises:
        UserError: they are of other images or classes, or the same one twice.
    """
    one, other = first.opened.about, second.opened.about
    same = first.opened.folder.resolve() == second.opened.folder.resolve()
    if same and first.painter == second.painter:
        raise UserError(f"{first.opened.folder}: is compared with itself; name two painters")
    if one.network_sha256 != other.network_sha256:
        raise UserError(
            f"{second.opened.folder}: its images are of another network than those of "
            f"{first.opened.folder}; painters are compared on the same images"
        )
    names = [[each.name for each in about.classes] for about in (one, other)]
    if names[0] != names[1]:
        raise UserError(
            f"{second.opened.folder}: has the classes {', '.join(names[1])}, and "
            f"{first.opened.folder} {', '.join(names[0])}; import both with one palette"
        )
    theirs = other.by_id()
    for image in one.images:
        if image.id in theirs and theirs[image.id].digest != image.digest:
            raise UserError(
                f"{image.id}: is another image in {second.opened.folder}; draw both sets with the "
                "same truncation"
            )
