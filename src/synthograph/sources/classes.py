"""Labels: names of classes, or indices into the classes of a dataset.json."""

import re
from collections.abc import Iterable, Mapping, Sequence

from synthograph.core.errors import UserError
from synthograph.sources.tables import TableRow

_INTEGER = re.compile(r"[+-]?[0-9]{1,15}(\.0*)?")


def index_of(label: str | None) -> int | None:
    """The whole number that a label stands for (`1`, or `1.0` as pandas writes it), or None."""
    return int(float(label)) if label is not None and _INTEGER.fullmatch(label) else None


def are_names(
    rows: Mapping[str, TableRow], known: Mapping[str, TableRow], classes: Sequence[str], origin: str
) -> bool | None:
    """Whether labels from elsewhere than a dataset.json are names of its classes, not indices.

    Its own labels decide, which are indices; so are those of any .json.

    Args:
        rows: image -> row whose label is wanted.
        known: image -> row of dataset.json, as far as that gives labels.
        classes: its class names in index order.
        origin: file or option that the labels come from.

    Returns:
        True for names, False for indices, None where neither agrees with its own labels.

    Raises:
        UserError: they could be both and would give different classes, since classes are named by
            numbers.
    """
    named = {row.label: _named(row.label, classes) for row in rows.values()}
    shared = [
        (row.label, index_of(known[name].label)) for name, row in rows.items() if name in known
    ]
    by_index = all(index_of(label) == index for label, index in shared)
    by_name = not origin.lower().endswith(".json")
    by_name = by_name and all(named[label] == classes[index or 0] for label, index in shared)
    if not by_index or not by_name:
        return by_name if by_index or by_name else None
    if None in named.values():
        return False
    indices = {label: index_of(label) for label in named}
    if any(index is None or not 0 <= index < len(classes) for index in indices.values()):
        return True
    for label, index in indices.items():
        if index is not None and classes[index] != named[label]:
            raise UserError(
                f"{origin}: label {label} could be the class {named[label]!r} of dataset.json or "
                f"the index of its class {classes[index]!r}; rename those classes so that none is "
                'a number, or take "classes" out of it'
            )
    return False


def name_classes(
    rows: Iterable[TableRow], classes: Sequence[str] | None, origin: str, *, names: bool = False
) -> tuple[dict[str, str], list[str] | None]:
    """Names for the labels of rows: indices are looked up in `classes`, words are kept.

    Args:
        rows: rows whose labels are wanted.
        classes: class names in index order, or None.
        origin: file or option that the labels come from.
        names: whether numbers are names of classes too, as `are_names` finds out.

    Returns:
        Label as written -> class name, and the class names in order: `classes` where they are in
        use, numbers in numeric order, else None.

    Raises:
        UserError: an index outside `classes`.
    """
    first = {row.label: row for row in reversed(list(rows)) if row.label is not None}
    numbers = bool(first) and all(index_of(label) is not None for label in first)
    if classes is None or names or not numbers:
        named = {label: _named(label, classes or ()) or label for label in first}
        known = classes is not None and set(named.values()) <= set(classes)
        order = sorted(set(named.values()), key=lambda n: (float(n), n)) if numbers else None
        return named, list(classes or ()) if known else order
    named = {}
    for label, row in first.items():
        index = index_of(label) or 0
        if not 0 <= index < len(classes):
            raise UserError(
                f"{origin}, {row.where}: label {label} lies outside the {len(classes)} classes of "
                f"dataset.json, 0 to {len(classes) - 1}"
            )
        named[label] = classes[index]
    return named, list(classes)


def _named(label: str | None, classes: Sequence[str]) -> str | None:
    """The class that a label names (`1.0` also names `1`), or None."""
    if label in classes:
        return label
    number = index_of(label)
    return str(number) if number is not None and str(number) in classes else None
