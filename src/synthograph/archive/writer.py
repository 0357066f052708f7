"""Writes archives: images are collected in `<DEST>.partial/`, packed at the end, and appear
complete under their name.

A partial folder records its command and which items are done, so that the same command continues
where it was stopped and another one is refused.
"""

import contextlib
import csv
import json
import os
import shutil
import zipfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from synthograph.archive.manifest import Row, write_manifest
from synthograph.archive.png import encode_png
from synthograph.archive.reader import MASKS, ArchiveInfo, open_archive
from synthograph.core.commands import other_command
from synthograph.core.errors import BlockedError, UserError
from synthograph.core.files import (
    CHUNK,
    atomic_path,
    disk_errors,
    refuse_existing,
    refuse_unwritable,
    remove,
    sync,
    write_json,
)
from synthograph.core.halves import half_path, remove_halves
from synthograph.core.locks import Lock
from synthograph.core.outputs import COMMAND, PARTIAL, is_packed, refuse_other_kinds
from synthograph.core.untrusted.containers import close_zips
from synthograph.core.untrusted.dataset_json import DATASET, MANIFEST
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.zip_names import open_named

JOURNAL = "journal.jsonl"
LOCK = ".lock"
DATA = "data"
REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class EncodedImage:
    """An image ready to be stored.

    Attributes:
        pngs: modality -> PNG bytes, in order.
        mask: PNG bytes of the mask, or None.
        row: its manifest row; the writer fills in `file`.
    """

    pngs: Mapping[str, bytes]
    mask: bytes | None
    row: Row


def encode(modalities: Mapping[str, np.ndarray], mask: np.ndarray | None, row: Row) -> EncodedImage:
    """Encode pixels [h, w, c] per modality and a mask [h, w] losslessly."""
    pngs = {name: encode_png(pixels) for name, pixels in modalities.items()}
    return EncodedImage(pngs, None if mask is None else encode_png(mask[:, :, None]), row)


def image_name(number: int) -> str:
    """Path of image `number`: `00000/img00000000.png`, a thousand to a folder."""
    return f"{number // 1000:05d}/img{number:08d}.png"


@dataclass(frozen=True, slots=True)
class _JournalEntry:
    """One item in the journal: its record, its rows, its files and their sizes."""

    item: Any
    rows: list[Row]
    files: dict[str, int]


def refuse_destination(dest: Path, *, replace: bool = False, way_out: str | None = None) -> None:
    """Refuse a destination before long work if no archive can be written there.

    Args:
        dest: the archive to be.
        replace: an archive may be there.
        way_out: what else than another name helps where an archive is there.

    Raises:
        UserError: something is there, its folder cannot be written to, it is called like a file of
            a kind that is not written, or it is a folder that cannot be replaced.
    """
    if not dest.name:
        raise UserError(f"{dest} is a folder without a name of its own: name a new one inside it")
    refuse_other_kinds(dest, "archive")
    if not (replace or way_out) or not _is_archive_alone(dest):
        refuse_existing(dest, "archive name")
    elif not replace:
        refuse_existing(dest, "archive name", way_out)
    if is_packed(dest) and dest.is_dir():
        raise UserError(f"{dest} is a folder: remove it, or choose a name without .zip")
    if dest.is_dir() and (dest.is_symlink() or os.path.ismount(dest)):
        raise UserError(f"{dest} is a link or a mounted volume: name a new folder inside it")
    refuse_unwritable(dest)


def _is_archive_alone(dest: Path) -> bool:
    """Whether an archive of ours is there, and nothing that would be lost with it: a folder of
    PNG files with a `dataset.json` of another program is somebody's source.
    """
    try:
        archive = open_archive(dest)
    except UserError:
        return False
    return bool(archive.info.namespace) and not archive.other_files


class ArchiveWriter:
    """Adds items one by one; an item is a list of images that come from one source file or one
    batch.

    Args:
        dest: the archive to be: a path ending in `.zip`, or a folder.
        command: everything that decides the archive's content, as JSON data; under `TYPED` the
            line that was typed, which decides nothing.
        replace: an archive that is there is replaced once the new one is complete, and an
            unfinished one of another command at once.

    Raises:
        UserError: `dest` exists.
        BlockedError: another process writes it, or a partial archive of another command is in the
            way.
    """

    def __init__(self, dest: Path, command: Mapping[str, object], *, replace: bool = False) -> None:
        refuse_destination(dest, replace=replace)
        self.packed = is_packed(dest)
        self.dest = dest
        self.partial = dest.with_name(f"{dest.name}{PARTIAL}")
        self._entries: list[_JournalEntry] = []
        self._images = 0
        with disk_errors(self.partial):
            (self.partial / DATA).mkdir(parents=True, exist_ok=True)
            what = f"{self.partial}: another process is writing this archive"
            self._lock = Lock(self.partial / LOCK, what)
            self._lock.acquire()
            try:
                remove_halves(dest)
                self._resume(json.loads(json.dumps(command)), replace)
                self._journal = (self.partial / JOURNAL).open("a", encoding="utf-8")
            except BaseException:
                self._lock.release()
                raise

    def _resume(self, command: Any, replace: bool) -> None:  # noqa: ANN401 - JSON data
        path = self.partial / COMMAND
        if not path.exists():
            write_json(path, command)
            return
        try:
            recorded = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            recorded = None
        other = other_command(recorded, command)
        if other is not None and replace:
            remove(self.partial / JOURNAL)
            remove(self.partial / DATA)
            (self.partial / DATA).mkdir(exist_ok=True)
            write_json(path, command)
        elif other is not None:
            raise BlockedError(
                f"{self.partial} holds an unfinished archive of another command, or its source "
                f"has changed ({other}): run that command again to finish it, or remove the folder "
                "to begin anew"
            )
        journal = self.partial / JOURNAL
        if not journal.exists():
            return
        whole = 0
        for line in journal.read_bytes().splitlines(keepends=True):
            entry = self._entry(line)
            if entry is None:
                break
            self._remember(entry)
            whole += len(line)
        with journal.open("r+b") as file:
            file.truncate(whole)

    def _entry(self, line: bytes) -> _JournalEntry | None:
        """A line of the journal; None where it is cut short or its files did not reach the disk."""
        try:
            data = json.loads(line)
            entry = _JournalEntry(data["item"], [Row(**row) for row in data["rows"]], data["files"])
            sizes = {name: (self.partial / DATA / name).stat().st_size for name in entry.files}
        except (ValueError, TypeError, KeyError, OSError):
            return None
        return entry if line.endswith(b"\n") and sizes == entry.files else None

    def _remember(self, entry: _JournalEntry) -> None:
        self._entries.append(entry)
        self._images += len(entry.rows)

    @property
    def items(self) -> list[Any]:
        """What the journal records of every item."""
        return [entry.item for entry in self._entries]

    @property
    def rows(self) -> list[Row]:
        """The rows of all images."""
        return [row for entry in self._entries for row in entry.rows]

    @property
    def rows_of_items(self) -> list[list[Row]]:
        """The rows of every item."""
        return [entry.rows for entry in self._entries]

    @property
    def masks(self) -> int:
        """Number of images that have a mask."""
        return sum(name.startswith(f"{MASKS}/") for e in self._entries for name in e.files)

    @property
    def items_done(self) -> int:
        """Number of items that are done."""
        return len(self._entries)

    def content(self, first: int = 0) -> Iterator[tuple[list[EncodedImage], Any]]:
        """The images of every item from number `first` on, and what is remembered of it."""
        for entry in self._entries[first:]:
            yield [self._read(row, entry.files) for row in entry.rows], entry.item

    def _read(self, row: Row, files: Collection[str]) -> EncodedImage:
        data = self.partial / DATA
        others = [n.removesuffix(f"/{row.file}") for n in files if n.endswith(f"/{row.file}")]
        folders = {"": "", **{name: f"{name}/" for name in others}}
        pngs = {name: (data / f"{f}{row.file}").read_bytes() for name, f in folders.items()}
        return EncodedImage(pngs, pngs.pop(MASKS, None), row)

    def add(self, images: Sequence[EncodedImage], item: Any = None) -> None:  # noqa: ANN401 - JSON data
        """Store the images of the next item.

        Args:
            images: none, one or several.
            item: JSON data to be remembered with the item, such as why it was rejected.
        """
        rows: list[Row] = []
        files: dict[str, int] = {}
        with disk_errors(self.partial):
            for number, image in enumerate(images, start=self._images):
                name = image_name(number)
                folders = ["", *[f"{m}/" for m in list(image.pngs)[1:]]]
                for folder, data in zip(folders, image.pngs.values(), strict=True):
                    files[folder + name] = self._store(folder + name, data)
                if image.mask is not None:
                    files[f"{MASKS}/{name}"] = self._store(f"{MASKS}/{name}", image.mask)
                rows.append(replace(image.row, file=name))
            entry = _JournalEntry(item, rows, files)
            row_data = [_row_data(row) for row in rows]
            line = json.dumps({"item": item, "rows": row_data, "files": files})
            self._journal.write(line + "\n")
            self._journal.flush()
        self._remember(entry)

    def _store(self, name: str, data: bytes) -> int:
        path = self.partial / DATA / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        return path.write_bytes(data)

    def leave_out(self, numbers: Collection[int]) -> None:
        """Leave items, by their number, out of the archive. Call `finish` next."""
        self._entries = [e for n, e in enumerate(self._entries) if n not in numbers]

    def finish(self, info: ArchiveInfo) -> None:
        """Write manifest and `dataset.json`, pack if `dest` is a zip, and rename to `dest`.

        Until the rename nothing is removed that the same command would need to go on.
        """
        self._journal.close()
        data = self.partial / DATA
        with disk_errors(self.dest):
            texts = list_files(info, self.rows)
            for name, text in texts.items():
                (data / name).write_bytes(text)
            names = {*texts, *(name for entry in self._entries for name in entry.files)}
            if self.packed:
                self._pack(sorted(names))
            else:
                _remove_others(data, names)
                if self.dest.is_dir():  # goes with what is partial
                    os.replace(self.dest, self.partial / REPLACED)
                os.replace(data, self.dest)
                sync(self.dest.parent)
        self.discard()

    def _pack(self, names: Sequence[str]) -> None:
        with atomic_path(self.dest) as temporary:
            with zipfile.ZipFile(temporary, "w") as packed:
                for name in names:
                    write_member(packed, name, (self.partial / DATA / name).read_bytes())
            close_zips()  # one of them may be replaced at the end of this block

    def discard(self) -> None:
        """Remove all that was written."""
        self.suspend()
        remove(self.partial)

    def suspend(self) -> None:
        """Leave the partial archive for a later call."""
        # what a full disk kept from being written is written again by the next call
        with contextlib.suppress(OSError):
            self._journal.close()
        self._lock.release()


def _row_data(row: Row) -> JsonObject:
    data = {field.name: getattr(row, field.name) for field in fields(row)}
    return data | {"columns": dict(row.columns)}


def _remove_others(folder: Path, names: Collection[str]) -> None:
    """Remove files of items that were left out, or were begun by a call that was killed."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in names:
            path.unlink()


def write_member(packed: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Store a member uncompressed with a fixed date, so that equal content gives equal archives."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    packed.writestr(info, data, compress_type=zipfile.ZIP_STORED)


def write_lists(path: Path, files: Mapping[str, bytes]) -> None:
    """Write an archive that is nothing but a few small files; one that is there goes once the new
    one is whole.

    Args:
        path: a path ending in `.zip`, or a folder.
        files: name -> content.
    """
    old = half_path(path)
    with atomic_path(path) as temporary:
        if is_packed(path):
            with zipfile.ZipFile(temporary, "w") as packed:
                for name, data in files.items():
                    write_member(packed, name, data)
            close_zips()  # the file that is replaced may be open
        else:
            temporary.mkdir()
            for name, data in files.items():
                (temporary / name).write_bytes(data)
            if path.is_dir():
                os.replace(path, old)
    remove(old)


def replace_members(path: Path, new: Mapping[str, bytes]) -> None:
    """Replace members of a zip file; the others stay as they are.

    Args:
        path: a zip file that was opened as a container before, so that its members are safe.
        new: name -> content.
    """
    mode = path.stat().st_mode
    with atomic_path(path) as temporary:
        with open_named(path) as old, zipfile.ZipFile(temporary, "w") as out:
            for info in old.infolist():
                if info.filename not in new:
                    with old.open(info) as source, out.open(_stored(info), "w") as target:
                        shutil.copyfileobj(source, target, CHUNK)
            for name, data in new.items():
                write_member(out, name, data)
        temporary.chmod(mode)
        close_zips()  # the old file is replaced at the end of this block


def _stored(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    copy = zipfile.ZipInfo(info.filename, date_time=info.date_time)
    copy.external_attr, copy.file_size = info.external_attr, info.file_size
    return copy


def list_files(
    info: ArchiveInfo, rows: Sequence[Row], others: Mapping[str, object] | None = None
) -> dict[str, bytes]:
    """`manifest.csv` and `dataset.json`; the latter repeats the labels for the published tools, and
    holds `others` beside what is ours.
    """
    index = info.label_index
    vectors = [row.vector() for row in rows]
    labels: list[Any] | None = None
    if all(row.label is not None for row in rows):
        labels = [[row.file, index[row.label]] for row in rows if row.label is not None]
    elif all(vectors):
        labels = [[row.file, vector] for row, vector in zip(rows, vectors, strict=True)]
    known = {k: v for k, v in info.tree().items() if k != "mixture" or v is not None}
    document = {**(others or {}), **known, "labels": labels}
    text = json.dumps(document, indent=1, allow_nan=False)
    return {MANIFEST: write_manifest(rows), DATASET: (text + "\n").encode("utf-8")}


def write_rejects(path: Path, rejects: Sequence[tuple[str, str]]) -> None:
    """List what could not become part of an archive: columns `file` and `reason`."""
    write_table(path, ("file", "reason"), rejects)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table beside an archive, as CSV."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
