"""Folders of images with a metadata.csv each, as the library `datasets` reads them."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from synthograph.core.errors import UserError
from synthograph.core.spec import MASKS
from synthograph.core.untrusted.containers import Container
from synthograph.core.untrusted.documents import as_text, parse_csv
from synthograph.sources.base import read_member
from synthograph.sources.cells import split_of
from synthograph.sources.layouts.base import Entry, MaskFile

METADATA, FILE = "metadata.csv", "file_name"
FIRST = f"{FILE}_modality"
"""Column of our own folders with the name of the first modality."""


class HuggingFace:
    """`file_name` is the first modality, `NAME_file_name` a further one or the mask; the folder is
    the split unless a column says it. In folders of ours a modality may be called `mask`.
    """

    name = "huggingface"

    def entries(self, source: Container, named: str) -> Iterable[Entry]:
        """A line of a table each."""
        tables = [n for n in source.members().names if PurePosixPath(n).name == METADATA]
        if not tables:
            raise UserError(f"{source}: holds no {METADATA}; each folder of images has one")
        for table in sorted(tables):
            yield from _lines(source, table)


def _lines(source: Container, table: str) -> Iterable[Entry]:
    origin = f"{source}/{table}"
    text = as_text(read_member(source, table), origin, "it holds CSV")
    (_, header), *rows = parse_csv(text, origin, ",") or [(1, [])]
    if FILE not in header:
        raise UserError(f"{origin}: has no column {FILE}")
    twice = next((name for name in header if name and header.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{origin}: has two columns {twice!r:.80}")
    folder = str(PurePosixPath(table).parent)
    for number, cells in rows:
        if not cells:  # a blank line
            continue
        if len(cells) != len(header):
            raise UserError(f"{origin}, row {number}: has {len(cells)} cells, not {len(header)}")
        row = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
        if FILE not in row:
            raise UserError(f"{origin}, row {number}: names no file")
        yield _entry(row, "" if folder == "." else f"{folder}/", has_split="split" in header)


def _entry(row: dict[str, str], folder: str, *, has_split: bool) -> Entry:
    ours, first = FIRST in row, row.pop(FIRST, "image")
    further = {n: row.pop(n) for n in list(row) if n == FILE or n.endswith(f"_{FILE}")}
    places = {name: folder + file.removeprefix("./") for name, file in further.items()}
    files = {first: [places.pop(FILE)]}
    named = {name.removesuffix(f"_{FILE}"): place for name, place in places.items()}
    mask = named.pop(MASKS, None) or (None if ours else named.pop("mask", None))
    files |= {name: [file] for name, file in named.items()}
    split = split_of(folder.strip("/").rpartition("/")[2])
    if not has_split and split:
        row["split"] = split
    return Entry(files, row, None if mask is None else MaskFile(mask))
