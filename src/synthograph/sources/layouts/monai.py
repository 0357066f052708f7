"""Datalists of MONAI: a JSON with lists of images by split."""

from collections.abc import Iterable

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import JsonObject
from synthograph.sources.layouts.base import (
    Entry,
    MaskFile,
    objects_of,
    read_json,
    text_of,
    texts_of,
)
from synthograph.sources.readers import is_image

LISTS = {"training": "train", "validation": "val", "test": "test"}


class Monai:
    """`label` is a mask where it is the name of a file, else a class by number or name."""

    name = "monai"

    def entries(self, source: Container, named: str) -> Iterable[Entry]:
        """The items of all lists of the first JSON file that has such."""
        there = set(source.members().names)
        every = sorted(n for n in there if n.endswith(".json") and "/" not in n)
        for name in [named] if named else every:
            tree = read_json(source, name)
            if any(isinstance(tree.get(key), list) for key in LISTS):
                return list(_entries(tree, f"{source}/{name}", there))
        raise UserError(f"{source}: holds no JSON with a list {' or '.join(LISTS)}")


def _entries(tree: JsonObject, where: str, there: set[str]) -> Iterable[Entry]:
    modalities = tree.get("modality")
    names = list(modalities.values()) if isinstance(modalities, dict) else []
    labels = tree.get("labels")
    classes = labels if isinstance(labels, dict) else {}
    every = {key: _items(tree, key, where) for key in LISTS if key in tree}
    lists = {key: items for key, items in every.items() if items}
    stated = any("split" in item for items in lists.values() for item in items)
    for key, items in lists.items():
        for item in items:
            files = [one.removeprefix("./") for one in _images(item, where)]
            known = texts_of(item, ("image", "label", "class"))
            if not stated and len(lists) > 1:
                known["split"] = LISTS[key]
            label = item.get("label")
            if not isinstance(label, str | int | float | None):
                raise UserError(f"{where}: label {label!r:.80} is neither number nor text")
            mask = str(label).removeprefix("./") if isinstance(label, str) else ""
            if "class" in item:
                known["label"] = text_of(item["class"])
            elif label is not None and mask not in there:
                if is_image(mask):
                    raise UserError(f"{where}: lists {mask!r:.200}, which is not there")
                known["label"] = str(classes.get(text_of(label), text_of(label)))
            if len(names) > len(files):
                raise UserError(
                    f"{where}: modality names {', '.join(map(str, names)):.200}, and {files[0]!r} "
                    f"stands for {len(files)} of them: save each as a file of its own and list "
                    "these under image; colours of one image are one modality"
                )
            named = [str(n) for n in names] or ["image"]
            if len(set(named)) < len(files):
                named = [f"image{n}" for n in range(len(files))]
            parts = {name: [file] for name, file in zip(named, files, strict=True)}
            yield Entry(parts, known, MaskFile(mask) if mask in there else None)


def _items(tree: JsonObject, key: str, where: str) -> list[JsonObject]:
    """A list of what is known of images, or of their names alone."""
    found = tree[key]
    if isinstance(found, list) and all(isinstance(one, str) for one in found):
        return [{"image": one} for one in found]
    return objects_of(tree, key, where)


def _images(item: JsonObject, where: str) -> list[str]:
    image = item.get("image")
    files = image if isinstance(image, list) else [image]
    if not files or not all(isinstance(file, str) for file in files):
        raise UserError(f"{where}: an item has no image")
    return files
