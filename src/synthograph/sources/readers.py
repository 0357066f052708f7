"""Which reader reads which file: by the ending of its name, else by its first bytes.

A new format is one file of this room that holds a `Reader`, and one entry in `READERS`.
"""

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from synthograph.core.names import nfc
from synthograph.core.record import DecodedImage, Pixels, UnreadableError, array_of, size_of
from synthograph.core.untrusted.containers import HEAD_BYTES, Container
from synthograph.sources.base import AS_IT_COMES, Frame, Reader, Reading, SourceFile
from synthograph.sources.dicom import DicomReader
from synthograph.sources.foreign import Foreign, foreign_by_content, foreign_by_name
from synthograph.sources.raster import RasterReader
from synthograph.sources.slides import SlideReader
from synthograph.sources.stacks import StackReader
from synthograph.sources.volumes import VolumeReader

READERS: tuple[Reader, ...] = (
    RasterReader(),
    VolumeReader(),
    DicomReader(),
    SlideReader(),
    StackReader(),
)


def image_suffix(name: str) -> str:
    """The ending that makes a name that of an image, or nothing; the longest where several do."""
    lowered = name.lower()
    known = [suffix for reader in READERS for suffix in reader.suffixes]
    fitting = [suffix for suffix in known if lowered.endswith(suffix)]
    return max(fitting, key=len, default="")


def is_image(name: str) -> bool:
    """Whether a name has the ending of an image."""
    return bool(image_suffix(name))


def stem_key(name: str) -> str:
    """A relative name without the ending of an image, in one Unicode form: names are paired by
    this.
    """
    name = nfc(name)
    return name[: len(name) - len(image_suffix(name))]


def known_formats() -> str:
    """The formats that are read, for messages."""
    *most, last = [name for reader in READERS for name in reader.formats]
    return f"{', '.join(most)} or {last}"


def find_reader(file: SourceFile, reading: Reading = AS_IT_COMES) -> Reader:
    """The reader of a file.

    Raises:
        UnreadableError: no reader knows such files, or the one that does lacks a package.
    """
    found = _known_reader(file, reading)
    if found is None:
        other = foreign_by_name(file.name) or foreign_by_content(file.head())
        raise UnreadableError(
            f"not a {known_formats()} file (it starts with {file.head()[:8]!r})"
            if other is None
            else other.reason
        )
    lack = found.missing()
    if lack is not None:
        raise UnreadableError(f"{' and '.join(found.formats)} files need {lack}")
    return found


def _known_reader(file: SourceFile, reading: Reading) -> Reader | None:
    claiming = next((reader for reader in READERS if reader.claims(file, reading)), None)
    if claiming is not None:
        return claiming
    suffix = image_suffix(file.name)
    if suffix:
        return next(reader for reader in READERS if suffix in reader.suffixes)
    head = file.head()
    return next((reader for reader in READERS if reader.recognises(head)), None)


_NO_IMAGES = frozenset(
    ".csv .tsv .txt .json .jsonl .xml .md .html .htm .pdf .xls .xlsx .ods .doc .docx .rtf .py .m "
    ".r .log .yaml .yml .toml .ini .zip .gz .tar .7z .rar .db .sqlite .mp4 .avi .mov .wav "
    ".geojson".split()
)
"""Endings of files that are not looked into."""


def sort_out(container: Container, names: Iterable[str]) -> tuple[set[str], dict[str, Foreign]]:
    """The images among files, by ending or else by content, and those of kinds that are not read.

    A file that cannot be opened is taken for what its ending says.
    """
    images: set[str] = set()
    foreign: dict[str, Foreign] = {}
    for name in names:
        other = None if is_image(name) else foreign_by_name(name)
        if other is None and not is_image(name) and _suffix(name) not in _NO_IMAGES:
            try:
                head = container.read(name, HEAD_BYTES)
            except UnreadableError:
                continue
            other = foreign_by_content(head)
            if other is None and any(reader.recognises(head) for reader in READERS):
                images.add(name)
        if other is not None:
            foreign[name] = other
        elif is_image(name):
            images.add(name)
    return images, foreign


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def frames_of(file: SourceFile, reading: Reading = AS_IT_COMES) -> Iterable[Frame]:
    """The wanted images of a file; one where it cannot be read, said when it is decoded.

    Raises:
        UnreadableError: it cannot be opened, or its reader finds no image in it.
    """
    reader = _known_reader(file, reading)
    return (Frame(),) if reader is None or reader.missing() else reader.frames(file, reading)


def left_out_of(file: SourceFile, reading: Reading = AS_IT_COMES) -> Mapping[str, int]:
    """Reason -> how many images of a file `frames_of` leaves out, where that is counted.

    Raises:
        UnreadableError: as `frames_of`.
    """
    reader = _known_reader(file, reading)
    return {} if reader is None or reader.missing() else reader.left_out(file, reading)


@dataclass(frozen=True, slots=True)
class FileDecoder:
    """Decodes one image with its partners; picklable.

    Attributes:
        parts: (modality, container, name), the primary first.
        mask: (container, name), or None.
        frame: which image of these files.
        reading: what is wanted of them.
    """

    parts: tuple[tuple[str, Container, str], ...]
    mask: tuple[Container, str] | None = None
    frame: str = ""
    reading: Reading = AS_IT_COMES

    def __call__(self) -> DecodedImage:
        """Read and decode all files of the image.

        Raises:
            UnreadableError: a file cannot be decoded, or sizes differ; partners are named in the
                reason.
        """
        (primary, container, name), *others = self.parts
        pixels, notes = self._read(container, name)
        modalities = {primary: pixels}
        if self.reading.channels:
            modalities = _parted(pixels, self.reading.channels)
            primary = self.reading.channels[0]
        for modality, container, name in others:
            with _naming(modality, name):
                pixels, further = self._read(container, name)
            _check_same_size(modality, pixels, primary, modalities[primary])
            modalities[modality] = pixels
            notes += tuple(f"{modality}: {note}" for note in further)
        if self.mask is None:
            return DecodedImage(modalities, None, notes)
        file = SourceFile(*self.mask)
        with _naming("mask", file.name):
            mask = find_reader(file, self.reading).read_mask(file, self.frame, self.reading)
        _check_same_size("mask", mask, primary, modalities[primary])
        return DecodedImage(modalities, mask, notes)

    def _read(self, container: Container, name: str) -> tuple[Pixels, tuple[str, ...]]:
        file = SourceFile(container, name)
        try:
            return find_reader(file, self.reading).read(file, self.frame, self.reading)
        except UnreadableError:
            other = foreign_by_content(file.head())  # under the ending of another kind
            if other is None:
                raise
            raise UnreadableError(other.reason) from None


def _parted(pixels: Pixels, names: Sequence[str]) -> dict[str, Pixels]:
    """A modality of each channel."""
    array = array_of(pixels)
    if array.shape[2] != len(names):
        raise UnreadableError(
            f"the image has {array.shape[2]} channel{'s' * (array.shape[2] > 1)}, --channels names "
            f"{len(names)}"
        )
    return {name: array[:, :, n : n + 1] for n, name in enumerate(names)}


@contextlib.contextmanager
def _naming(what: str, name: str) -> Iterator[None]:
    try:
        yield
    except UnreadableError as error:
        raise UnreadableError(f"{what} file {name!r}: {error}") from error


def _check_same_size(what: str, pixels: Pixels, primary: str, others: Pixels) -> None:
    (height, width), (wanted_h, wanted_w) = size_of(pixels), size_of(others)
    if (height, width) != (wanted_h, wanted_w):
        raise UnreadableError(
            f"{what} is {width}x{height} pixels and {primary} is {wanted_w}x{wanted_h}; "
            "they must be registered to each other"
        )
