"""What every layout is, and how its images are decoded."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, cast, get_args

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.record import (
    DecodedImage,
    Origin,
    Pixels,
    SourceItem,
    UnreadableError,
    array_of,
    size_of,
)
from synthograph.core.spec import MASKS
from synthograph.core.untrusted.containers import Container, open_container, unwrap
from synthograph.core.untrusted.documents import JsonObject, as_text, parse_json
from synthograph.sources.base import AS_IT_COMES, Dicom, Frame, Reading, SourceFile, read_member
from synthograph.sources.cells import split_of, split_words
from synthograph.sources.items import check_partners
from synthograph.sources.readers import find_reader, frames_of, is_image

MaskOf = Callable[[Container, tuple[int, int]], np.ndarray]
"""Reads the mask of an image of a height and width; picklable."""


class Layout(Protocol):
    """A folder of another tool."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def entries(self, source: Container, named: str) -> Iterable["Entry"]:
        """The images, none decoded.

        Args:
            source: folder or zip.
            named: the JSON file that the user named; empty where it was the folder.

        Raises:
            UserError: the folder is not of this layout, or contradicts itself.
        """
        ...


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A mask as a file, or in an image of one, its values numbered anew where `values` says so."""

    name: str
    values: Mapping[int, int] = field(default_factory=dict)
    frame: str = ""

    def __call__(self, source: Container, size: tuple[int, int]) -> np.ndarray:
        """Class ids [h, w]."""
        file = SourceFile(source, self.name)
        mask = find_reader(file, AS_IT_COMES).read_mask(file, self.frame, AS_IT_COMES)
        table = np.arange(256, dtype=np.uint8)
        for value, meant in self.values.items():
            table[value] = meant
        return table[mask]


@dataclass(frozen=True, slots=True)
class Entry:
    """One image, or all of the files of a volume.

    Attributes:
        files: modality -> its files, whose channels are put together.
        known: label, group, split, origin and further columns.
        mask: reads its mask; None where it has none.
    """

    files: Mapping[str, Sequence[str]]
    known: Mapping[str, str]
    mask: MaskOf | None = None


@dataclass(frozen=True, slots=True)
class EntryDecoder:
    """Decodes one image of an entry; picklable.

    Attributes:
        source: folder or zip.
        files: modality -> its files.
        mask: reads its mask; None where it has none.
        frame: which image of these files.
        refused: why they hold none; empty where they do.
    """

    source: Container
    files: Mapping[str, tuple[str, ...]]
    mask: MaskOf | None
    frame: str = ""
    refused: str = ""

    @property
    def names(self) -> list[str]:
        """All its files."""
        own = [file for each in self.files.values() for file in each]
        return [*own, self.mask.name] if isinstance(self.mask, MaskFile) else own

    def __call__(self) -> DecodedImage:
        """Read and decode all files of the image.

        Raises:
            UnreadableError: a file cannot be decoded, or sizes differ.
        """
        if self.refused:
            raise UnreadableError(self.refused)
        notes: list[str] = []
        modalities = {name: self._together(files, notes) for name, files in self.files.items()}
        sizes = {name: size_of(pixels) for name, pixels in modalities.items()}
        size = next(iter(sizes.values()))
        if set(sizes.values()) != {size}:
            raise UnreadableError(f"its files differ in size: {sizes}")
        mask = None if self.mask is None else self.mask(self.source, size)
        if mask is not None and mask.shape != size:
            raise UnreadableError(f"its mask is {mask.shape}, the image {size}")
        return DecodedImage(modalities, mask, tuple(dict.fromkeys(notes)))

    def _together(self, names: Sequence[str], notes: list[str]) -> Pixels:
        parts = []
        for name in names:
            file = SourceFile(self.source, name)
            pixels, further = find_reader(file, AS_IT_COMES).read(file, self.frame, AS_IT_COMES)
            notes += further
            parts.append(pixels)
        if len(parts) == 1:
            return parts[0]
        arrays = [array_of(part) for part in parts]
        if len({(a.shape, a.dtype) for a in arrays}) > 1:
            raise UnreadableError(f"{names[0]} and its further channels differ in size or depth")
        joined = np.concatenate(arrays, axis=2)
        if joined.shape[2] not in (1, 3):
            raise UnreadableError(
                f"{names[0]} and its further channels have {joined.shape[2]} together, expected 3"
            )
        return joined

    def apart(self, reading: Reading) -> list[tuple["EntryDecoder", Frame]]:
        """A decoder of each image of the files, such as the slices of volumes; one that says why
        where there is none.
        """
        kinds = {file: kind for kind, files in self.files.items() for file in files}
        first, *others = self.names
        file = SourceFile(self.source, first)
        partners = [(kinds.get(other, MASKS), self.source, other) for other in others]
        try:
            frames = list(frames_of(file, reading)) or [Frame()]
            check_partners(file, frames, partners, reading)
            if frames[0].name and not isinstance(self.mask, MaskFile | None):
                raise UnreadableError(f"holds {len(frames)} images, and regions are of one")
        except UnreadableError as error:
            return [(replace(self, refused=str(error)), Frame())]
        return [(self._at(frame.name), frame) for frame in frames]

    def _at(self, frame: str) -> "EntryDecoder":
        mask = replace(self.mask, frame=frame) if isinstance(self.mask, MaskFile) else self.mask
        return replace(self, mask=mask, frame=frame)


def read_layout(
    layout: Layout, path: Path, *, salt: bytes | None = None
) -> tuple[list[SourceItem], int]:
    """The images of a folder as source items, and how many image files there are that it does not
    name.

    Args:
        layout: of the folder.
        path: folder or zip, or a JSON file in its folder.
        salt: what pseudonyms of groups are made with; None to keep names.

    Raises:
        UserError: it is not of this layout, contradicts itself, or names files that are missing.
    """
    reading = Reading(dicom=Dicom(captures=True, salt=salt))  # what somebody lists is wanted
    named = path.name if path.suffix.lower() == ".json" else ""
    source = unwrap(open_container(path.parent if named else path, "SOURCE"))
    members = source.members()
    there, broken, items, used = set(members.names), dict(members.broken), [], set[str]()
    listed = set[tuple[str, ...]]()
    for entry in layout.entries(source, named):
        files = {name: tuple(each) for name, each in entry.files.items()}
        decoder = EntryDecoder(source, files, entry.mask)
        missing = [file for file in decoder.names if file not in there]
        if missing:
            why = broken.get(missing[0], "which is not there")
            raise UserError(f"{path}: lists {missing[0]!r}, {why}")
        own = tuple(file for each in files.values() for file in each)
        if own in listed:
            raise UserError(
                f"{path}: lists {own[0]!r} twice; keep one of them, or, where each is in a JSON "
                "file of its own, give the one that counts as SOURCE"
            )
        listed.add(own)
        used.update(decoder.names)
        where = f"{path}: {decoder.names[0]}"
        for one, frame in decoder.apart(reading):
            known = {**entry.known}
            if group := known.pop("group", ""):
                frame = replace(frame, group=reading.group(group))
            items.append(_item(one, frame, known, where))
    if not items:
        raise UserError(f"{path}: lists no image")
    return items, sum(is_image(name) for name in there - used)


def _item(decoder: EntryDecoder, frame: Frame, said: Mapping[str, str], where: str) -> SourceItem:
    known = {name: text for name, text in said.items() if text}
    origin, split = known.pop("origin", "real"), known.pop("split", "")
    known.pop("fold", None)  # `split` cuts new ones
    if origin not in get_args(Origin):
        raise UserError(
            f"{where}: origin {origin!r:.80}: known are {' and '.join(get_args(Origin))}; call "
            "what means something else otherwise"
        )
    if split and split_of(split) is None:
        raise UserError(
            f"{where}: split {split!r:.80}: known are {split_words()}; call what means something "
            "else otherwise"
        )
    name = decoder.names[0]
    return SourceItem(
        f"{name}#{frame.name}" if frame.name else name,
        decoder,
        known.pop("label", None),
        frame.group,
        {**frame.columns, **known},
        cast(Origin, origin),
        split_of(split),
    )


def read_json(source: Container, name: str) -> JsonObject:
    """A JSON object in a container.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    origin = f"{source}/{name}"
    tree = parse_json(as_text(read_member(source, name), origin, "it holds JSON"), origin)
    if not isinstance(tree, dict):
        raise UserError(f"{origin}: holds {type(tree).__name__}, expected an object")
    return tree


def texts_of(tree: JsonObject, but: Iterable[str]) -> dict[str, str]:
    """The entries of an object that are text or numbers, as text."""
    own = {name: value for name, value in tree.items() if name not in set(but)}
    return {
        name: text_of(value)
        for name, value in own.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    }


def text_of(value: str | float) -> str:
    """Text or a number as text. A whole number has no decimals: a program that keeps numbers
    writes 7 as 7.0 where others are missing.
    """
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def objects_of(tree: JsonObject, key: str, where: str) -> list[JsonObject]:
    """A list of objects.

    Raises:
        UserError: it holds something else.
    """
    found = tree.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(f"{where}: {key} is no list of objects")
    return found
