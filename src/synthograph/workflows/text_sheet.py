"""What the search for burned-in text and for names in metadata found: a list and a picture."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from synthograph.archive.manifest import SOURCE_FILE
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import write_table
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.files import remove, write_bytes
from synthograph.core.names import first_few
from synthograph.core.record import SourceItem, array_of, in_bits
from synthograph.sources.lettering import find_lines
from synthograph.sources.text_check import METADATA, SEPARATOR, TEXT

_SIDE, _ROW, _BOX = 256, 4, (255, 0, 0)
MAX_SHOWN = 200
"""Images on the picture, evenly spread, where there are more."""


@dataclass(frozen=True, slots=True)
class TextFound:
    """What was found.

    Attributes:
        looked_at: images that were looked at.
        text: names of those that may hold burned-in text.
        metadata: kinds of metadata that may name people -> images of whose files they are.
        list: table of both; None where nothing was found.
        sheet: picture of the images with text; None where there are none.
    """

    looked_at: int
    text: Sequence[str]
    metadata: Counter[str]
    list: Path | None
    sheet: Path | None

    def lines(self) -> Iterator[str]:
        """For the console."""
        if self.text:
            yield (
                f"warning: {len(self.text)} of {self.looked_at} images may hold burned-in text, "
                f"which can name a patient: look at {self.sheet} and leave out or blacken those "
                "that do"
            )
        else:
            yield f"  no burned-in text found in {self.looked_at} images; the search misses some"
        if self.metadata:
            kinds = [f"{kind} {count}" for kind, count in self.metadata.most_common()]
            yield (
                f"warning: metadata of the source files may name people: {first_few(kinds, 8)}. "
                "The archive holds none of it; the source files still do"
            )
        if self.list is not None:
            yield f"  both are listed in {self.list}"


def report_text(archive: Path, items: Sequence[SourceItem]) -> TextFound:
    """Write the list and the picture beside an archive, or remove those of an earlier run.

    Args:
        archive: what was written of items that were looked at.
        items: these; those with text are decoded again for the picture.
    """
    rows = open_archive(archive).rows
    table = archive.with_name(f"{archive.name}.text.csv")
    sheet = archive.with_name(f"{archive.name}.text.png")
    flagged = [row for row in rows if row.columns.get(TEXT) or row.columns.get(METADATA)]
    text = [row.columns[SOURCE_FILE] for row in rows if row.columns.get(TEXT)]
    kinds = Counter(
        kind for row in flagged for kind in row.columns.get(METADATA, "").split(SEPARATOR) if kind
    )
    remove(table)
    remove(sheet)
    if flagged:
        found = (TEXT, METADATA)
        lines = (
            (r.columns[SOURCE_FILE], r.file, *(r.columns.get(name, "") for name in found))
            for r in flagged
        )
        write_table(table, (SOURCE_FILE, "file", *found), lines)
    if text:
        wanted = frozenset(text)
        marked = [item for item in items if item.stored_name in wanted]
        _draw(marked[:: -(-len(marked) // MAX_SHOWN)], sheet)
    return TextFound(len(rows), text, kinds, table if flagged else None, sheet if text else None)


def _draw(items: Sequence[SourceItem], path: Path) -> None:
    parts = [items[i : i + _ROW] for i in range(0, len(items), _ROW)]
    rows = [("", [_marked(item) for item in part]) for part in parts]
    words = [[item.stored_name for item in part] for part in parts]
    write_bytes(path, contact_sheet(rows, factor=1, captions=words))


def _marked(item: SourceItem) -> np.ndarray:
    """The modality with most text, brought to one size, its lines in boxes."""
    found = {name: array_of(in_bits(p)) for name, p in item.decode().modalities.items()}
    pixels = max(found.values(), key=lambda p: sum(line.letters for line in find_lines(p)))
    picture = Image.fromarray(as_rgb(pixels.transpose(2, 0, 1), (pixels.shape[2],)))
    scale = min(_SIDE / picture.width, _SIDE / picture.height)
    size = max(round(picture.width * scale), 1), max(round(picture.height * scale), 1)
    paper = Image.new("RGB", (_SIDE, _SIDE), (255, 255, 255))
    paper.paste(picture.resize(size, Image.Resampling.LANCZOS))
    draw = ImageDraw.Draw(paper)
    for line in find_lines(pixels):
        corners = (line.left - 2, line.top - 2, line.right + 2, line.bottom + 2)
        draw.rectangle(tuple(round(c * scale) for c in corners), outline=_BOX)
    return np.asarray(paper)
