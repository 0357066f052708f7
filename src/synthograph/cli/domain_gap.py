"""`synthograph domain-gap`: how far sets of images are from each other."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from synthograph.archive.manifest import Row
    from synthograph.archive.reader import Archive
    from synthograph.features.base import Extractor
    from synthograph.metrics.domain_gap import DomainGap, DomainSet

JSON, PNG, SVG, SPRITE = "domain-gap.json", "map.png", "map.svg", "sprite.png"
SIDE = 40
"""Pixels of a picture in the sprite."""


def domain_gap(
    archives: Annotated[
        list[str], typer.Argument(help="two or more archives, ARCHIVE or ARCHIVE:split")
    ],
    features: Annotated[
        list[str] | None, typer.Option(help="extractor, default random-vgg16; can be repeated")
    ] = None,
    of_class: Annotated[
        list[str] | None,
        typer.Option("--class", help="only images of it: CLASS, or ARCHIVE=CLASS for one archive"),
    ] = None,
    most: Annotated[
        int, typer.Option(min=10, help="images of a set at most, drawn at random")
    ] = 2000,
    outdir: Annotated[
        Path | None, typer.Option(help="also write results, map and thumbnails to this folder")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of folds, permutations and draws")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="validate and print the plan")] = False,
) -> None:
    """Measure the gap between sets of images: two sites, or real and synthetic."""
    from synthograph.cli.console import show
    from synthograph.cli.progress import tracker
    from synthograph.core.devices import pick_device
    from synthograph.core.files import refuse_existing, refuse_unwritable
    from synthograph.metrics.domain_gap import check
    from synthograph.metrics.domain_gap import domain_gap as measure
    from synthograph.metrics.domain_gap_text import table
    from synthograph.workflows.extractors import feature_folder

    if outdir is not None:
        refuse_existing(outdir, "--outdir")
        refuse_unwritable(outdir)
    extractors = _extractors(features or [], str(pick_device(device)))
    sets = _sets(archives, of_class or [], most, seed)
    check(sets)
    for each in sets:
        groups = "" if each.origin == "synthetic" else f" of {each.images.group_count} groups"
        typer.echo(f"{each.name}: {each.images.count} {each.origin} images{groups}")
    if dry_run:
        return
    found = measure(sets, extractors, folder=feature_folder(), tracks=tracker, seed=seed)
    show(table(found))
    if outdir is not None:
        _write(found, outdir)


def _extractors(names: Sequence[str], device: str) -> "list[Extractor]":
    from synthograph.core.errors import UserError
    from synthograph.features import registry
    from synthograph.workflows.extractors import open_extractors, split_names

    found, missing = open_extractors(split_names(names) or [registry.DEFAULT], device)
    if missing:
        raise UserError("; ".join(missing.values()))
    return list(found.values())


def _sets(
    archives: Sequence[str], classes: Sequence[str], most: int, seed: int
) -> "list[DomainSet]":
    """The sets that were named, none of them sharing patients or pictures with another.

    Raises:
        UserError: an archive that cannot be read, a class that it lacks, or sets that overlap.
    """
    from synthograph.archive.batches import path_and_split, rows_of_split
    from synthograph.archive.reader import open_archive
    from synthograph.core.errors import UserError

    wanted = {text: _classes(text, archives, classes) for text in archives}
    opened: list[tuple[str, str | None, Archive, list[Row]]] = []
    names: list[str] = []
    for text in archives:
        path, split = path_and_split(text)
        archive = open_archive(path)
        rows = rows_of_split(archive, split)
        chosen = [row for row in rows if not wanted[text] or row.label in wanted[text]]
        lacking = [name for name in wanted[text] if name not in archive.info.classes]
        if lacking or not chosen:
            there = ", ".join(archive.info.classes) or "none"
            raise UserError(
                f"{text}: no image is of class {', '.join(lacking or wanted[text])}; its classes "
                f"are {there} (--class {path.name}=CLASS speaks of this archive only)"
            )
        name = path.name if split is None else f"{path.name}:{split}"
        names.append("/".join([name, *wanted[text]]))
        opened.append((text, split, archive, chosen))
    if len(set(names)) < len(names):
        names = list(archives)
    _refuse_common([(name, archive, rows) for name, (_, _, archive, rows) in zip(
        names, opened, strict=True)])  # fmt: skip
    return [
        _set(name, split, archive, rows, most, seed)
        for name, (_, split, archive, rows) in zip(names, opened, strict=True)
    ]


def _classes(text: str, archives: Sequence[str], classes: Sequence[str]) -> list[str]:
    """The classes that are wanted of one archive.

    Raises:
        UserError: a class is asked of an archive that was not named.
    """
    from synthograph.archive.batches import path_and_split
    from synthograph.core.errors import UserError

    def called(archive: str) -> set[str]:
        return {archive, str(path_and_split(archive)[0]), path_and_split(archive)[0].name}

    found = []
    for each in classes:
        where, equals, name = each.partition("=")
        if not equals:
            found.append(each)
        elif where in called(text):
            found.append(name)
        elif not any(where in called(other) for other in archives):
            raise UserError(
                f"--class {each}: no archive {where!r} was named; give --class CLASS for all, or "
                f"--class ARCHIVE=CLASS with one of {', '.join(archives)}"
            )
    return found


def _refuse_common(sets: "Sequence[tuple[str, Archive, list[Row]]]") -> None:
    """Refuse sets that share patients, or more than a hundredth of their pictures.

    Raises:
        UserError: two sets do; both and an example are named.
    """
    import itertools

    from synthograph.archive.batches import group_digests, image_digests
    from synthograph.core.errors import UserError
    from synthograph.core.names import first_few
    from synthograph.metrics.overlap import MAX_COPIES

    way = "compare sets of different patients and pictures, such as two splits of one archive"
    groups, images = [], []
    for _, archive, rows in sets:
        real = [row for row in rows if row.origin == "real"]
        groups.append(group_digests(archive, real))
        images.append(image_digests(archive, rows))
    for i, j in itertools.combinations(range(len(sets)), 2):
        names = f"{sets[i][0]} and {sets[j][0]}"
        common = sorted(groups[i][each] for each in groups[i].keys() & groups[j].keys())
        if common:
            raise UserError(
                f"{names} share {len(common)} groups, such as "
                f"{first_few(repr(each) for each in common)}: {way}"
            )
        equal = sorted(images[i][each] for each in images[i].keys() & images[j].keys())
        if len(equal) > MAX_COPIES * min(len(images[i]), len(images[j])):
            raise UserError(
                f"{names}: {len(equal)} pictures are in both, such as {first_few(equal)}: {way}"
            )


def _set(
    name: str, split: str | None, archive: "Archive", rows: "list[Row]", most: int, seed: int
) -> "DomainSet":
    """At most so many images of an archive."""
    from synthograph.archive.batches import archive_images
    from synthograph.core.seeds import Streams
    from synthograph.metrics.domain_gap import DomainSet

    total, notes = len(rows), []
    if total > most:
        by_name = sorted(rows, key=lambda row: row.file)
        order = Streams(seed).permutation("cli/domain-gap", 0, total)[:most]
        rows = [by_name[place] for place in order.tolist()]
        notes.append(f"{most} of {total} images, drawn at random (--most)")
    origins = {row.origin for row in rows}
    origin = origins.pop() if len(origins) == 1 else "mixed"
    return DomainSet(archive_images(archive, rows, name=name, split=split), origin, tuple(notes))


def _write(found: "DomainGap", outdir: Path) -> None:
    """The folder, in one rename."""
    from synthograph.core.files import atomic_path, disk_errors, write_bytes, write_json
    from synthograph.metrics.domain_gap import pictures_of
    from synthograph.metrics.domain_gap_text import draw

    sprite = pictures_of(found, side=SIDE)
    about = {"file": SPRITE, **sprite.json()}
    with disk_errors(outdir):
        outdir.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(outdir) as temporary:
        temporary.mkdir()
        write_json(temporary / JSON, {**found.json(), "thumbnails": about})
        write_bytes(temporary / PNG, draw(found))
        write_bytes(temporary / SVG, draw(found, "svg"))
        write_bytes(temporary / SPRITE, sprite.png)
    for name in (JSON, PNG, SVG, SPRITE):
        typer.echo(str(outdir / name))
