"""Long work in parts, by processes or machines that do not communicate. Each part makes a range of
the items; the command without a part joins them into the same bytes as one process would write.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthograph.archive.writer import ArchiveWriter, EncodedImage
from synthograph.core.errors import BlockedError, UserError
from synthograph.core.outputs import PARTIAL

MAX_PARTS = 10_000
Trim = Callable[[list[EncodedImage], Any], tuple[list[EncodedImage], Any]]
"""Images of an item, and what is remembered of it, to what is taken over of both."""


@dataclass(frozen=True)
class Part:
    """Part `number`, counted from 1, of `of` parts of a piece of work."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Part":
        """The part called `2/4`.

        Raises:
            UserError: it is not of that form, or there is no such part.
        """
        found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text.strip())
        part = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= part.number <= part.of <= MAX_PARTS:
            raise UserError(
                f"--part {text!r}: give number and count, such as 2/4 for the second of four parts "
                f"(at most {MAX_PARTS})"
            )
        return part

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def numbers(self, total: int, unit: int = 1) -> range:
        """The items of this part, a contiguous range, cut only between units of so many."""
        units = -(-total // unit)
        ends = [units * k // self.of * unit for k in (self.number - 1, self.number)]
        return range(min(ends[0], total), min(ends[1], total))

    def dest(self, whole: Path) -> Path:
        """Path of this part of an archive."""
        return whole.with_name(f"{whole.name}.part{self.number}of{self.of}")


def find_parts(dest: Path) -> Sequence[Part]:
    """All parts of an archive if at least one was begun, else none.

    Raises:
        BlockedError: there are parts of several divisions.
    """
    pattern = re.compile(re.escape(dest.name) + r"\.part([0-9]+)of([0-9]+)" + re.escape(PARTIAL))
    folder = dest.parent
    names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
    counts = {int(found[2]) for name in names if (found := pattern.fullmatch(name))}
    if len(counts) > 1:
        one, other = sorted(counts)[:2]
        raise BlockedError(
            f"{dest}: there are parts of {one} and parts of {other} (folders {dest.name}.part*): "
            "remove those of one division"
        )
    return [Part(k, of) for of in counts for k in range(1, of + 1)]


def missing_ranges(
    writer: ArchiveWriter,
    total: int,
    command: Mapping[str, object],
    trimming: Callable[[], Trim] = lambda: lambda images, item: (images, item),
) -> Iterator[range]:
    """Take over finished items of the parts, in order, and give the ranges that are missing.

    The caller adds the items of each range before it asks for the next.

    Args:
        writer: of the whole archive.
        total: number of items.
        command: the command that writer and parts were begun with. It decides, with `total`, which
            items a part has: nothing else may, or parts would overlap or leave gaps.
        trimming: asked when a part is taken over, what becomes of its items, one by one in order.

    Raises:
        BlockedError: a part is still being written, or belongs to another command.
    """
    for part in find_parts(writer.dest):
        numbers = part.numbers(total)
        if writer.items_done < numbers.stop and _begun(part, writer.dest):
            _take_over(writer, part, numbers, command, trimming())
        if writer.items_done < numbers.stop:
            yield range(writer.items_done, numbers.stop)
    if writer.items_done < total:
        yield range(writer.items_done, total)


def _begun(part: Part, dest: Path) -> bool:
    return part.dest(dest).with_name(f"{part.dest(dest).name}{PARTIAL}").is_dir()


def _take_over(
    writer: ArchiveWriter,
    part: Part,
    numbers: range,
    command: Mapping[str, object],
    trim: Trim,
) -> None:
    held = ArchiveWriter(part.dest(writer.dest), command)
    try:
        known = writer.items_done - numbers.start
        for images, item in held.content(known):
            writer.add(*trim(images, item))
    finally:
        held.suspend()


def discard_parts(dest: Path, command: Mapping[str, object]) -> None:
    """Remove the parts of an archive that is finished."""
    for part in find_parts(dest):
        if _begun(part, dest):
            ArchiveWriter(part.dest(dest), command).discard()
