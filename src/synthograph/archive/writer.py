"""Writing archives: images grow in `<DEST>.partial/`, are packed at the end and appear whole under
their name.

A partial folder remembers the command that it belongs to and which of its items are done, so the
same command goes on where it was stopped, and another one is refused.
"""

import csv
import json
import os
import secrets
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import filelock
import numpy as np

from synthograph.archive.manifest import MANIFEST, Row, write_manifest
from synthograph.archive.reader import DATASET, MASKS, ArchiveInfo, encode_png
from synthograph.core.errors import UserError
from synthograph.core.files import (
    atomic_path,
    disk_errors,
    refuse_existing,
    remove,
    sync,
    write_json,
)

COMMAND = "command.json"
JOURNAL = "journal.jsonl"
LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image ready to be stored.

    Attributes:
        pngs: modality -> PNG bytes, in order.
        mask: PNG bytes of the mask, or None.
        row: its manifest row; the writer fills in `file`.
    """

    pngs: Mapping[str, bytes]
    mask: bytes | None
    row: Row


def encode(modalities: Mapping[str, np.ndarray], mask: np.ndarray | None, row: Row) -> Encoded:
    """Encode pixels [h, w, c] per modality and a mask [h, w] losslessly."""
    pngs = {name: encode_png(pixels) for name, pixels in modalities.items()}
    return Encoded(pngs, None if mask is None else encode_png(mask[:, :, None]), row)


def image_name(number: int) -> str:
    """Path of image `number`: `00000/img00000000.png`, a thousand to a folder."""
    return f"{number // 1000:05d}/img{number:08d}.png"


def new_namespace() -> str:
    """A random id for a new set; digests of its groups are keyed by it."""
    return secrets.token_hex(16)


class ArchiveWriter:
    """Adds items one by one; an item is a list of images that come from one source file or one
    batch.

    Args:
        dest: the archive to be: a path ending in `.zip`, or a folder.
        command: everything that decides the archive's content, as JSON data.

    Raises:
        UserError: `dest` exists, another process writes it, or a partial archive of another command
            is in the way.
    """

    def __init__(self, dest: Path, command: Mapping[str, Any]) -> None:
        refuse_existing(dest, "archive name")
        self.dest = dest
        self.partial = dest.with_name(f"{dest.name}.partial")
        self.rows: list[Row] = []
        self.items: list[Any] = []
        with disk_errors(self.partial):
            self.partial.mkdir(parents=True, exist_ok=True)
            self._lock = filelock.FileLock(self.partial / LOCK)
            try:
                self._lock.acquire(timeout=0)
            except filelock.Timeout:
                raise UserError(
                    f"{self.partial}: another process is writing this archive"
                ) from None
            try:
                self._resume(json.loads(json.dumps(command)))
            except BaseException:
                self._lock.release()
                raise
            self._journal = (self.partial / JOURNAL).open("a", encoding="utf-8")

    def _resume(self, command: Any) -> None:  # noqa: ANN401 - JSON data
        path = self.partial / COMMAND
        if not path.exists():
            write_json(path, command)
            return
        if json.loads(path.read_text(encoding="utf-8")) != command:
            raise UserError(
                f"{self.partial} holds an unfinished archive of another command: "
                "run that command again to finish it, or remove the folder"
            )
        journal = self.partial / JOURNAL
        if not journal.exists():
            return
        whole = [
            line for line in journal.read_bytes().splitlines(keepends=True) if line[-1:] == b"\n"
        ]
        for line in whole:
            entry = json.loads(line)
            self.rows.extend(_row_from(data) for data in entry["rows"])
            self.items.append(entry["item"])
        with journal.open("r+b") as file:
            file.truncate(sum(map(len, whole)))

    @property
    def items_done(self) -> int:
        """Number of items that need not be made again."""
        return len(self.items)

    def add(self, images: Sequence[Encoded], item: Any = None) -> None:  # noqa: ANN401 - JSON data
        """Store the images of the next item.

        Args:
            images: none, one or several.
            item: JSON data to be remembered with the item, such as why it was rejected.
        """
        rows: list[Row] = []
        with disk_errors(self.partial):
            for image in images:
                name = image_name(len(self.rows) + len(rows))
                folders = ["", *[f"{m}/" for m in list(image.pngs)[1:]]]
                for folder, data in zip(folders, image.pngs.values(), strict=True):
                    self._store(folder + name, data)
                if image.mask is not None:
                    self._store(f"{MASKS}/{name}", image.mask)
                rows.append(replace(image.row, file=name))
            entry = {"item": item, "rows": [_row_data(row) for row in rows]}
            self._journal.write(json.dumps(entry) + "\n")
            self._journal.flush()
        self.rows.extend(rows)
        self.items.append(item)

    def _store(self, name: str, data: bytes) -> None:
        path = self.partial / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
        path.write_bytes(data)

    def finish(self, info: ArchiveInfo) -> None:
        """Write manifest and `dataset.json`, pack if `dest` is a zip, and rename to `dest`."""
        self._journal.close()
        with disk_errors(self.dest):
            for name, data in documents(info, self.rows).items():
                (self.partial / name).write_bytes(data)
            for name in (COMMAND, JOURNAL):
                remove(self.partial / name)
            names = sorted(
                path.relative_to(self.partial).as_posix()
                for path in self.partial.rglob("*")
                if path.is_file() and path.name != LOCK
            )
            if self.dest.suffix == ".zip":
                self._pack(names)
                self._close()
                remove(self.partial)
            else:
                self._close()
                remove(self.partial / LOCK)
                if self.dest.is_dir():
                    self.dest.rmdir()
                os.replace(self.partial, self.dest)
                sync(self.dest.parent)

    def _pack(self, names: Sequence[str]) -> None:
        with atomic_path(self.dest) as temporary, zipfile.ZipFile(temporary, "w") as packed:
            for name in names:
                write_member(packed, name, (self.partial / name).read_bytes())

    def discard(self) -> None:
        """Remove all that was written."""
        self._journal.close()
        self._close()
        remove(self.partial)

    def suspend(self) -> None:
        """Leave the partial archive for a later call."""
        self._journal.close()
        self._close()

    def _close(self) -> None:
        self._lock.release()


def write_member(packed: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Store a member uncompressed with a fixed date, so that equal content gives equal archives."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.external_attr = 0o644 << 16
    packed.writestr(info, data, compress_type=zipfile.ZIP_STORED)


def documents(info: ArchiveInfo, rows: Sequence[Row]) -> dict[str, bytes]:
    """`manifest.csv` and `dataset.json`; the latter repeats the labels for the published tools."""
    index = info.label_index
    vectors = [row.vector() for row in rows]
    labels: list[Any] | None = None
    if all(row.label is not None for row in rows):
        labels = [[row.file, index[row.label]] for row in rows if row.label is not None]
    elif all(vectors):
        labels = [[row.file, vector] for row, vector in zip(rows, vectors, strict=True)]
    document = {**info.tree(), "labels": labels}
    text = json.dumps(document, indent=1, allow_nan=False)
    return {MANIFEST: write_manifest(rows), DATASET: (text + "\n").encode("utf-8")}


def write_rejects(path: Path, rejects: Sequence[tuple[str, str]]) -> None:
    """List what could not become part of an archive: columns `file` and `reason`."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason"])
        writer.writerows(rejects)


def _row_data(row: Row) -> dict[str, Any]:
    return {
        "file": row.file,
        "label": row.label,
        "group": row.group,
        "split": row.split,
        "fold": row.fold,
        "origin": row.origin,
        "columns": dict(row.columns),
    }


def _row_from(data: Mapping[str, Any]) -> Row:
    return Row(**data)
