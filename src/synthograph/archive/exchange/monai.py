"""A datalist as MONAI's `load_decathlon_datalist` reads it: lists of images with what is known."""

from pathlib import Path

from synthograph.archive.exchange.base import case_of, copy_files, has_mask, known_of
from synthograph.archive.reader import Archive
from synthograph.core.files import write_json
from synthograph.core.progress import Track
from synthograph.core.spec import MASKS
from synthograph.core.untrusted.documents import JsonObject

DATALIST = "datalist.json"
LISTS = {"train": "training", "val": "validation", "test": "test"}
"""Split -> key of its list; images without split are in the first, and say no split."""
OWN = {"image", "label", "class"}
"""Keys of an item that are no columns."""


class Monai:
    """`label` is the file of the mask, else the number of the class; `class` is its name."""

    name = "monai"

    def check(self, archive: Archive, target: Path) -> None:
        """Nothing is refused."""

    def lost(self, archive: Archive) -> list[str]:
        """Nothing: items may hold any key."""
        return []

    def write(self, archive: Archive, folder: Path, track: Track) -> int:
        """Copy the files and list them."""
        modalities, index = list(archive.info.spec.modalities), archive.info.label_index
        lists: dict[str, list[JsonObject]] = {}
        for number, row in enumerate(track(archive.rows, len(archive.rows))):
            name = f"{case_of(number)}.png"
            masked = [MASKS] if has_mask(archive, row) else []
            places = {kind: f"{kind}/{name}" for kind in (*modalities, *masked)}
            copy_files(archive, row, {kind: folder / at for kind, at in places.items()})
            images = [places[kind] for kind in modalities]
            item: JsonObject = {"image": images if len(images) > 1 else images[0]}
            known = known_of(row, OWN.__contains__)
            if "label" in known:
                known["class"] = known.pop("label")
                item["label"] = index[known["class"]]
            if masked:
                item["label"] = places[MASKS]
            lists.setdefault(LISTS[row.split or "train"], []).append({**known, **item})
        write_json(
            folder / DATALIST,
            {
                "name": archive.name,
                "modality": {str(place): name for place, name in enumerate(modalities)},
                "labels": {str(place): name for name, place in index.items()},
                **{f"num{key.capitalize()}": len(items) for key, items in lists.items()},
                **lists,
            },
        )
        return len(archive.rows)
