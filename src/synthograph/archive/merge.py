"""Several archives as one: patients of different archives stay different ones, and stay known."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from synthograph.archive.batches import ArchiveRows, patient_of
from synthograph.archive.copies import one_coloured
from synthograph.archive.linked import Pick, described_for
from synthograph.archive.manifest import HOME_GROUP, HOME_NAMESPACE, Row, crossing_groups
from synthograph.archive.reader import Archive, ArchiveInfo
from synthograph.core.errors import UserError
from synthograph.core.names import first_few

ARCHIVE = "archive"
"""Column of images of several archives: which one they come from."""


def merged_info(archives: Sequence[Archive]) -> ArchiveInfo:
    """What `dataset.json` of all these images says: classes of all, and invariances that hold in
    all.

    Raises:
        UserError: images are of different size, modalities or depth.
    """
    first = described_for(archives[0])
    for each in archives[1:]:
        if each.info.spec != first.spec:
            raise UserError(
                f"{each.path}: holds images of {each.info.spec.describe()}, {archives[0].path} of "
                f"{first.spec.describe()}: prepare both alike"
            )
    classes = dict.fromkeys(name for each in archives for name in each.info.classes)
    stated = [each.info.invariances for each in archives]
    kept = None
    if stated[0] is not None and None not in stated:
        kept = [one for one in stated[0] if all(one in (some or ()) for some in stated)]
    split = first.split if len(archives) == 1 else None
    return first.model_copy(update={"classes": list(classes), "invariances": kept, "split": split})


def merged(archives: Sequence[Archive]) -> list[Pick]:
    """The images of all archives, in order.

    A group of a later archive keeps its name, unless an earlier one has another group of that name,
    and is known by the namespace of its own archive. Archives of one namespace hold the same
    groups.

    Raises:
        UserError: an image or a group is in two archives, in different splits.
    """
    if len(archives) == 1:
        return [Pick(archives[0], row, row) for row in archives[0].rows]
    _refuse_shared(archives)
    titles = _titles(archives)
    namespaces = [described_for(each).namespace for each in archives]
    names = _names(archives, titles, namespaces)
    picks = []
    for archive, title, namespace in zip(archives, titles, namespaces, strict=True):
        for row in archive.rows:
            group = names[patient_of(row, namespace)]
            alike = namespace == namespaces[0] and group == row.group
            home = {} if alike else {HOME_NAMESPACE: namespace, HOME_GROUP: row.group}
            columns = {ARCHIVE: title, **home, **row.columns}
            picks.append(Pick(archive, row, replace(row, group=group, columns=columns)))
    _refuse_crossing(archives, [pick.becomes for pick in picks])
    return picks


def _names(
    archives: Sequence[Archive], titles: Sequence[str], namespaces: Sequence[str]
) -> dict[str, str]:
    """Patient -> name of the group, which no other patient has."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for archive, title, namespace in zip(archives, titles, namespaces, strict=True):
        for row in archive.rows:
            patient, name = patient_of(row, namespace), row.group
            if patient not in names:
                while name in taken:
                    name = f"{name} ({title})"
                taken.add(name)
                names[patient] = name
    return names


def _titles(archives: Sequence[Archive]) -> list[str]:
    """What the archives are called, each with a name of its own."""
    names = [each.name for each in archives]
    return [
        f"{name} {number}" if names.count(name) > 1 else name
        for number, name in enumerate(names, start=1)
    ]


def _refuse_crossing(archives: Sequence[Archive], rows: Sequence[Row]) -> None:
    """Refuse a group that is in several archives, in different splits."""
    crossing = crossing_groups(rows)
    if crossing:
        raise UserError(
            f"{len(crossing)} groups of {' and '.join(str(each.path) for each in archives)} are in "
            f"two splits, such as {first_few(map(repr, crossing))}: prepare all images as one "
            "archive, and split that"
        )


def _refuse_shared(archives: Sequence[Archive]) -> None:
    """Refuse an image that is in several archives, in different splits; one of a single colour may
    be.
    """
    for one, other in combinations(archives, 2):
        places = dict(zip(ArchiveRows(one, one.rows).digests, one.rows, strict=True))
        pairs = [
            (places[digest], row)
            for digest, row in zip(ArchiveRows(other, other.rows).digests, other.rows, strict=True)
            if digest in places and places[digest].split != row.split
        ]
        pairs = [(a, b) for a, b in pairs if not one_coloured(one.read(a))]
        if pairs:
            named = first_few([f"{a.file} ({a.split}) = {b.file} ({b.split})" for a, b in pairs])
            raise UserError(
                f"{len(pairs)} images of {one.path} are in {other.path}, too, in another split: "
                f"{named}: prepare all images as one archive, and split that"
            )
