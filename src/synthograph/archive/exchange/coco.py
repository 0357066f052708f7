"""Images with masks as COCO keeps them: a JSON per split, regions as run lengths."""

from pathlib import Path

import numpy as np

from synthograph.archive.exchange.base import case_of, copy_files, counted, has_mask, known_of
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.files import write_json
from synthograph.core.progress import Track
from synthograph.core.untrusted.documents import JsonObject

UNSPLIT = "all"
OWN = {"id", "file_name", "height", "width", "license", "masked", "modality", "modalities"}
"""Keys of an image that are no columns."""


class Coco:
    """Every mask value but 0 is a category, and its pixels in an image one annotation."""

    name = "coco"

    def check(self, archive: Archive, target: Path) -> None:
        """Nothing is refused."""

    def lost(self, archive: Archive) -> list[str]:
        """Tools that know COCO read one file per image."""
        others = list(archive.info.spec.modalities)[1:]
        what = f"modality {', '.join(others)} (kept under the key modalities)"
        return [*counted(archive, what, lambda row: bool(others))]

    def write(self, archive: Archive, folder: Path, track: Track) -> int:
        """Copy images by split, and list them with their regions."""
        first, *others = archive.info.spec.modalities
        spec, values = archive.info.spec, {0}
        documents: dict[str, tuple[list[JsonObject], list[JsonObject]]] = {}
        for number, row in enumerate(track(archive.rows, len(archive.rows)), start=1):
            split, name = row.split or UNSPLIT, f"{case_of(number - 1)}.png"
            further = {m: f"{m}/{name}" for m in others}
            places = {first: name, **further}
            copy_files(archive, row, {m: folder / split / at for m, at in places.items()})
            image: JsonObject = {
                **known_of(row, OWN.__contains__),
                "id": number,
                "file_name": name,
                "height": spec.height,
                "width": spec.width,
                "modality": first,
            }
            if further:
                image["modalities"] = further
            if has_mask(archive, row):
                image["masked"] = True
            images, regions = documents.setdefault(split, ([], []))
            images.append(image)
            regions += _regions(archive, row, number)
            values |= {region["category_id"] for region in regions}
        categories = [{"id": v, "name": str(v)} for v in sorted(values - {0})]
        (folder / "annotations").mkdir()
        for split, (images, regions) in documents.items():
            numbered = [{"id": n, **each} for n, each in enumerate(regions, start=1)]
            write_json(
                folder / "annotations" / f"instances_{split}.json",
                {"images": images, "annotations": numbered, "categories": categories},
            )
        return len(archive.rows)


def _regions(archive: Archive, row: Row, image: int) -> list[JsonObject]:
    mask = archive.read_mask(row)
    if mask is None:
        return []
    return [_region(mask == v, int(v), image) for v in np.unique(mask) if v]


def _region(inside: np.ndarray, value: int, image: int) -> JsonObject:
    """One annotation: run lengths down the columns, the first of pixels outside."""
    flat = inside.reshape(-1, order="F")
    ends = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff([0, *ends, len(flat)]).tolist()
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return {
        "image_id": image,
        "category_id": value,
        "iscrowd": 1,
        "area": int(inside.sum()),
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "segmentation": {
            "counts": [0, *counts] if flat[0] else counts,
            "size": list(inside.shape),
        },
    }
