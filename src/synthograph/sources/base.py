"""What every reader of image files is."""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.pseudonyms import pseudonym
from synthograph.core.record import Pixels, UnreadableError
from synthograph.core.untrusted.containers import HEAD_BYTES, Container, Folder


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a folder or zip, by its relative name there; picklable."""

    container: Container
    name: str

    def read(self) -> bytes:
        """The whole file.

        Raises:
            UnreadableError: it cannot be opened, or is too large.
        """
        return self.container.read(self.name)

    def local(self) -> Path | None:
        """Where the file lies by itself, of which parts can be read; None inside a zip file."""
        return self.container.path / self.name if isinstance(self.container, Folder) else None

    def head(self) -> bytes:
        """The first bytes of the file, by which its format is recognised.

        Raises:
            UnreadableError: it cannot be opened.
        """
        return self.container.read(self.name, HEAD_BYTES)


def read_member(source: Container, name: str) -> bytes:
    """The bytes of a file that is needed.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return source.read(name)
    except UnreadableError as error:
        raise UserError(f"{source}/{name}: cannot be read ({error})") from None


class Axis(enum.StrEnum):
    """The direction that a volume is cut across, in the patient."""

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"


class Grey(enum.StrEnum):
    """Which of the values of a DICOM image become black and white."""

    VALUES = "values"
    """None: they stay, in the unit of the file."""
    DICOM = "dicom"
    """Those that the file itself proposes for display."""
    FULL = "full"
    """Those that its bits can hold."""


@dataclass(frozen=True, slots=True)
class Dicom:
    """What a user wants of DICOM files.

    Attributes:
        grey: what becomes black and white.
        window: ends of a window in the values of the file, about which MONOCHROME1 is turned over;
            None where its bits say about which.
        tags: keywords of elements that become columns.
        salt: what pseudonyms of groups are made with, of files of all kinds; None to keep ids.
        series: pattern that the description of a series must contain.
        captures: whether secondary captures and localisers are taken too.
    """

    grey: Grey = Grey.VALUES
    window: tuple[float, float] | None = None
    tags: tuple[str, ...] = ()
    salt: bytes | None = None
    series: str | None = None
    captures: bool = False


class Unmarked(enum.StrEnum):
    """What masks of tiles hold where no polygon is."""

    BACKGROUND = "background"
    """0."""
    IGNORED = "ignored"
    """255: nobody said what is there."""


@dataclass(frozen=True, slots=True)
class Regions:
    """What becomes of polygons that were drawn on slides.

    Attributes:
        folder: where their files lie; None for beside each slide.
        classes: all classes; that at place k has the id k + 1 in masks.
        renamed: class in the files -> class.
        share: of a tile, 0 to 1, that a class must cover to be its label.
        outside: label of tiles of which no class covers so much; None to leave them out.
        masks: whether tiles have masks, and what these hold outside; None for no masks.
    """

    folder: Container | None = None
    classes: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    share: float = 0.5
    outside: str | None = None
    masks: Unmarked | None = None

    @property
    def ids(self) -> dict[str, int]:
        """Class -> its id in masks."""
        return {name: k for k, name in enumerate(self.classes, start=1)}


@dataclass(frozen=True, slots=True)
class Slides:
    """Which tiles of whole slides a user wants.

    Attributes:
        tile: side in pixels.
        overlap: pixels that neighbours share.
        mpp: micrometres of a pixel; None as the slide was scanned.
        per_slide: how many of each slide, drawn at random; None for all.
        seed: of that draw.
        tissue: least share of tissue in a tile, 0 to 1.
        pen: largest share of ink, 0 to 1.
        sharpness: least standard deviation of the Laplacian of grey values; 0 for any.
        regions: polygons that were drawn on them; None where they are not asked for.
    """

    tile: int
    overlap: int = 0
    mpp: float | None = None
    per_slide: int | None = None
    seed: int = 0
    tissue: float = 0.5
    pen: float = 0.02
    sharpness: float = 0.0
    regions: Regions | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a user wants of files that hold more than one image, or say how large a pixel is."""

    axis: Axis | None = None
    """How volumes are cut; None for the plane in which they were taken."""
    every: int = 1
    """One of so many slices is taken."""
    min_foreground: float = 0.0
    """Share of a slice, 0 to 1, that is no background."""
    spacing: float | None = None
    """Millimetres of a pixel in both directions, which slices are brought to."""
    pages: bool = False
    """Whether every page of a stack or animation is an image; else such files are refused."""
    channels: tuple[str, ...] = ()
    """What modalities the channels of an image become, in their order; none where they stay."""
    dicom: Dicom = Dicom()
    slides: Slides | None = None

    def group(self, name: str) -> str:
        """A group as an archive shall call it: a pseudonym where such are wanted, the same one
        wherever the name comes from.

        Args:
            name: a patient, as a table, a folder, a file or its name says, or the stem of a file
                that is a group of its own.
        """
        return name if self.dicom.salt is None else pseudonym(self.dicom.salt, name)


AS_IT_COMES = Reading()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image lies in the patient: three of its corners, in millimetres."""

    corners: tuple[tuple[float, float, float], ...]
    pixel: float
    """The shorter side of a pixel in millimetres."""

    def agrees(self, other: "Place") -> bool:
        """Whether no corner is more than half a pixel away from that of the other image."""
        apart = np.subtract(self.corners, other.corners)
        return bool(np.linalg.norm(apart, axis=1).max() <= self.pixel / 2)


@dataclass(frozen=True, slots=True)
class Frame:
    """One image of a file: all of it, or one of its pages, slices or tiles."""

    name: str = ""
    """Unique within the file; empty where the file is one image."""
    group: str | None = None
    """Patient or slide, where the file says it."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """What else the file says about the image, for the manifest."""
    place: Place | None = None
    """Where it lies in the patient, where the file says it."""
    identity: str = ""
    """Equal for copies of one image in files of different names, where the file says it."""
    label: str | None = None
    """Its class, where the file says it."""

    masked: bool = False
    """Whether the file that holds the image holds its mask, too."""
    most: int | None = None
    """Of all such images of its file so many are taken, the first that `read` does not refuse as
    `UnwantedError`.
    """


class Reader(Protocol):
    """Reads files of one kind. `sources/readers.py` lists all readers.

    Each method gets a file that has one of the reader's endings or that it recognises, and raises
    `UnreadableError` where that file is damaged or where no rule says how to read it.
    """

    @property
    def formats(self) -> tuple[str, ...]:
        """Names of the formats, for messages."""
        ...

    @property
    def suffixes(self) -> frozenset[str]:
        """Endings of their files, in lower case with the dot."""
        ...

    def missing(self) -> str | None:
        """What has to be installed before such files can be read; None for nothing."""
        return None

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so is of these formats."""
        ...

    def claims(self, file: SourceFile, reading: Reading) -> bool:
        """Whether it takes a file with the ending of another reader."""
        return False

    def frames(self, file: SourceFile, reading: Reading) -> Iterable[Frame]:
        """The images of a file that are wanted, in order."""
        ...

    def left_out(self, file: SourceFile, reading: Reading) -> Mapping[str, int]:
        """Reason -> how many images of a file are not among its frames, where that is counted."""
        return {}

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Pixels of a frame, and the conversions that were applied, a short phrase each."""
        ...

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Class ids [h, w] of a frame, uint8."""
        ...
