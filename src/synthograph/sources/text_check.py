"""Images with probable burned-in text, and files whose metadata may name people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from synthograph.core.record import DecodedImage, SourceItem, UnreadableError, array_of
from synthograph.sources.base import SourceFile
from synthograph.sources.layouts.base import EntryDecoder
from synthograph.sources.lettering import find_lines
from synthograph.sources.naming_metadata import naming_metadata
from synthograph.sources.raster import RasterReader
from synthograph.sources.readers import FileDecoder, find_reader

TEXT, METADATA = "burned_in_text", "source_metadata"
"""Columns of the manifest: letters in all lines that may be text, and kinds of metadata."""
SEPARATOR = "; "


@dataclass(frozen=True, slots=True)
class TextChecked:
    """Decodes an image and looks at it; picklable."""

    decode: Callable[[], DecodedImage]
    files: tuple[SourceFile, ...] = ()

    def __call__(self) -> DecodedImage:
        """Decode and look.

        Raises:
            UnreadableError: as the decoder.
        """
        picture = self.decode()
        lines = [one for p in picture.modalities.values() for one in find_lines(array_of(p))]
        kinds = sorted({kind for file in self.files for kind in _metadata(file)})
        told = {}
        if lines:
            told[TEXT] = str(max(line.letters for line in lines))
        if kinds:
            told[METADATA] = SEPARATOR.join(kinds)
        return replace(picture, columns={**picture.columns, **told})


def text_checked(items: Sequence[SourceItem], sources: Sequence[SourceItem]) -> list[SourceItem]:
    """The items, which are looked at when they are decoded.

    Args:
        items: as they are to be decoded.
        sources: the same ones as they were found.
    """
    return [
        replace(item, decode=TextChecked(item.decode, _files(source)))
        for item, source in zip(items, sources, strict=True)
    ]


def _files(item: SourceItem) -> tuple[SourceFile, ...]:
    decode = item.decode
    if isinstance(decode, EntryDecoder):
        names = (name for files in decode.files.values() for name in files)
        return tuple(SourceFile(decode.source, name) for name in names)
    if isinstance(decode, FileDecoder):
        return tuple(SourceFile(container, name) for _, container, name in decode.parts)
    return ()


def _metadata(file: SourceFile) -> tuple[str, ...]:
    return _kinds(file, file.container.stamp(file.name))


@lru_cache(maxsize=64)  # pages of one file are looked at one after the other
def _kinds(file: SourceFile, stamp: str) -> tuple[str, ...]:
    try:
        # some DICOM files begin as TIFF files do
        return naming_metadata(file.read()) if isinstance(find_reader(file), RasterReader) else ()
    except UnreadableError:
        return ()
