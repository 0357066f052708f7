"""Painted images of annotation sets: their masks as files, and drawn over them."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import UInt8

from synthograph.annotation.palettes import Palette
from synthograph.archive.png import decode_png
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.files import placed, write_bytes, write_json
from synthograph.core.overlays import overlay
from synthograph.results.annotations import IMAGES, PALETTE, SET, AnnotatedImage, MaskClass
from synthograph.stats.masks import IGNORED
from synthograph.workflows.annotation_sets import OpenSet, indexed_png, mask_place

PAINTED = "painted.png"
MAX_SHOWN = 200
COLUMNS = 6
SIDE = 96
"""Pixels that small images are enlarged to."""


def sheet_image(opened: OpenSet, image: AnnotatedImage) -> UInt8[np.ndarray, "h w 3"]:
    """An image as people paint it: RGB, modalities side by side."""
    path = opened.folder / IMAGES / f"{image.id}.png"
    pixels = decode_png(path.read_bytes(), str(path))
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def painted_sheet(opened: OpenSet) -> bytes:
    """A contact sheet of all painted images, each with its mask over every modality."""
    about = opened.about
    factor = max(1, -(-SIDE // about.height))
    colours = [each.colour for each in about.classes]
    tiles, names = [], []
    for image in about.painted[:MAX_SHOWN]:
        shown = sheet_image(opened, image)
        ids = np.tile(opened.mask(image), (1, shown.shape[1] // about.width))
        tiles.append(overlay(shown, ids, ignored=IGNORED, factor=factor, colours=colours))
        names.append(image.id[:16])
    parts = range(0, len(tiles), COLUMNS)
    return contact_sheet(
        [(str(k + 1), tiles[k : k + COLUMNS]) for k in parts],
        factor=1,
        captions=[names[k : k + COLUMNS] for k in parts],
        legend=legend_of(about.classes),
    )


def write_painted(
    opened: OpenSet, masks: Mapping[str, UInt8[np.ndarray, "h w"]], painter: str, palette: Palette
) -> None:
    """Write masks of a painter, by the ids of their images, and the record that names them."""
    folder, about = opened.folder, opened.about
    by_id = about.by_id()
    for name, ids in masks.items():
        image = by_id[name]
        own = next(mask for mask in image.masks if mask.painter == painter)
        path = placed(folder / mask_place(image, own))
        write_bytes(path, indexed_png(ids, about.classes))
    write_json(folder / PALETTE, palette.json())
    about.save(folder / SET)
    write_bytes(folder / PAINTED, painted_sheet(opened))


def legend_of(classes: tuple[MaskClass, ...]) -> list[tuple[str, tuple[int, int, int]]]:
    """Name and colour of every class but the background."""
    return [(each.name, each.colour) for each in classes[1:]]
