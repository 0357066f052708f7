"""Masks that lie beside images, found by their names."""

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import nfc
from synthograph.sources.readers import stem_key

KNOWN = re.compile(
    r"[_\-. ](?:masks?|segmentations?|segs?|labels?|labelmap|gt|ground_?truth|"
    r"annotations?|roi)(?:[_-]?\d{1,3})?$",
    re.IGNORECASE,
)
"""What the name of a mask adds to that of its image, perhaps with a number behind it."""
FOLDERS = frozenset(
    "mask masks label labels labelstr seg segs segmentation segmentations gt groundtruth "
    "ground_truth annotation annotations masques".split()
)
NONE = "none"
BESIDE = "beside"
"""In place of a folder: masks that are found beside images, wherever they lie."""


@dataclass(frozen=True, slots=True)
class MasksBeside:
    """Files that are masks of images and none themselves.

    Attributes:
        owners: each of them with its image; nothing for one in a folder of masks that has none.
        suffixes: how often which ending of the name says so.
        folders: the folder that says so, and how many files it holds.
        example: a mask and its image.
    """

    owners: Mapping[str, str]
    suffixes: Mapping[str, int]
    folders: Mapping[str, int]
    example: tuple[str, str]

    @property
    def names(self) -> frozenset[str]:
        """All masks."""
        return frozenset(self.owners)


def find_masks(images: Sequence[str]) -> MasksBeside | None:
    """Masks among files that look like images, or None.

    A mask is called like an image of its folder and a word more (`x_mask.png` of `x.png`), or lies
    in a folder such as `masks`, of whose files at least half have an image of the same name beside
    that folder.
    """
    stems = {stem_key(name): name for name in images}
    found: dict[str, str] = {}
    suffixes: Counter[str] = Counter()
    for name in images:
        stem = stem_key(name)
        match = KNOWN.search(stem)
        owner = stems.get(stem[: match.start()]) if match else None
        if match and owner:
            found[name] = owner
            suffixes[match[0]] += 1
    folders: Counter[str] = Counter()
    for folder, names in _in_mask_folders(n for n in images if n not in found).items():
        owners = _owners(folder, names, stems)
        if 2 * len(owners) >= len(names):
            found |= {name: owners.get(name, "") for name in names}
            folders[folder] = len(names)
    if not found:
        return None
    example = next((mask, image) for mask, image in found.items() if image)
    return MasksBeside(found, dict(suffixes.most_common()), folders, example)


def masks_beside(images: Sequence[str], where: str) -> MasksBeside:
    """The same where masks are wanted, at most one of each image.

    Args:
        images: relative names of files that look like images.
        where: they are, for messages.

    Raises:
        UserError: there is none, or an image has two.
    """
    beside = find_masks(images)
    if beside is None:
        raise UserError(
            f"--masks {BESIDE}: {where} holds no mask beside an image, such as x_mask.png of x.png "
            "or masks/x.png; give the folder of masks"
        )
    first: dict[str, str] = {}
    for mask, image in beside.owners.items():
        other = first.setdefault(image, mask)
        if image and other != mask:
            raise UserError(
                f"--masks {BESIDE}: {image!r} has two masks, {other!r} and {mask!r}; say which "
                "with --mask-suffix, or give their folder"
            )
    return beside


def _in_mask_folders(names: Iterable[str]) -> dict[str, list[str]]:
    """Files by the first folder above them that is called like one of masks."""
    result: dict[str, list[str]] = {}
    for name in names:
        parts = name.split("/")
        place = next((i for i, part in enumerate(parts[:-1]) if part.lower() in FOLDERS), None)
        if place is not None:
            result.setdefault("/".join(parts[: place + 1]), []).append(name)
    return result


def _owners(folder: str, names: Sequence[str], stems: Mapping[str, str]) -> dict[str, str]:
    """Mask -> image of that name in the folder above, or in a folder beside."""
    above = folder.rpartition("/")[0]
    front = f"{nfc(above)}/" if above else ""
    beside = {}
    for stem, image in stems.items():
        inner = stem.removeprefix(front)
        if stem.startswith(front) and inner.partition("/")[0].lower() not in FOLDERS:
            beside[inner] = image
            beside.setdefault(inner.partition("/")[2] or inner, image)
    result = {}
    for name in names:
        inner = stem_key(name).removeprefix(f"{nfc(folder)}/")
        owner = beside.get(inner) or beside.get(KNOWN.sub("", inner))
        if owner:
            result[name] = owner
    return result


@dataclass(frozen=True, slots=True)
class Apart:
    """Images, the files beside them that are kept as masks, and what is said about others."""

    images: list[str]
    masks: list[str]
    remarks: list[str]


def set_apart(images: Sequence[str], root: Path, suffix: str | None, *, given: bool) -> Apart:
    """The images without those that are masks of others.

    Args:
        images: relative names of files that look like images.
        root: the folder or zip they are in, for messages.
        suffix: ending of the masks that are wanted; `NONE` where all are images; None to offer.
        given: whether masks are given in another way.

    Raises:
        UserError: no file has the suffix.
    """
    if suffix == NONE:
        return Apart(list(images), [], [])
    masks: list[str] = []
    if suffix is not None and not given:
        stems = set(map(stem_key, images))
        masks = [n for n in images if stem_key(n).endswith(suffix)]
        masks = [n for n in masks if stem_key(n)[: -len(suffix)] in stems]
        if not masks:
            raise UserError(
                f"--mask-suffix {suffix!r}: no file is called like another one with that ending, "
                f"such as {stem_key(images[0])}{suffix}.png"
            )
        images = [name for name in images if name not in set(masks)]
    beside = find_masks(images)
    if beside is None:
        return Apart(list(images), masks, [])
    mask, image = beside.example
    images = [name for name in images if name not in beside.owners]
    ways = [f"--mask-suffix {shlex.quote(ending)}" for ending in beside.suffixes]
    folders = [str(root / folder) for folder in beside.folders if "/" not in folder]
    ways += [f"--masks {shlex.quote(folder)}" for folder in folders]
    several = len({name.rpartition("/")[0] for name in images}) > 1 and beside.folders
    way = ways[0] if len(ways) == 1 and not several else f"--masks {BESIDE}"
    use = "" if given or masks else f"add {way} to keep them as masks, or "
    remark = (
        f"{len(beside.owners)} file(s) are masks of images and no images ({mask} of {image}): "
        f"{use}add --mask-suffix {NONE} to take them for images"
    )
    return Apart(images, masks, [remark])


def offer_masks(root: Path, folder: str) -> str:
    """What is added to a remark on files of a folder that is called like one of masks."""
    above, _, name = folder.rpartition("/")
    way = BESIDE if above else shlex.quote(str(root / folder))
    return f"; add --masks {way} to keep them as masks" if name.lower() in FOLDERS else ""
