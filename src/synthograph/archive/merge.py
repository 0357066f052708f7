"""Several archives as one: patients of different archives stay different ones, and stay known."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import one_coloured
from synthograph.archive.linked import Pick, described_for
from synthograph.archive.manifest import HOME_GROUP, HOME_NAMESPACE
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

    A group of a later archive keeps its name, unless another archive has a group of that name, and
    is known by the namespace of its own archive.

    Raises:
        UserError: an image is in two archives, in different splits.
    """
    if len(archives) == 1:
        return [Pick(archives[0], row, row) for row in archives[0].rows]
    _refuse_shared(archives)
    groups = [{row.group for row in each.rows} for each in archives]
    picks = []
    for number, archive in enumerate(archives):
        others = set[str]().union(*(some for n, some in enumerate(groups) if n != number))
        name = archive.name
        if [each.name for each in archives].count(name) > 1:
            name = f"{name} {number + 1}"
        namespace = described_for(archive).namespace
        alike = namespace == described_for(archives[0]).namespace
        for row in archive.rows:
            home = {} if alike else {HOME_NAMESPACE: namespace, HOME_GROUP: row.group}
            taken = not alike and row.group in others
            becomes = replace(
                row,
                group=f"{row.group} ({name})" if taken else row.group,
                columns={ARCHIVE: name, **home, **row.columns},
            )
            picks.append(Pick(archive, row, becomes))
    return picks


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
