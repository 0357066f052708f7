"""The images of files: one for each that is wanted, with what tables and the file itself say."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.record import Origin, SourceItem, UnreadableError
from synthograph.core.spec import MASKS
from synthograph.core.untrusted.containers import Container
from synthograph.sources.base import Frame, Reading, SourceFile
from synthograph.sources.facts import Facts
from synthograph.sources.raster import RasterReader
from synthograph.sources.readers import FileDecoder, find_reader, frames_of


def items_of(
    decoder: FileDecoder,
    label: str | None,
    facts: Sequence[Facts],
    split_facts: Facts | None,
    seen: dict[str, str],
) -> Iterator[SourceItem]:
    """The images of one file; what tables say goes before what the file says itself.

    An image whose identity is in `seen` came in another file, and is left out; `seen` grows.

    Raises:
        UnreadableError: the reader of such files does not find any images in it.
    """
    _, container, name = decoder.parts[0]
    file = SourceFile(container, name)
    grouped = next((place for place in facts if place.has_group), None)
    row = grouped.rows.get(name) if grouped else None
    origins = (place.origin_of(name) for place in facts)
    origin: Origin = next((one for one in origins if one is not None), "real")
    columns: dict[str, str] = {}
    for place in facts:
        for key, value in place.columns_of(name).items():
            if columns.setdefault(key, value) != value:
                raise UserError(
                    f"{name!r}: {place.origin} says {key} = {value!r}, another place says "
                    f"{columns[key]!r}; rename one of the columns"
                )
    frames = list(frames_of(file, decoder.reading))
    masks = [(MASKS, *decoder.mask)] if decoder.mask else []
    check_partners(file, frames, (*decoder.parts[1:], *masks), decoder.reading)
    for frame in frames:
        if frame.identity and seen.setdefault(frame.identity, name) != name:
            continue
        mask = (container, name) if frame.masked else None
        yield SourceItem(
            f"{name}#{frame.name}" if frame.name else name,
            dataclasses.replace(decoder, frame=frame.name, mask=decoder.mask or mask),
            frame.label if label is None else label,
            decoder.reading.group(row.group) if row and row.group else frame.group,
            {**frame.columns, **columns},
            origin,
            split=split_facts.rows[name].split if split_facts else None,
            most=None if frame.most is None else (name, frame.most),
        )


def empty_files(
    kept: Sequence[str],
    items: Sequence[SourceItem],
    rejected: Mapping[str, str],
    seen: Mapping[str, str],
) -> str | None:
    """What is said of files of which no image is taken: copies of one that is, those not wanted."""
    taken = {item.name.partition("#")[0] for item in items} | {item.name for item in items}
    empty = [name for name in kept if name not in taken and name not in rejected]
    if not empty:
        return None
    copies = "; copies of an image in another file are taken once" if seen else ""
    return f"{len(empty)} file(s) hold no image that is wanted{copies}: {first_few(empty)}"


def remark_left_out(left_out: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What is said of images that are not wanted: file -> reason -> how many."""
    counts = sum(map(Counter, left_out.values()), Counter[str]())
    if not counts:
        return []
    told = ", ".join(f"{count} {why}" for why, count in counts.items())
    return [f"left out of {len(left_out)} file(s): {told}"]


def check_partners(
    file: SourceFile,
    frames: Sequence[Frame],
    partners: Sequence[tuple[str, Container, str]],
    reading: Reading,
) -> None:
    """Refuse partners that do not fit the images of a file one by one.

    Args:
        file: that holds the images.
        frames: those that are wanted.
        partners: (modality or `MASKS`, container, name) of each.
        reading: what is wanted of all these files.

    Raises:
        UnreadableError: one is a single image beside several, lies elsewhere in the patient, or has
            other slices.
    """
    whole = dataclasses.replace(reading, every=1, min_foreground=0.0)
    if any(frame.name for frame in frames):
        _refuse_single(file, partners, whole)
    for what, container, name in partners:
        if not any(frame.place for frame in frames):
            return
        places = {f.name: f.place for f in frames_of(SourceFile(container, name), whole)}
        for frame in frames:
            place = places.get(frame.name)
            if place is None or frame.place is None or not frame.place.agrees(place):
                raise UnreadableError(
                    f"{what} file {name!r} does not lie where the image does at {frame.name}: "
                    "register both to each other and save them on one grid"
                )


def _refuse_single(
    file: SourceFile, partners: Sequence[tuple[str, Container, str]], whole: Reading
) -> None:
    """A picture of one image says nothing of all pages of a file."""
    for what, container, name in partners:
        if isinstance(find_reader(SourceFile(container, name), whole), RasterReader):
            count = sum(1 for _ in frames_of(file, whole))
            if count > 1:
                raise UnreadableError(
                    f"{what} file {name!r} is one image, {file.name!r} holds {count}; save it as a "
                    "stack with a page for each"
                )
