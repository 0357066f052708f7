"""Images with regions as COCO keeps them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeGuard

import numpy as np
import PIL.Image
import PIL.ImageDraw

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import JsonObject
from synthograph.sources.cells import split_of
from synthograph.sources.layouts.base import Entry, objects_of, read_json, texts_of

MAX_PLACE = 1_000_000
FIXED = ("id", "file_name", "height", "width", "license", "masked", "modality", "modalities")


class Coco:
    """A category's number is the value in the mask; of regions that overlap the later one counts.
    Run lengths (as lists or packed) and polygons are read. The name of the JSON says the split, or
    that of its folder, unless a key does.
    """

    name = "coco"

    def entries(self, source: Container, named: str) -> Iterable[Entry]:
        """An image of any of the JSON files each."""
        members = source.members()
        names = members.names
        lists = [named] if named else sorted(n for n in names if n.endswith(".json"))
        trees = {name: read_json(source, name) for name in lists}
        trees = {name: tree for name, tree in trees.items() if "images" in tree}
        if not trees:
            raise UserError(f"{source}: holds no JSON of COCO, which has images and annotations")
        listed = {*names, *dict(members.broken)}
        for name, tree in trees.items():
            yield from _entries(source, name, tree, listed)


def _entries(source: Container, name: str, tree: JsonObject, there: set[str]) -> Iterable[Entry]:
    where, stem = f"{source}/{name}", PurePosixPath(name).stem
    parts = (stem, stem.rpartition("_")[2], PurePosixPath(name).parent.name)
    split = next(filter(None, map(split_of, parts)), None)
    images = objects_of(tree, "images", where)
    regions: dict[object, list[Region]] = {_id(image, "id", where): [] for image in images}
    if len(regions) < len(images):
        raise UserError(f"{where}: two images have one id, so nobody knows whose regions are whose")
    for each in objects_of(tree, "annotations", where):
        number = _id(each, "image_id", where)
        if number not in regions:
            raise UserError(
                f"{where}: an annotation is of image {number!r:.80}, which is not listed"
            )
        regions[number].append(_region(each, where))
    for image in images:
        known = texts_of(image, FIXED)
        if split and "split" not in known:
            known["split"] = split
        file = str(image.get("file_name")).removeprefix("./")
        folder = next((h for h in _folders(stem, name) if f"{h}{file}" in there), "")
        further = image.get("modalities")
        files = {str(image.get("modality", "image")): [folder + file]}
        if isinstance(further, dict):
            files |= {str(m): [f"{folder}{one}"] for m, one in further.items()}
        own = regions[image.get("id")]
        stated = image.get("height"), image.get("width")
        mask = RegionMask(tuple(own), stated) if own or image.get("masked") else None
        yield Entry(files, known, mask)


def _id(tree: JsonObject, key: str, where: str) -> object:
    found = tree.get(key)
    if type(found) not in (int, str):
        raise UserError(f"{where}: {key} {found!r:.80} is neither a whole number nor text")
    return found


def _folders(stem: str, name: str) -> list[str]:
    """Where the images of a list may lie, beside it or above: instances_train2017 -> train2017."""
    last, above = stem.rpartition("_")[2], str(PurePosixPath(name).parent)
    heads = ["", f"{last}/", "images/", f"images/{last}/"]
    return heads if above == "." else [*heads, f"{above}/"]


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels of one category: run lengths with their size, or polygons."""

    value: int
    counts: tuple[int, ...] | str | None
    size: tuple[int, int] | None
    polygons: tuple[tuple[float, ...], ...] = ()


def _region(tree: JsonObject, where: str) -> Region:
    value, shape = tree.get("category_id"), tree.get("segmentation")
    if type(value) is not int or not 0 < value <= 255:
        raise UserError(f"{where}: category_id {value!r} is no value of a mask, which are 1 to 255")
    if isinstance(shape, dict):
        counts, size = shape.get("counts"), shape.get("size")
        if isinstance(counts, list | str) and _whole(size) and len(size) == 2:
            pair = (size[0], size[1])
            return Region(value, counts if isinstance(counts, str) else tuple(counts), pair)
    if isinstance(shape, list) and all(map(_places, shape)):
        return Region(value, None, None, tuple(tuple(map(float, one)) for one in shape))
    raise UserError(f"{where}: an annotation has neither run lengths nor polygons")


def _whole(values: object) -> TypeGuard[list[int]]:
    return isinstance(values, list) and all(type(v) is int for v in values)


def _places(values: object) -> bool:
    """Pairs of numbers that are near enough to an image to be drawn."""
    return (
        isinstance(values, list)
        and len(values) % 2 == 0
        and all(type(v) in (int, float) and abs(v) < MAX_PLACE for v in values)
    )


@dataclass(frozen=True, slots=True)
class RegionMask:
    """A mask of regions, drawn on an image of the stated height and width; picklable."""

    regions: tuple[Region, ...]
    stated: tuple[object, object] = (None, None)

    def __call__(self, source: Container, size: tuple[int, int]) -> np.ndarray:
        """Class ids [h, w].

        Raises:
            UnreadableError: run lengths, or a stated size, that are not those of the image.
        """
        if self.stated not in ((None, None), size):
            high, wide = self.stated
            raise UnreadableError(
                f"is listed with {wide}x{high} pixels and has {size[1]}x{size[0]}, so its regions "
                "do not fit"
            )
        mask = np.zeros(size, np.uint8)
        for region in self.regions:
            mask[_inside(region, size)] = region.value
        return mask


def _inside(region: Region, size: tuple[int, int]) -> np.ndarray:
    if region.counts is None:
        drawn = PIL.Image.new("1", (size[1], size[0]))
        for polygon in region.polygons:
            if len(polygon) >= 6:
                PIL.ImageDraw.Draw(drawn).polygon(polygon, fill=1)
        return np.asarray(drawn)
    counts = _unpacked(region.counts) if isinstance(region.counts, str) else list(region.counts)
    whole = all(isinstance(c, int) and c >= 0 for c in counts) and sum(counts) == size[0] * size[1]
    if region.size != size or not whole:
        raise UnreadableError(f"run lengths of {region.size} are not those of an image of {size}")
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, counts)
    return flat.reshape(size, order="F")


def _unpacked(text: str) -> list[int]:
    """Run lengths of a packed text: five bits a character, each number from the third on as the
    difference to the one before the last (COCO API, maskApi.h).
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UnreadableError("packed run lengths hold another character")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            counts.append(value + counts[-2] if len(counts) > 2 else value)
            value = shift = 0
    return counts
