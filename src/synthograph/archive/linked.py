"""Writes archives of images of other archives: copies of their files, or links; see `links.py`."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.links import OWN, LinkedFrom, LinkedImage, Links, member, stamp_of
from synthograph.archive.manifest import Row
from synthograph.archive.reader import MASKS, Archive, ArchiveInfo, open_archive
from synthograph.archive.writer import (
    ArchiveWriter,
    EncodedImage,
    image_name,
    list_files,
    refuse_destination,
    write_lists,
)
from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.untrusted.dataset_json import LINKS


@dataclass(frozen=True)
class Pick:
    """An image that becomes part of another archive.

    Attributes:
        archive: where its files are.
        row: its row there.
        becomes: its row in the new archive.
    """

    archive: Archive
    row: Row
    becomes: Row


def linked(archive: Archive, rows: Sequence[Row], path: Path, *, replace: bool = False) -> Archive:
    """An archive of the same images with other rows: other splits, folds, labels, or fewer images.
    It has no pixels of its own.

    Args:
        archive: where the images are.
        rows: what becomes of them, by their `file` there; rows that are left out are left out.
        path: the archive to be: a path ending in `.zip`, or a folder.
        replace: an archive may be there.

    Raises:
        UserError: something is there, or it cannot be written.
    """
    before = {row.file: row for row in archive.rows}
    picks = [Pick(archive, before[row.file], row) for row in rows]
    refuse_inputs(path, [archive])
    write_linked(path, described_for(archive), picks, replace=replace)
    return open_archive(path)


def described_for(archive: Archive) -> ArchiveInfo:
    """What `dataset.json` of an archive with these images says: groups are the same patients, also
    where the archive of a published tool has no namespace.
    """
    namespace = archive.info.namespace or archive.images_hash
    return archive.info.model_copy(update={"namespace": namespace})


def write_linked(
    path: Path, info: ArchiveInfo, picks: Sequence[Pick], *, replace: bool = False
) -> None:
    """Write an archive whose images stay where they are. It appears whole, or not at all.

    Args:
        path: a path ending in `.zip`, or a folder.
        info: what `dataset.json` says.
        picks: its images in order, each `becomes` with a file name of its own; one that lies in
            another archive itself is linked there.
        replace: an archive may be there.

    Raises:
        UserError: something is there, or it cannot be written.
    """
    refuse_destination(path, replace=replace)
    homes = {id(pick.archive): pick.archive.sources or (pick.archive,) for pick in picks}
    sources = {home.path.resolve(): home for some in homes.values() for home in some}
    number = {home: place for place, home in enumerate(sources)}
    images = {}
    for pick in picks:
        inner, file = pick.archive.place(pick.row)
        home = homes[id(pick.archive)][inner].path.resolve()
        images[pick.becomes.file] = LinkedImage(
            source=number[home], file=file, sha256=_digests(pick)
        )
    found = [_linked_from(home, path) for home in sources.values()]
    text = json.dumps(Links(sources=found, images=images).model_dump(mode="json"))
    files = list_files(info, [pick.becomes for pick in picks])
    write_lists(path, {**files, LINKS: text.encode()})


def write_copied(
    path: Path,
    info: ArchiveInfo,
    picks: Sequence[Pick],
    command: Mapping[str, object],
    *,
    replace: bool = False,
    track: Track = lambda items, total: items,
) -> None:
    """Write an archive with the files of its images as they are; the same command continues where
    it was stopped. Arguments and errors as for `write_linked`, and those of `ArchiveWriter`.
    """
    writer = ArchiveWriter(path, command, replace=replace)
    try:
        rest = picks[writer.items_done :]
        for pick in track(rest, len(rest)):
            writer.add([_encoded(pick)])
        writer.finish(info)
    finally:
        writer.suspend()


def _encoded(pick: Pick) -> EncodedImage:
    archive, row = pick.archive, pick.row
    pngs = {m: archive.files.read(archive.member(row, m)) for m in archive.info.spec.modalities}
    mask = f"{MASKS}/{row.file}"
    return EncodedImage(
        pngs, archive.files.read(mask) if mask in archive.files else None, pick.becomes
    )


def numbered(picks: Sequence[Pick]) -> list[Pick]:
    """The picks with the file names that `write_copied` gives them."""
    return [
        dataclasses.replace(pick, becomes=dataclasses.replace(pick.becomes, file=image_name(n)))
        for n, pick in enumerate(picks)
    ]


def refuse_inputs(path: Path, archives: Sequence[Archive]) -> None:
    """Refuse to write an archive over one that it is made of, or that its images lie in.

    Raises:
        UserError: it is.
    """
    places = {each.path.resolve() for each in archives}
    places |= {source.path.resolve() for each in archives for source in each.files.linked.sources}
    if path.resolve() in places:
        raise UserError(f"--out {path}: is one of the inputs: give the new archive another name")


def _linked_from(archive: Archive, path: Path) -> LinkedFrom:
    """Where an archive is, seen from another, and what it holds."""
    where, home = archive.path.resolve(), path.resolve().parent
    paths = [where.as_posix()]
    with contextlib.suppress(ValueError):  # on another drive
        paths.insert(0, Path(os.path.relpath(where, home)).as_posix())
    container = archive.files.container
    return LinkedFrom(
        paths=paths, images_hash=archive.images_hash, stamp=stamp_of(container, container.members())
    )


def _digests(pick: Pick) -> dict[str, str]:
    """Hashes of the files of an image by the folder that they are in."""
    archive = pick.archive
    folders = [OWN, *list(archive.info.spec.modalities)[1:], MASKS]
    names = {folder: member(folder, pick.row.file) for folder in folders}
    known = archive.digests
    return {folder: known[name] for folder, name in names.items() if name in known}
