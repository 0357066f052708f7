"""A table of the whole slides of an archive: tiles, why others are left out, and the stain."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.files import placed, write_text
from synthograph.core.record import SourceItem
from synthograph.sources.readers import FileDecoder
from synthograph.sources.slides import stem_of
from synthograph.sources.stains import Stain, measure_stain
from synthograph.workflows.tables import csv_text

TILES = 64
"""Tiles of a slide whose stain is measured, evenly spread, where there are more."""
_CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}


def write_slides(
    archive: Archive,
    items: Sequence[SourceItem],
    left_out: Mapping[str, Mapping[str, int]],
    path: Path,
) -> list[str]:
    """Write a CSV table with a row per slide.

    Args:
        archive: with tiles of slides.
        items: of which it was made.
        left_out: file of a slide -> reason -> how many of its tiles are not wanted.
        path: the table.

    Returns:
        What there is to say of the stain.

    Raises:
        UserError: there is no tile of a slide.
    """
    tiles = tiles_by_slide(archive.rows, items)
    if not tiles:
        raise UserError(f"{path}: there is no whole slide to list; leave --slide-table out")
    reasons = list(dict.fromkeys(why for counts in left_out.values() for why in counts))
    names = next(iter(archive.info.spec.modalities.values()))
    channels = _CHANNELS.get(names, ())
    head = ["slide", "tiles", "mpp", "tissue", *reasons]
    head += [f"od_{channel}{end}" for channel in channels for end in ("", "_sd")]
    rows, stains = [], []
    for slide, some in tiles.items():
        counts = left_out.get(slide.parts[0][2], {})
        stain = _stain(archive, some) if channels and archive.info.spec.bits == 8 else None
        stains += [] if stain is None else [stain]
        tissue = np.mean([float(row.columns["tissue"]) for row in some])
        told = [slide_name(slide), len(some), some[0].columns["mpp"], f"{tissue:.2f}"]
        told += [counts.get(why, 0) for why in reasons]
        pairs = () if stain is None else zip(stain.mean, stain.spread, strict=True)
        rows.append([*told, *(f"{value:.3f}" for pair in pairs for value in pair)])
    write_text(placed(path), csv_text(head, rows))
    return [f"{path}", *_said(stains, channels)]


def tiles_by_slide(
    rows: Sequence[Row], items: Sequence[SourceItem]
) -> dict[FileDecoder, list[Row]]:
    """The tiles of every whole slide of an archive that was made of items, by what decodes all of
    it.
    """
    slides = {
        item.stored_name: replace(item.decode, frame="", mask=None)
        for item in items
        if "slide_x" in item.columns and isinstance(item.decode, FileDecoder)
    }
    tiles: dict[FileDecoder, list[Row]] = {}
    for row in rows:
        if row.source in slides:
            tiles.setdefault(slides[row.source], []).append(row)
    return tiles


def slide_name(slide: FileDecoder) -> str:
    """What a slide is called: its file, or its group's pseudonym where such are wanted."""
    _, _, name = slide.parts[0]
    return name if slide.reading.dicom.salt is None else slide.reading.group(stem_of(name))


def _stain(archive: Archive, rows: Sequence[Row]) -> Stain | None:
    places = np.unique(np.linspace(0, len(rows) - 1, TILES).astype(int))
    return measure_stain(archive.read(rows[n]) for n in places.tolist())


def _said(stains: Sequence[Stain], channels: Sequence[str]) -> list[str]:
    if not stains:
        return []
    means = np.array([stain.mean for stain in stains])
    told = ", ".join(
        f"{name} {values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"
        for name, values in zip(channels, means.T, strict=True)
    )
    return [f"  stain, mean optical density of {len(stains)} slide(s), least to largest: {told}"]
