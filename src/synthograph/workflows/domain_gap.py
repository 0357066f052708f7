"""How far sets of images are from each other."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from synthograph.archive.batches import ArchiveRows, open_rows, path_and_split
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output, write_bytes
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.core.seeds import Streams
from synthograph.features.packaged import default_extractors
from synthograph.features.registry import feature_folder
from synthograph.metrics.domain_gap import DomainImages, check, domain_gap, pictures_of
from synthograph.metrics.domain_gap_text import draw, table
from synthograph.metrics.overlap import MAX_COPIES
from synthograph.results.domain_gap import DomainGap
from synthograph.workflows.extractors import open_extractors
from synthograph.workflows.requests import DomainGapRequest
from synthograph.workflows.tables import table_lines

JSON, PNG, SVG, SPRITE = "domain-gap.json", "map.png", "map.svg", "sprite.png"
SIDE = 40
"""Pixels of a picture in the sprite."""


@dataclass(frozen=True, repr=False)
class DomainGapResult(Result):
    """The gaps between all pairs of sets, and the files that were written."""

    gap: DomainGap
    written: Sequence[Path] = ()

    def lines(self) -> Iterator[str]:
        """Sets, pairs, and the files that were written."""
        yield from table_lines(table(self.gap))
        yield from map(str, self.written)


def run(request: DomainGapRequest, *, progress: Progress) -> DomainGapResult | None:
    """Measure the gap of every pair of sets.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: an archive that cannot be read, a class that it lacks, sets that overlap or
            cannot be compared, missing weights.
    """
    refuse_output(request.outdir, "--outdir")
    extractors, missing = open_extractors(request.features or default_extractors(), request.device)
    if missing:
        raise UserError("; ".join(missing.values()))
    sets = _sets(request)
    check(sets)
    for each in sets:
        groups = "" if each.origin == "synthetic" else f" of {each.images.group_count} groups"
        progress.log(f"{each.name}: {each.images.count} {each.origin} images{groups}")
    if request.dry_run:
        return None
    found = domain_gap(
        sets,
        list(extractors.values()),
        folder=feature_folder(),
        tracks=progress.track,
        seed=request.seed,
    )
    result = DomainGapResult(found)
    if request.outdir is None:
        return result
    with keeping(result):
        return DomainGapResult(found, _write(sets, found, request.outdir))


def _sets(request: DomainGapRequest) -> list[DomainImages]:
    """The named sets, which share no patients and no pictures.

    Raises:
        UserError: an archive that cannot be read, a class that it lacks, or sets that overlap.
    """
    classes = {text: _classes(text, request) for text in request.archives}
    sets: list[ArchiveRows] = []
    for text in request.archives:
        sets.append(_chosen(open_rows(text, opened=sets), text, classes[text]))
    if len({each.name for each in sets}) < len(sets):
        sets = [
            replace(each, title="/".join([text, *classes[text]]))
            for each, text in zip(sets, request.archives, strict=True)
        ]
    _refuse_common(sets)
    return [_set(each, request) for each in sets]


def _chosen(named: ArchiveRows, text: str, classes: list[str]) -> ArchiveRows:
    """The rows of some classes; all of them where none is named.

    Raises:
        UserError: no image is of these classes.
    """
    rows = [row for row in named.rows if not classes or row.label in classes]
    known = named.archive.info.classes
    lacking = [name for name in classes if name not in known]
    if lacking or not rows:
        raise UserError(
            f"{text}: no image is of class {', '.join(lacking or classes)}; its classes are "
            f"{', '.join(known) or 'none'} (--class {named.archive.path.name}=CLASS speaks of this "
            "archive only)"
        )
    return replace(named, rows=rows, title="/".join([named.name, *classes]))


def _classes(text: str, request: DomainGapRequest) -> list[str]:
    """The classes that are asked for of one archive.

    Raises:
        UserError: a class is asked of an archive that was not named.
    """

    def names_of(archive: str) -> set[str]:
        path = path_and_split(archive)[0]
        return {archive, str(path), path.name}

    found = []
    for each in request.of_class:
        where, equals, name = each.partition("=")
        if not equals:
            found.append(each)
        elif where in names_of(text):
            found.append(name)
        elif not any(where in names_of(other) for other in request.archives):
            raise UserError(
                f"--class {each}: no archive {where!r} was named; give --class CLASS for all, or "
                f"--class ARCHIVE=CLASS with one of {', '.join(request.archives)}"
            )
    return found


def _refuse_common(sets: Sequence[ArchiveRows]) -> None:
    """Refuse sets that share patients, or more than a hundredth of their pictures.

    Raises:
        UserError: two sets do; both and an example are named.
    """
    way = "compare sets of different patients and pictures, such as two splits of one archive"
    groups = [replace(each, rows=[row for row in each.rows if row.real]).groups for each in sets]
    for i, j in itertools.combinations(range(len(sets)), 2):
        one, other = sets[i], sets[j]
        both = f"{one.name} and {other.name}"
        common = sorted(groups[i][each] for each in groups[i].keys() & groups[j].keys())
        if common:
            raise UserError(
                f"{both} share {len(common)} groups, such as "
                f"{first_few(repr(each) for each in common)}: {way}"
            )
        equal = sorted(one.pixels[each] for each in one.pixels.keys() & other.pixels.keys())
        if len(equal) > MAX_COPIES * min(len(one.pixels), len(other.pixels)):
            raise UserError(
                f"{both}: {len(equal)} pictures are in both, such as {first_few(equal)}: {way}"
            )


def _set(chosen: ArchiveRows, request: DomainGapRequest) -> DomainImages:
    """A random subset of at most `--most` images."""
    total, notes = len(chosen.rows), []
    if total > request.most:
        by_name = sorted(chosen.rows, key=lambda row: row.file)
        order = Streams(request.seed).permutation("cli/domain-gap", 0, total)[: request.most]
        chosen = replace(chosen, rows=[by_name[place] for place in order.tolist()])
        notes.append(f"{request.most} of {total} images, drawn at random (--most)")
    origins = {row.origin for row in chosen.rows}
    return DomainImages(
        chosen.images, origins.pop() if len(origins) == 1 else "mixed", tuple(notes)
    )


def _write(sets: Sequence[DomainImages], found: DomainGap, outdir: Path) -> list[Path]:
    """Write the folder, whole or not at all; returns its files."""
    png, thumbnails = pictures_of(sets, found.map, SPRITE, side=SIDE)
    with new_folder(outdir) as folder:
        found.replace(thumbnails=thumbnails).save(folder / JSON)
        write_bytes(folder / PNG, draw(found))
        write_bytes(folder / SVG, draw(found, "svg"))
        write_bytes(folder / SPRITE, png)
    return [outdir / name for name in (JSON, PNG, SVG, SPRITE)]
