"""Describes an archive without trusting it."""

from collections import Counter
from pathlib import Path

import numpy as np

from synthograph.archive.manifest import SPLITS, count_labels, in_split
from synthograph.archive.reader import MASKS, Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.outputs import is_unfinished
from synthograph.core.progress import Track
from synthograph.core.untrusted.dataset_json import DATASET, MANIFEST
from synthograph.core.untrusted.documents import JsonObject


def describe(
    path: Path, facts: JsonObject, *, quick: bool = False, track: Track = lambda items, total: items
) -> None:
    """Describe an archive, and decode all its images and masks.

    Args:
        path: a zip file or folder.
        facts: filled in order, as far as the archive can be read; plain JSON data.
        quick: decode nothing and compute no hash of the images.
        track: shows progress: gets an iterable and its length.

    Raises:
        UserError: the archive reader refuses it, or one of its images or masks.
    """
    kind = "unfinished archive" if is_unfinished(path) else "archive"
    facts |= {"kind": kind, "stored as": "folder" if path.is_dir() else "zip"}
    if path.is_file():
        facts["bytes"] = path.stat().st_size
    archive = open_archive(path)
    if archive.files.linked.sources:
        facts["images lie in"] = [str(source.path) for source in archive.files.linked.sources]
    info = archive.info
    facts |= {
        "written by": _writer(archive),
        "images": len(archive.rows),
        "groups": len({row.group for row in archive.rows}),
        "image": info.spec.describe(),
        "spec": info.spec.tree(),
        "classes": count_labels(archive.rows, info.classes),
        "splits": _splits(archive),
        "split by": None if info.split is None else info.split.origin,
        **({} if info.cohort is None else {"cohort": info.cohort.tree()}),
        "origin": dict(Counter(row.origin for row in archive.rows)),
        "masks": sum(f"{MASKS}/{row.file}" in archive.files for row in archive.rows),
        "further columns": sorted({name for row in archive.rows for name in row.columns}),
        "invariances": "not stated" if info.invariances is None else info.invariances,
        "namespace": info.namespace,
        "snapshots used": len(info.snapshots),
        "manifest_hash": archive.manifest_hash,
    }
    try:
        info.spec.grid  # noqa: B018 - finding it is the check
    except UserError as error:
        facts["cannot be trained on"] = str(error)
    if quick:
        return
    ids = np.zeros(256, np.int64)
    for row in track(archive.rows, len(archive.rows)):
        archive.read(row)
        mask = archive.read_mask(row)
        if mask is not None:
            ids += np.bincount(mask.reshape(-1), minlength=256)
    if ids.any():
        facts["mask ids"] = {
            str(value): f"{100 * ids[value] / ids.sum():.3g} %" for value in np.flatnonzero(ids)
        }
    facts |= {"images decoded": len(archive.rows), "images_hash": archive.images_hash}


def _writer(archive: Archive) -> str:
    if MANIFEST in archive.files:
        return "synthograph"
    return "a published tool" if DATASET in archive.files else "hand: PNG files only"


def _splits(archive: Archive) -> dict[str, dict[str, int]]:
    """Images, groups and folds of every split."""
    found = {}
    for split in SPLITS:
        rows = in_split(archive.rows, split)
        if rows:
            folds = {row.fold for row in rows if row.fold is not None}
            groups = {row.group for row in rows}
            found[split] = {"images": len(rows), "groups": len(groups), "folds": len(folds)}
    return found
