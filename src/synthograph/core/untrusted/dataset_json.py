"""`dataset.json`: labels as the published tools write them, and patients as Thy-GAN does."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.names import nfc

DATASET, MANIFEST = "dataset.json", "manifest.csv"
LISTS = (DATASET, MANIFEST)
"""An archive of images holds one of them, ours both."""
LINKS = "links.json"
"""Beside them where the images lie in other archives."""

_FORMS = {
    "labels": ("[file, label]", (2,)),
    "meta": ("[file, label, patient] or [file, label, patient, diagnosis]", (3, 4)),
}
"""Key of the document -> the form of its entries, and how many values one has."""


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """What the document says about one image."""

    label: int | None
    """Class index; None where the label is a vector."""
    group: str | None
    """Patient, in one Unicode form."""
    columns: Mapping[str, str]
    """`diagnosis`, and the numbers of a label vector as y.0, y.1, ..."""


@dataclass(frozen=True, slots=True)
class DatasetJson:
    """The content of a `dataset.json`; `images` is what stands there by file."""

    images: Mapping[str, ImageEntry]
    classes: tuple[str, ...] | None
    """Names in index order, in one Unicode form."""
    grouped: bool
    """Whether it names patients."""
    without_label: frozenset[str] = frozenset()
    """Files that have a patient only, where labels are vectors."""


def parse_dataset_json(
    document: Mapping[str, object], origin: str, file_name: Callable[[str, str], str]
) -> DatasetJson:
    """The labels and patients of a document.

    `"labels": [[file, label], ...]`, where a label is a class index or a list of finite numbers.
    `"meta": [[file, index, patient, diagnosis], ...]` gives groups, and the labels of files that
    are not in `"labels"`. `"classes"` names the classes in index order.

    Args:
        document: JSON data, with keys of others too.
        origin: its name, for messages.
        file_name: gets a file's name as it is written and the place where it stands; returns the
            one by which the file is looked for, or refuses it.

    Raises:
        UserError: another structure, a file listed twice, an index that is no whole number or lies
            outside the classes, a number that is not finite, or vectors of different length.
    """
    classes = _classes(document.get("classes"), origin)
    labels, meta = (_entries(document.get(k), k, origin, file_name) for k in ("labels", "meta"))
    vectors = [entry[1] for entry in labels.values() if isinstance(entry[1], list)]
    if vectors and len(vectors) < len(labels):
        raise UserError(
            f"{origin}: some labels are class indices and some are vectors; use one kind"
        )
    if len(set(map(len, vectors))) > 1:
        raise UserError(f"{origin}: label vectors differ in length")
    for name in labels.keys() & meta.keys() if not vectors else ():
        if labels[name][1] != meta[name][1]:
            raise UserError(
                f'{origin}: {name!r} is {shortened(labels[name][1])} in "labels" and '
                f'{shortened(meta[name][1])} in "meta": correct one of them'
            )
    entries = labels if vectors else {**meta, **labels}
    images = {
        name: _listed(entry[1], meta.get(name), classes, f"{origin}, entry {name!r}")
        for name, entry in entries.items()
    }
    return DatasetJson(images, classes, bool(meta), frozenset(meta.keys() - images.keys()))


def _classes(value: object, origin: str) -> tuple[str, ...] | None:
    if value is None or value == []:
        return None
    listed = value if isinstance(value, list) else []
    names = tuple(nfc(name) for name in listed if isinstance(name, str) and name.strip())
    if not names or len(set(names)) < len(listed):
        raise UserError(f'{origin}: "classes" must be a list of different names, in index order')
    return names


def _entries(
    value: object, key: str, origin: str, file_name: Callable[[str, str], str]
) -> dict[str, list[Any]]:
    """The entries of a list [[file, ...], ...] by file."""
    if value is None:
        return {}
    form, lengths = _FORMS[key]
    if not isinstance(value, list):
        raise UserError(
            f'{origin}: "{key}" must be a list of {form}, or null; correct it or remove it'
        )
    entries: dict[str, list[Any]] = {}
    for number, entry in enumerate(value, start=1):
        where = f'{origin}, entry {number} of "{key}"'
        fits = isinstance(entry, list) and len(entry) in lengths
        if not fits or not isinstance(entry[0], str) or not entry[0].strip():
            raise UserError(f"{where}: {shortened(entry)} is not of the form {form}")
        name = file_name(entry[0], where)
        if name in entries:
            raise UserError(f"{where}: {name!r} is listed twice")
        entries[name] = entry
    return entries


def _listed(
    label: object, meta: list[Any] | None, classes: tuple[str, ...] | None, where: str
) -> ImageEntry:
    columns: dict[str, str] = {}
    if isinstance(label, list) and label:
        columns = {f"y.{place}": _number(value, where) for place, value in enumerate(label)}
    elif isinstance(label, bool) or not isinstance(label, int) or label < 0:
        raise UserError(
            f"{where}: label {shortened(label)} is neither a class index (0, 1, ...) nor a list of "
            "numbers"
        )
    elif classes is not None and label >= len(classes):
        raise UserError(
            f"{where}: label {shortened(label)} lies outside the {len(classes)} classes, "
            f"0 to {len(classes) - 1}"
        )
    group = None
    if meta is not None:
        group = _text(meta[2]) or None
        columns |= {"diagnosis": _text(meta[3])} if len(meta) > 3 else {}
    return ImageEntry(label if isinstance(label, int) else None, group, columns)


def _number(value: object, where: str) -> str:
    if isinstance(value, int | float) and is_finite(value):
        return repr(float(value))
    raise UserError(f"{where}: {shortened(value)} is not a finite number, as label vectors need")


def is_finite(value: object) -> bool:
    """Whether a value is a finite number or the text of one; True and False are not."""
    try:
        return not isinstance(value, bool) and math.isfinite(float(value))  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return False


def _text(value: object) -> str:
    # one name in two Unicode forms is one patient
    return "" if value is None else nfc(str(value))


def shortened(value: object) -> str:
    """A value in ASCII for messages, at most 60 characters."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
