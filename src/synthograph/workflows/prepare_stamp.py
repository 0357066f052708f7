"""What the files behind the images of a source are now, in one digest."""

import hashlib
from collections.abc import Sequence

from synthograph.archive.reader import MASKS, RowDecoder
from synthograph.core.record import SourceItem
from synthograph.sources.base import SourceFile
from synthograph.sources.benchmarks.base import PixelDecoder
from synthograph.sources.layouts.base import EntryDecoder
from synthograph.sources.readers import FileDecoder
from synthograph.sources.slide_regions import stamp_of


def stamp_of_items(items: Sequence[SourceItem]) -> str:
    """A digest of the files behind the items as they are now: an unfinished archive of files that
    were changed since is not continued.
    """
    digest = hashlib.sha256()
    drawn: set[str] = set()
    for decode in (item.decode for item in items):
        if isinstance(decode, PixelDecoder):
            digest.update(decode.pixels.tobytes())
        if isinstance(decode, EntryDecoder):
            for name in decode.names:
                digest.update(f"{name}\n{decode.source.stamp(name)}\n".encode())
        if isinstance(decode, RowDecoder | FileDecoder):
            masks = [(MASKS, *decode.mask)] if decode.mask else []
            for kind, container, name in (*decode.parts, *masks):
                digest.update(f"{kind}\n{container}\n{name}\n{container.stamp(name)}\n".encode())
        if isinstance(decode, FileDecoder) and decode.parts[0][2] not in drawn:
            drawn.add(decode.parts[0][2])
            digest.update(_stamp_of_polygons(decode))
    return digest.hexdigest()


def _stamp_of_polygons(decode: FileDecoder) -> bytes:
    slides, (_, container, name) = decode.reading.slides, decode.parts[0]
    if slides is None or slides.regions is None:
        return b""
    return f"{stamp_of(SourceFile(container, name), slides.regions)}\n".encode()
