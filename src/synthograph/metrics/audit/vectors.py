"""Vectors of images in files of others, as TensorBoard's projector has them.

- `tensors.tsv`: a vector per line, numbers with tabs between them, no header;
- `metadata.tsv`: a header and a line per vector, cells with tabs between them, no quotes. Columns
  `label`, `image_name`, `pair`, `kind` and `split` are used where they are there. A file of one
  column has no header: it holds the labels.
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors
from synthograph.core.untrusted.documents import as_text, read_text

# m vector, d feature

MAX_ROWS = 200_000
MAX_NUMBERS = 1 << 28
MAX_LINE = 4 << 20
MAX_COLUMNS = 1000
_VECTORS = "give a vector per line, numbers with tabs between them"
_CELLS = "give a header and a line per vector, cells with tabs between them"


@dataclass(frozen=True)
class Metadata:
    """Text of every line of a `metadata.tsv` by column, and the number of the first such line."""

    cells: list[dict[str, str]]
    first: int

    def line(self, row: int) -> int:
        """Number of a row's line in the file."""
        return row + self.first


def read_metadata(path: Path) -> Metadata:
    """A `metadata.tsv`.

    Raises:
        UserError: it cannot be read, is empty or too long, names a column twice, or a line has
            another number of cells than the header.
    """
    text = read_text(path, _CELLS).replace("\r\n", "\n").rstrip("\n")
    lines = text.split("\n", MAX_ROWS + 1)
    if not text:
        raise UserError(f"{path}: is empty; {_CELLS}")
    if len(lines) > MAX_ROWS + 1:
        raise UserError(f"{path}: has more than {MAX_ROWS:,} lines; take fewer images")
    header = lines[0].split("\t")
    if len(header) == 1 and header[0] not in ("label", "image_name"):
        return Metadata([{"label": line} for line in lines], first=1)
    if len(header) > MAX_COLUMNS or len(set(header)) != len(header):
        raise UserError(f"{path}, line 1: a column is named twice, or there are too many; {_CELLS}")
    rows = [line.split("\t") for line in lines[1:]]
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {number}: {len(row)} cells under a header of {len(header)}; {_CELLS}"
            )
    if not rows:
        raise UserError(f"{path}: has a header and no line behind it; {_CELLS}")
    return Metadata([dict(zip(header, row, strict=True)) for row in rows], first=2)


def read_vectors(path: Path) -> Float[Tensor, "m d"]:
    """A `tensors.tsv`, read line by line; float32.

    Raises:
        UserError: it cannot be read, is empty or too large, a cell is no finite number, or lines
            differ in length.
    """
    rows: list[np.ndarray] = []
    for number, text in _lines(path):
        row = _numbers(text, f"{path}, line {number}")
        rows.append(row)
        if len(row) != len(rows[0]):
            raise UserError(
                f"{path}, line {number}: {len(row)} numbers, the first line has {len(rows[0])}; "
                f"{_VECTORS}"
            )
        if len(rows) > MAX_ROWS or len(rows) * len(row) > MAX_NUMBERS:
            raise UserError(
                f"{path}, line {number}: more than {MAX_ROWS:,} vectors or {MAX_NUMBERS:,} "
                "numbers; take fewer images or features"
            )
    if not rows:
        raise UserError(f"{path}: is empty; {_VECTORS}")
    return torch.from_numpy(np.stack(rows))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number and text of every line; empty ones at the end are left out."""
    empty = None
    with disk_errors(path):
        if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe could wait for ever
            raise UserError(f"{path}: is no ordinary file; {_VECTORS}")
        with path.open("rb") as file:
            for number, data in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
                where = f"{path}, line {number}"
                if len(data) > MAX_LINE:
                    raise UserError(f"{where}: is longer than {MAX_LINE >> 20} MiB; {_VECTORS}")
                text = as_text(data, where, _VECTORS).rstrip("\r\n")
                if text and empty is not None:
                    raise UserError(f"{path}, line {empty}: is empty; {_VECTORS}")
                if text:
                    yield number, text
                else:
                    empty = empty or number


def _numbers(text: str, where: str) -> np.ndarray:
    """The finite numbers of a line as float32."""
    numbers = list[float]()
    for cell in text.split("\t"):
        try:
            numbers.append(float(cell))
        except ValueError:
            raise UserError(f"{where}: {cell[:40]!r} is no number; {_VECTORS}") from None
    row = np.array(numbers)
    if not np.abs(row).max() <= np.finfo(np.float32).max:
        raise UserError(
            f"{where}: holds a number that is not finite or too large for float32; look at the "
            "image and at what its features come from"
        )
    return row.astype(np.float32)
