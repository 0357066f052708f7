"""DICOM images. Nothing that names a patient or a date leaves a file but the patient's id, or a
pseudonym for it.
"""

import io
import logging
import re
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileDataset
from pydicom.filereader import read_dataset, read_preamble
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut
from pydicom.pixels.utils import pixel_array
from pydicom.uid import DeflatedExplicitVRLittleEndian

from synthograph.core.errors import UserError
from synthograph.core.record import Pixels, UnreadableError
from synthograph.core.untrusted.containers import BOMB_BYTES, BOMB_RATIO
from synthograph.sources.base import Dicom, Frame, Grey, Place, Reader, Reading, SourceFile
from synthograph.sources.colour_modes import fitting
from synthograph.sources.raster import MAX_PIXELS
from synthograph.sources.silence import damage
from synthograph.sources.spacing import PixelSize, resampled, resampled_ids
from synthograph.sources.tiff_axes import MAX_PLANES

_BARE = (b"\x08\0\0\0UL", b"\x08\0\x05\0CS", b"\x08\0\x08\0CS", b"\x08\0\x16\0UI")
"""How files begin that lack the preamble of part 10."""
_META, _META_GROUP = 132, 2
_SECONDARY_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_LOCALISERS = frozenset(("LOCALIZER", "SCOUT"))
_PLAIN = frozenset(("AS", "CS", "DS", "IS", "FD", "FL", "US", "UL", "SS", "SL"))
"""Kinds of elements that are a number or a word of a list: no names, ids, dates or free text."""
_KNOWN = frozenset(("Manufacturer", "ManufacturerModelName"))
_OLD = 89
"""Years; above, an age may name its patient (45 CFR 164.514)."""
_GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_IMAGE_GROUPS = (0x0018, 0x0020, 0x0028)
_OF_FRAMES = (
    "PixelMeasuresSequence",
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelValueTransformationSequence",
    "FrameVOILUTSequence",
)
"""What enhanced files say of each frame, and others of all."""
_TALKERS = tuple(map(logging.getLogger, ("pydicom", "pydicom.config")))
_DAMAGE = (_TALKERS, "DICOM is damaged or of an unknown variant")
_PALETTE = "PALETTE COLOR"
_ITEM = 8  # bytes before a frame of packed pixels
_DEFLATED = 1032
"""How many times its size a deflated file can have at most."""


def check_tags(tags: Sequence[str]) -> None:
    """Refuse columns that would name a patient or a date.

    Args:
        tags: keywords of DICOM elements, such as `Laterality`.

    Raises:
        UserError: one is no keyword, or names people, times, places or numbers of theirs.
    """
    for tag in tags:
        number = tag_for_keyword(tag)
        if number is None:
            raise UserError(
                f"--tag {tag}: DICOM has no element of that keyword; such are Laterality, "
                "PatientSex, ViewPosition, BodyPartExamined"
            )
        if dictionary_VR(number) not in _PLAIN and tag not in _KNOWN:
            raise UserError(
                f"--tag {tag}: is a name, an id, a date or free text, which may name a patient, "
                "and is not kept in an archive"
            )


class DicomReader(Reader):
    """Reads images of DICOM files, frame by frame; packed pixels may need the extra `dicom`."""

    formats = ("DICOM",)
    suffixes = frozenset((".dcm", ".dicom", ".dic", ".ima"))

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so is a DICOM file."""
        return head[128:_META] == b"DICM" or head.startswith(_BARE)

    def frames(self, file: SourceFile, reading: Reading) -> Iterator[Frame]:
        """Its images; none where its series is not wanted."""
        wanted = reading.dicom
        header = _header(file)
        with damage(*_DAMAGE, quoted=False):
            if not _wanted_series(header, wanted):
                return
            _refuse_no_image(header)
            if not wanted.captures:
                _refuse_captures(header)
            count = int(header.get("NumberOfFrames") or 1)
            _refuse_frames(file, header, count)
            group, identity = _group(header, reading), str(header.get("SOPInstanceUID", ""))
            digits = len(str(count - 1))
            for index in range(count):
                own, number = _of_frame(header, index), f"{index:0{digits}d}"
                yield Frame(
                    number if count > 1 else "",
                    group,
                    _columns(header, own, wanted, reading.spacing),
                    _place(header, own),
                    f"{identity}#{number}" if identity else "",
                )

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Pixels of a frame: grey values in the file's unit or spread as wanted, brighter for
        larger ones; colours as 8-bit RGB.
        """
        header = _header(file)
        with damage(*_DAMAGE, quoted=False):
            index = int(frame or 0)
            stored, own = _stored(file, header, index), _of_frame(header, index)
            if stored.ndim == 3:
                pixels, notes = _colours(stored, header)
            else:
                pixels, notes = _greys(stored, header, own, reading.dicom)
            size = _pixel_size(own)
            if reading.spacing is not None and size is None:
                raise UnreadableError("the file does not say how large a pixel is (--spacing)")
            if reading.spacing is not None and size is not None:
                pixels, further = resampled(pixels, size, reading.spacing)
                notes += further
        notes += _marks(header)
        return (pixels if pixels.ndim == 3 else pixels[:, :, None]), notes

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Class ids [h, w]: the stored values."""
        header = _header(file)
        with damage(*_DAMAGE, quoted=False):
            ids = _stored(file, header, int(frame or 0))
            if ids.ndim != 2 or not 0 <= ids.min() <= ids.max() <= 255:
                raise UnreadableError("a mask holds one class id of 0 to 255 per pixel")
            ids, size = ids.astype(np.uint8), _pixel_size(_of_frame(header, int(frame or 0)))
            if reading.spacing is None or size is None:
                return ids
            return resampled_ids(ids, size, reading.spacing)


def _open(file: SourceFile) -> Path | io.BytesIO:
    """What pydicom reads: the file where it lies by itself, else its bytes."""
    return file.local() or io.BytesIO(file.read())


def _header(file: SourceFile) -> FileDataset:
    return _parsed(file, file.container.stamp(file.name))


@lru_cache(maxsize=2)  # of a process, which reads frame after frame of a file and its mask
def _parsed(file: SourceFile, stamp: str) -> FileDataset:
    """All elements but the pixels, which are left where they are; nobody changes them.

    Raises:
        UnreadableError: damaged, or it grows as compression bombs do.
    """
    with damage(*_DAMAGE, quoted=False):
        source = _open(file)
        _refuse_bomb(source)
        return pydicom.dcmread(source, stop_before_pixels=True, force=True)


def _refuse_bomb(source: Path | io.BytesIO) -> None:
    """A deflated file is unpacked whole by pydicom, so its size is found out first."""
    copy = io.BytesIO(source.getvalue()) if isinstance(source, io.BytesIO) else source.open("rb")
    with copy as stream:
        read_preamble(stream, force=True)
        meta = read_dataset(
            stream,
            is_implicit_VR=False,
            is_little_endian=True,
            stop_when=lambda tag, *_: tag.group != _META_GROUP,
        )
        next(iter(meta), None)  # where it fails pydicom reads all of them in another way
        if meta.get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
            return
        data = stream.read()
    if data.startswith(b"\0\0"):  # group 0, which pydicom would pass over
        raise UnreadableError("DICOM is damaged: a deflated file holds a command set")
    unpack, rest, size = zlib.decompressobj(-zlib.MAX_WBITS), data, 0
    while rest and not unpack.eof:
        size += len(unpack.decompress(rest, BOMB_BYTES))
        rest = unpack.unconsumed_tail
        if size > max(BOMB_BYTES, BOMB_RATIO * len(data)):
            raise UnreadableError(f"grows from {len(data)} to more than {size} bytes, as bombs do")


def _stored(file: SourceFile, header: FileDataset, index: int) -> np.ndarray:
    """Values of a frame as stored [h, w], or RGB [h, w, 3]; a palette is applied."""
    syntax = header.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise UnreadableError("the file does not say how its pixels are stored (Transfer Syntax)")
    if syntax.is_encapsulated and not get_decoder(syntax).is_available:
        raise UnreadableError(
            f"pixels compressed as {syntax.name} need the extra dicom: "
            "pip install 'synthograph[dicom]'"
        )
    rows, columns = int(header.Rows), int(header.Columns)
    if not 0 < rows * columns <= MAX_PIXELS:
        raise UnreadableError(f"{columns}x{rows} is no size of an image, or too large")
    try:
        stored = pixel_array(_open(file), index=index)
    except (AttributeError, ValueError):  # some files are decoded only as a whole, deflated ones
        whole = pydicom.dcmread(io.BytesIO(file.read()), force=True)
        stored = pixel_array(whole, index=index)
    if header.PhotometricInterpretation == _PALETTE:
        stored = apply_color_lut(stored, header)
    return stored


def _colours(stored: np.ndarray, header: FileDataset) -> tuple[np.ndarray, tuple[str, ...]]:
    if stored.shape[2] == 3 and stored.dtype == np.uint8:
        return stored, ()
    palette = header.PhotometricInterpretation == _PALETTE
    if palette and stored.shape[2] == 3 and stored.dtype == np.uint16:
        return (stored >> 8).astype(np.uint8), ("palette of 16 bits reduced to 8",)
    if stored.shape[2] == 3 and stored.dtype.kind == "u":
        return _whole(stored), ()
    raise UnreadableError(
        f"colours of {8 * stored.dtype.itemsize} bits in {stored.shape[2]} channels have no rule"
    )


def _greys(
    stored: np.ndarray, header: FileDataset, own: Dataset, wanted: Dicom
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Grey values after the modality transform, larger ones brighter (PS3.3 C.11.1, C.7.6.3.1.2).

    Returns:
        Values in the file's unit; or, where a window is wanted, spread over 8 or 16 bits.
    """
    values = apply_modality_lut(stored, own)
    low, high = _bounds(stored, header, own)
    notes: tuple[str, ...] = ()
    grey = wanted.grey
    if grey is Grey.DICOM:
        if not any(key in own for key in ("WindowCenter", "VOILUTSequence")):
            raise UnreadableError("proposes no window; give --window full or percentiles")
        shown = apply_voi_lut(values, own)
        ends = apply_voi_lut(np.array([low, high]).astype(values.dtype), own)
        values, (low, high) = shown, (float(ends.min()), float(ends.max()))
        notes = ("window of the DICOM file applied",)
    if header.PhotometricInterpretation == "MONOCHROME1":
        values = sum(wanted.window or (low, high)) - values.astype(np.float64)
        notes += ("MONOCHROME1 turned over: dark stays dark",)
    if grey is Grey.VALUES:
        return _whole(values), notes
    bits = np.uint8 if int(header.BitsStored) <= 8 else np.uint16
    spread = (values.astype(np.float64) - low) * (np.iinfo(bits).max / max(high - low, 1e-12))
    return np.rint(np.clip(spread, 0, np.iinfo(bits).max)).astype(bits), notes


def _bounds(stored: np.ndarray, header: FileDataset, own: Dataset) -> tuple[float, float]:
    """The smallest and largest value that the bits of a file can hold, after the modality
    transform.
    """
    bits = int(header.BitsStored)
    low = -(1 << (bits - 1)) if int(header.get("PixelRepresentation", 0)) else 0
    ends = apply_modality_lut(np.array([low, low + (1 << bits) - 1]).astype(stored.dtype), own)
    return float(ends.min()), float(ends.max())


def _whole(values: np.ndarray) -> np.ndarray:
    """Whole numbers in place of floating-point ones where nothing is lost; 16 bits where they
    fit.
    """
    if values.dtype.kind == "f" and np.array_equal(values, np.rint(values)):
        values = np.rint(values).astype(np.int64)
    return fitting(values.astype(values.dtype.newbyteorder("="), copy=False))


def _of_frame(header: FileDataset, index: int) -> Dataset:
    """What a file says of one frame: what it says of all, or in its functional groups (PS3.3
    C.7.6.16).
    """
    own = Dataset()
    own.update({t: element for t, element in header.items() if t.group in _IMAGE_GROUPS})
    for groups, number in zip(_GROUPS, (0, index), strict=True):
        sequence = header.get(groups)
        if not sequence or number >= len(sequence):
            continue
        for key in _OF_FRAMES:
            for item in sequence[number].get(key) or ():
                own.update(item)
    return own


def _wanted_series(header: FileDataset, wanted: Dicom) -> bool:
    described = str(header.get("SeriesDescription", ""))
    return wanted.series is None or re.search(wanted.series, described) is not None


def _refuse_no_image(header: FileDataset) -> None:
    if "Rows" not in header or "Columns" not in header:
        kind = header.get("SOPClassUID")
        name = getattr(kind, "name", "") if kind is not None else ""
        raise UnreadableError(f"DICOM without an image{f' ({name})' if name else ''}")
    if "PhotometricInterpretation" not in header:
        raise UnreadableError("DICOM is damaged: it does not say what its grey values mean")


def _refuse_frames(file: SourceFile, header: FileDataset, count: int) -> None:
    """Refuse more frames than the bytes of a file can hold: they are listed before they are read.

    A frame of its own in a packed file begins with eight bytes (PS3.5 A.4).
    """
    path, syntax = file.local(), header.file_meta.get("TransferSyntaxUID")
    held = len(file.read()) if path is None else path.stat().st_size
    if syntax == DeflatedExplicitVRLittleEndian:
        held *= _DEFLATED
    bits = int(header.get("BitsAllocated") or 1) * int(header.get("SamplesPerPixel") or 1)
    pixels = int(header.Rows) * int(header.Columns) * bits / 8
    least = _ITEM if syntax is not None and syntax.is_encapsulated else pixels
    if count > 1 and count * max(least, 1) > held:
        raise UnreadableError(f"says {count} frames, more than its bytes can hold")
    if count > MAX_PLANES:
        raise UnreadableError(f"claims {count} frames, more than {MAX_PLANES}")


def _refuse_captures(header: FileDataset) -> None:
    kind = str(header.get("SOPClassUID", ""))
    if kind == _SECONDARY_CAPTURES or kind.startswith(f"{_SECONDARY_CAPTURES}."):
        what = "a secondary capture, which often shows text, patients' names or several images"
    elif _LOCALISERS & {str(word).strip() for word in _several(header.get("ImageType"))}:
        what = "a localiser"
    else:
        return
    raise UnreadableError(f"is {what}: --captures takes such too, --allow-rejects leaves them out")


def _several(value: Any) -> Sequence[Any]:  # noqa: ANN401 - pydicom's value of an element
    if value is None:
        return ()
    return (value,) if isinstance(value, str | bytes) or not isinstance(value, Sequence) else value


def _group(header: FileDataset, reading: Reading) -> str | None:
    patient = str(header.get("PatientID") or "").strip()
    return reading.group(patient) if patient else None


def _columns(
    header: FileDataset, own: Dataset, wanted: Dicom, spacing: float | None
) -> dict[str, str]:
    told = {"dicom_modality": str(header.get("Modality") or "unknown")}
    size = _pixel_size(own)
    if size is not None:
        told["pixel_mm"] = f"{spacing or size[0]:g}x{spacing or size[1]:g}"
    if "InstanceNumber" in header and header.InstanceNumber is not None:
        told["slice"] = str(header.InstanceNumber)
    for tag in wanted.tags:
        told[tag] = "\\".join(_without_high_age(str(v)) for v in _several(header.get(tag)))
    return told


def _without_high_age(text: str) -> str:
    years = re.fullmatch(r"(\d{3})Y", text)
    return f"over {_OLD}" if years and int(years[1]) > _OLD else text


def _pixel_size(own: Dataset) -> PixelSize | None:
    """Height and width of a pixel in millimetres, in the patient or else on the detector."""
    for key in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        values = [float(v) for v in _several(own.get(key))]
        if len(values) == 2 and min(values) > 0:
            return values[0], values[1]
    return None


def _place(header: FileDataset, own: Dataset) -> Place | None:
    """Three corners of the image in the patient (PS3.3 C.7.6.2.1.1)."""
    size = _pixel_size(own)
    origin = [float(v) for v in _several(own.get("ImagePositionPatient"))]
    turned = [float(v) for v in _several(own.get("ImageOrientationPatient"))]
    if size is None or len(origin) != 3 or len(turned) != 6:
        return None
    right = np.array(turned[:3]) * size[1] * (int(header.Columns) - 1)
    down = np.array(turned[3:]) * size[0] * (int(header.Rows) - 1)
    corners = (np.array(origin), origin + right, origin + down)
    triples = tuple((float(x), float(y), float(z)) for x, y, z in corners)
    return Place(triples, min(size))


def _marks(header: FileDataset) -> tuple[str, ...]:
    """What may be drawn over the image."""
    found = {
        "overlay planes left out": any((g, 0x3000) in header for g in range(0x6000, 0x601F, 2)),
        "the file says that text is burned in": header.get("BurnedInAnnotation") == "YES",
    }
    return tuple(note for note, holds in found.items() if holds)
