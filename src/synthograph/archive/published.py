"""Rows of archives of the published tools, which have PNGs and `dataset.json` but no manifest."""

from collections.abc import Collection
from pathlib import Path

from synthograph.archive.manifest import Row, check_member
from synthograph.core.errors import UserError
from synthograph.core.untrusted.dataset_json import DATASET, ImageEntry, parse_dataset_json
from synthograph.core.untrusted.documents import JsonObject

NO_PNG = (".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
MAX_CLASSES = 10_000


def published_rows(
    document: JsonObject, names: Collection[str], path: Path
) -> tuple[list[Row], JsonObject]:
    """The rows of the PNGs, and the document with its classes.

    An image belongs to the patient that `"meta"` gives it, else it is its own group.

    Raises:
        UserError: an image is no PNG, or `dataset.json` contradicts itself, leaves out an image or
            names another file.
    """
    images = [name for name in sorted(names) if name.lower().endswith(".png")]
    others = [name for name in sorted(names) if name.lower().endswith(NO_PNG)]
    if others:
        raise UserError(
            f"{path}: {len(others)} of its {len(images) + len(others)} images are no PNG, such as "
            f"{others[0]!r}: make an archive of all with 'synthograph prepare'"
        )
    where = f"{path}: {DATASET}"
    listing = parse_dataset_json(document, where, check_member)
    for name in sorted({*listing.images, *listing.without_label}.difference(images)):
        kind = "which is no PNG" if name in names else "but there is no such file"
        raise UserError(f"{where} names {name!r}, {kind}")
    unlabelled = [name for name in images if name not in listing.images]
    if listing.images and unlabelled:
        raise UserError(
            f"{where} has no label for {unlabelled[0]!r} "
            f"({len(unlabelled)} such images): label all images or none"
        )
    most = max((i.label for i in listing.images.values() if i.label is not None), default=-1)
    if most >= MAX_CLASSES:
        raise UserError(
            f"{where}: label {most} lies outside 0 to {MAX_CLASSES - 1}: number the classes from 0"
        )
    classes = list(listing.classes or map(str, range(most + 1)))
    rows = []
    for name in images:
        image = listing.images.get(name, ImageEntry(None, None, {}))
        label = None if image.label is None else classes[image.label]
        rows.append(Row(name, label, image.group or name, columns=image.columns))
    return rows, {**document, "classes": classes}
