"""One picture of all whole slides of a source, with their tissue and the tiles that are taken."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthograph.archive.reader import Archive
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.errors import UserError
from synthograph.core.files import placed, write_bytes
from synthograph.core.record import SourceItem
from synthograph.sources.base import SourceFile
from synthograph.sources.slide_regions import colours_of
from synthograph.sources.slides import sketch
from synthograph.workflows.slide_table import slide_name, tiles_by_slide

_SIDE = 400
MAX_SLIDES = 40
"""Slides on the picture, evenly spread, where there are more."""


_ROW = 4


def draw_slides(items: Sequence[SourceItem], archive: Archive, path: Path) -> None:
    """Draw the slides of items with the tiles that an archive took of them.

    Raises:
        UserError: there is no slide among the items.
    """
    tiles = tiles_by_slide(archive.rows, items)
    if not tiles:
        raise UserError(f"{path}: there is no whole slide to draw; leave --slide-sheet out")
    shown = list(tiles.items())[:: -(-len(tiles) // MAX_SLIDES)]
    pictures, captions = [], []
    for decoder, some in shown:
        _, container, name = decoder.parts[0]
        corners = [(int(r.columns["slide_x"]), int(r.columns["slide_y"])) for r in some]
        picture = sketch(SourceFile(container, name), decoder.reading, corners, _SIDE)
        paper = np.full((_SIDE, _SIDE, 3), 255, np.uint8)
        paper[: picture.shape[0], : picture.shape[1]] = picture
        pictures.append(paper)
        captions.append(f"{slide_name(decoder)}: {len(corners)} tiles")
    starts = range(0, len(pictures), _ROW)
    rows = [("", pictures[i : i + _ROW]) for i in starts]
    words = [captions[i : i + _ROW] for i in starts]
    regions = shown[0][0].reading.slides.regions if shown[0][0].reading.slides else None
    legend = list(colours_of(regions).items()) if regions else []
    write_bytes(placed(path), contact_sheet(rows, factor=1, captions=words, legend=legend))
