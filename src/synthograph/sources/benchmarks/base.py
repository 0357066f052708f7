"""What every benchmark is, and the images that it gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.record import DecodedImage, SourceItem, UnreadableError
from synthograph.core.untrusted.containers import Container

MODALITY = "image"


@dataclass(frozen=True, slots=True)
class BenchmarkFiles:
    """The files of one folder, which may lie in a zip or tar file.

    Attributes:
        origin: the folder, for messages.
        source: reads them: a folder or zip, or name -> bytes.
        names: theirs, without folders.
        chosen: the one that the user named; empty where it was the folder.
        pictures: image files in the folder and in those inside it.
    """

    origin: str
    source: Container | Mapping[str, bytes]
    names: Sequence[str]
    chosen: str = ""
    pictures: int = 0

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            UserError: it cannot be read.
        """
        if isinstance(self.source, Mapping):
            return self.source[name]
        try:
            return self.source.read(name)
        except UnreadableError as error:
            raise UserError(f"{self.where(name)}: {error}") from None

    def where(self, name: str) -> str:
        """A file, for messages."""
        return f"{self.origin}/{name}"


@dataclass(frozen=True, slots=True, eq=False)
class PixelDecoder:
    """An image that is in memory; picklable.

    Attributes:
        pixels: [h, w, channels], uint8, channels 1 or 3.
    """

    pixels: np.ndarray

    def __call__(self) -> DecodedImage:
        """The image."""
        return DecodedImage({MODALITY: np.ascontiguousarray(self.pixels)})


@dataclass(frozen=True, slots=True)
class BenchmarkImages:
    """What the files hold.

    Attributes:
        title: what people call it.
        items: one for each image, in the order of the files.
        classes: names in the order of their numbers; None where classes are numbers.
        remarks: what was found or passed over, one phrase each.
    """

    title: str
    items: Sequence[SourceItem]
    classes: list[str] | None = None
    remarks: Sequence[str] = ()


class Benchmark(Protocol):
    """A published set."""

    def recognises(self, names: Sequence[str]) -> bool:
        """Whether a folder with such files is one."""
        ...

    def images(self, files: BenchmarkFiles) -> BenchmarkImages:
        """All its images.

        Raises:
            UserError: a file is missing, damaged, or contradicts another.
        """
        ...


def named(number: int, classes: Sequence[str], where: str) -> str:
    """The name of a class.

    Raises:
        UserError: no class has that number.
    """
    if 0 <= number < len(classes):
        return classes[number]
    raise UserError(f"{where}: label {number} has no name; there are {len(classes)} classes")
