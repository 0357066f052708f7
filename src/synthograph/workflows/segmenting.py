"""What training, evaluating and using a segmenter have in common."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.masked import MaskedImages
from synthograph.archive.reader import Archive
from synthograph.core.contact_sheets import as_rgb
from synthograph.core.errors import UserError
from synthograph.core.overlays import enlarged, overlay
from synthograph.core.progress import Track
from synthograph.downstream.segmenter import Segmenter
from synthograph.stats.masks import IGNORED, Overlaps, compare_masks

PIXELS_AT_ONCE = 1 << 20
MIN_SIDE = 160
"""Pixels that pictures have at least along their shorter side."""


def predicted_masks(
    segmenter: Segmenter, rows: ArchiveRows, track: Track
) -> UInt8[Tensor, "n h w"]:
    """The class of every pixel, in the order of `rows.images`; modalities are as in training."""
    spec = rows.archive.info.spec
    size = max(1, PIXELS_AT_ONCE // (spec.height * spec.width))
    parts = torch.arange(len(rows.rows)).split(size)
    found = [segmenter.predict(rows.gather(part)) for part in track(parts, len(parts))]
    return torch.cat(found)


def overlaps_of(
    images: MaskedImages, masks: UInt8[Tensor, "n h w"], classes: int, *, distances: bool = True
) -> Overlaps:
    """What predicted masks have in common with the true ones."""
    return compare_masks(
        images.masks, masks.numpy(), classes, groups=images.rows.images.groups, distances=distances
    )


def drawn_beside(
    rows: ArchiveRows, number: int, masks: Sequence[UInt8[np.ndarray, "h w"]]
) -> list[np.ndarray]:
    """An image, and the same with each mask drawn into it, as RGB pictures of one size.

    Args:
        rows: of an archive.
        number: which of them, in the order of `rows.images`.
        masks: class numbers; modalities stand side by side and get the same mask.
    """
    spec = rows.archive.info.spec
    factor = max(1, -(-MIN_SIDE // min(spec.height, spec.width)))
    picture = as_rgb(rows.archive.read(rows.ordered[number]), spec.modalities.values())
    wide = (np.tile(mask, (1, len(spec.modalities))) for mask in masks)
    drawn = (overlay(picture, mask, ignored=IGNORED, factor=factor) for mask in wide)
    return [enlarged(picture, factor), *drawn]


def same_classes(archive: Archive, classes: Mapping[str, int]) -> list[str]:
    """Refuse synthetic masks whose numbers mean other classes than those of the real ones.

    Args:
        archive: whose masks are used; its record names the classes of masks that were generated.
        classes: name of every class and its mask value.

    Returns:
        A note where the classes have no names, so that nothing tells whether they are the same.

    Raises:
        UserError: a number stands for classes of two names.
    """
    ours = {value: name for name, value in classes.items()}
    unnamed = all(name == str(value) for name, value in classes.items())
    notes = []
    for names in _named_classes(archive):
        said = ", ".join(f"{value} {name}" for value, name in enumerate(names))
        if unnamed:
            notes.append(
                f"the synthetic masks have the classes {said}; name those of the real masks with "
                "--classes to have them compared"
            )
            continue
        for value, name in list(enumerate(names))[1:]:
            if ours.get(value, name).casefold() != name.casefold():
                raise UserError(
                    f"{archive.path.name}: mask value {value} is {ours[value]!r} in the real masks "
                    f"and {name!r} in the synthetic ones ({said}): import the painted masks with a "
                    "palette in the order of the real mask values, and train and generate anew"
                )
    return list(dict.fromkeys(notes))


def _named_classes(archive: Archive) -> Iterator[list[str]]:
    """Classes of each mask generator that made masks of an archive."""
    for document in archive.info.snapshots:
        about = document.get("mask_generator")
        listed = about.get("classes") if isinstance(about, dict) else None
        if isinstance(listed, list) and all(isinstance(each, dict) for each in listed):
            yield [str(each.get("name", "")) for each in listed]
