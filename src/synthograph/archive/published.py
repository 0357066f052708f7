"""Rows of archives of the published tools, which have PNGs and `dataset.json` but no manifest."""

import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from synthograph.archive.manifest import Row, check_member
from synthograph.core.errors import UserError
from synthograph.core.names import one_form

DATASET = "dataset.json"
NO_PNG = (".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
MAX_CLASSES = 10_000

_FORMS = {
    "labels": ("[file, label]", 2, 2),
    "meta": ("[file, label, patient] or [file, label, patient, diagnosis]", 3, 4),
}
"""Key of `dataset.json` -> the form of its entries, and how few and many values one has."""


def published_rows(
    document: dict[str, Any], names: Collection[str], path: Path
) -> tuple[list[Row], dict[str, Any]]:
    """The rows of the PNGs, and the document with its classes.

    An image belongs to the patient that `"meta": [[file, label, patient, diagnosis], ...]` gives
    it, as `prepare` reads it, else it is its own group. Where there is no `"labels"`, the labels
    are those of `"meta"` too.

    Raises:
        UserError: an image is no PNG, or an entry is malformed, contradicts another or names no
            image.
    """
    images = [name for name in sorted(names) if name.lower().endswith(".png")]
    others = [name for name in sorted(names) if name.lower().endswith(NO_PNG)]
    if others:
        raise UserError(
            f"{path}: {len(others)} of its {len(images) + len(others)} images are no PNG, such as "
            f"{others[0]!r}: make an archive of all with 'synthograph prepare'"
        )
    where = f"{path}: {DATASET}"
    listed, meta = (_entries(document.get(key) or [], key, where) for key in _FORMS)
    labels = _labels(listed or meta, where)
    _refuse_contradictions(labels, meta, where)
    for name in sorted({*labels, *meta}.difference(images)):
        kind = "which is no PNG" if name in names else "but there is no such file"
        raise UserError(f"{where} names {name!r}, {kind}")
    unlabelled = [name for name in images if name not in labels]
    if labels and unlabelled:
        raise UserError(
            f"{where} has no label for {unlabelled[0]!r} "
            f"({len(unlabelled)} such images): label all images or none"
        )
    classes = _classes(document, list(labels.values()), where)
    rows = [_row(name, labels.get(name), meta.get(name), classes, where) for name in images]
    return rows, {**document, "classes": classes}


def _entries(value: object, key: str, where: str) -> dict[str, list[Any]]:
    """The entries of a list [[file, ...], ...] by file."""
    form, least, most = _FORMS[key]
    if not isinstance(value, list):
        raise UserError(f"{where}: {key!r} is no list of {form}: mend it or take it out")
    entries: dict[str, list[Any]] = {}
    for number, entry in enumerate(value, start=1):
        place = f"{where}: entry {number} of {key!r}"
        fits = isinstance(entry, list) and least <= len(entry) <= most
        if not fits or not isinstance(entry[0], str):
            raise UserError(f"{place} is {entry!r:.80}, expected {form}")
        file = check_member(entry[0], place)
        if file in entries:
            raise UserError(f"{place}: {file!r} is listed twice")
        entries[file] = entry
    return entries


def _labels(entries: Mapping[str, list[Any]], where: str) -> dict[str, int | list[float]]:
    labels = {
        file: _value(entry[1], f"{where}: entry {number} of the labels")
        for number, (file, entry) in enumerate(entries.items(), start=1)
    }
    if len({isinstance(v, list) and len(v) for v in labels.values()}) > 1:
        raise UserError(f"{where}: labels mix integers and vectors, or vectors of several lengths")
    return labels


def _value(value: object, entry: str) -> int | list[float]:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_CLASSES:
        return value
    if isinstance(value, list) and value and all(_is_number(v) for v in value):
        return [float(v) for v in value]
    raise UserError(
        f"{entry}: label {value!r:.80} is neither an integer from 0 to {MAX_CLASSES - 1} nor a "
        "list of finite numbers"
    )


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the range of floats
        return False


def _refuse_contradictions(
    labels: Mapping[str, int | list[float]], meta: Mapping[str, list[Any]], where: str
) -> None:
    for name, entry in meta.items():
        label = labels.get(name)
        if isinstance(label, int) and label != entry[1]:
            raise UserError(
                f"{where}: {name!r} is {label} in 'labels' and {entry[1]!r:.80} in 'meta': "
                "mend one of them"
            )


def _classes(document: Mapping[str, Any], labels: Sequence[Any], where: str) -> list[str]:
    """The names of the classes; numbers where none are given."""
    indices = [label for label in labels if isinstance(label, int)]
    numbers = [str(index) for index in range(max(indices) + 1)] if indices else []
    classes = document.get("classes") or numbers
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{where}: 'classes' is {classes!r:.80}, expected a list of names")
    return classes


def _row(
    name: str,
    label: int | list[float] | None,
    meta: Sequence[Any] | None,
    classes: Sequence[str],
    where: str,
) -> Row:
    columns: dict[str, str] = {}
    if isinstance(label, list):
        columns = {f"y.{place}": repr(value) for place, value in enumerate(label)}
    elif label is not None and label >= len(classes):
        raise UserError(f"{where} uses label {label}, but names {len(classes)} classes")
    if meta is not None and len(meta) > 3:
        columns["diagnosis"] = _text(meta[3])
    group = _text(meta[2]) if meta is not None else ""
    return Row(
        name, classes[label] if isinstance(label, int) else None, group or name, columns=columns
    )


def _text(value: object) -> str:
    # one name in two Unicode forms is one patient
    return "" if value is None else one_form(str(value))
