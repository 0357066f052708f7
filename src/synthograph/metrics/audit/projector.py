"""Files of the TensorBoard projector, read without trust and written.

- `tensors.tsv`: a vector per line, numbers with tabs between them, no header;
- `metadata.tsv`: a header and a line per vector, cells with tabs between them, no quotes. A file of
  one column has no header: it holds the labels;
- `sprite.png`: a picture per vector, row by row; `projector_config.pbtxt` says what is what.
"""

import itertools
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.files import (
    atomic_path,
    disk_errors,
    refuse_existing,
    refuse_unwritable,
    write_bytes,
    write_text,
)
from synthograph.core.untrusted.documents import as_text, read_text
from synthograph.metrics.sprites import sprite

# m vector, d feature

MAX_ROWS = 200_000
MAX_NUMBERS = 1 << 28
MAX_LINE = 4 << 20
MAX_CELLS = 1000
TENSORS, METADATA, SPRITE, CONFIG = (
    "tensors.tsv",
    "metadata.tsv",
    "sprite.png",
    "projector_config.pbtxt",
)
_VECTORS = "give a vector per line, numbers with tabs between them"
_CELLS = "give a header and a line per vector, cells with tabs between them"


@dataclass(frozen=True)
class Metadata:
    """Lines of a `metadata.tsv`.

    Attributes:
        columns: names of its columns.
        cells: text of every line.
        first: number of the first line behind the header.
    """

    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]
    first: int = field(default=2)

    def __len__(self) -> int:
        return len(self.cells)

    def __getitem__(self, row: int) -> dict[str, str]:
        return dict(zip(self.columns, self.cells[row], strict=True))

    def line(self, row: int) -> int:
        """Number of a row's line in the file."""
        return row + self.first


def read_metadata(path: Path) -> Metadata:
    """A `metadata.tsv`; see the head of this module.

    Raises:
        UserError: it cannot be read, is empty or too long, names a column twice, or a line has
            another number of cells than the header.
    """
    lines = read_text(path, _CELLS).split("\n")
    lines = [line.removesuffix("\r") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise UserError(f"{path}: is empty; {_CELLS}")
    if len(lines) > MAX_ROWS + 1:
        raise UserError(f"{path}: has more than {MAX_ROWS:,} lines; take fewer images")
    header = tuple(lines[0].split("\t"))
    if len(header) == 1 and header[0] not in ("label", "image_name"):
        return Metadata(("label",), tuple((line,) for line in lines), first=1)
    if len(header) > MAX_CELLS or len(set(header)) != len(header):
        raise UserError(f"{path}, line 1: a column is named twice, or there are too many; {_CELLS}")
    cells = tuple(tuple(line.split("\t")) for line in lines[1:])
    for number, row in enumerate(cells, start=2):
        if len(row) != len(header):
            raise UserError(
                f"{path}, line {number}: {len(row)} cells under a header of {len(header)}; {_CELLS}"
            )
    if not cells:
        raise UserError(f"{path}: has a header and no line behind it; {_CELLS}")
    return Metadata(header, cells)


def read_tensors(path: Path) -> Float[Tensor, "m d"]:
    """A `tensors.tsv`, read line by line; float32.

    Raises:
        UserError: it cannot be read, is empty or too large, a cell is no finite number, or lines
            differ in length.
    """
    rows: list[np.ndarray] = []
    width = 0
    for number, text in _lines(path):
        row = _numbers(text, f"{path}, line {number}")
        width = width or len(row)
        if len(row) != width:
            raise UserError(
                f"{path}, line {number}: {len(row)} numbers, the first line has {width}; {_VECTORS}"
            )
        rows.append(row)
        if len(rows) > MAX_ROWS or len(rows) * width > MAX_NUMBERS:
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
            for number in itertools.count(1):
                data = file.readline(MAX_LINE + 1)
                if not data:
                    return
                if len(data) > MAX_LINE:
                    raise UserError(
                        f"{path}, line {number}: is longer than {MAX_LINE >> 20} MiB; {_VECTORS}"
                    )
                text = as_text(data, f"{path}, line {number}", _VECTORS).rstrip("\r\n")
                if not text:
                    empty = empty or number
                    continue
                if empty is not None:
                    raise UserError(f"{path}, line {empty}: is empty; {_VECTORS}")
                yield number, text


def _numbers(text: str, where: str) -> np.ndarray:
    """The finite numbers of a line as float32."""
    cells = text.split("\t")
    try:
        row = np.array([float(cell) for cell in cells])
    except ValueError:
        bad = next(cell for cell in cells if not _is_number(cell))
        raise UserError(f"{where}: {bad[:40]!r} is no number; {_VECTORS}") from None
    largest = np.abs(row).max()
    if not largest <= np.finfo(np.float32).max:
        raise UserError(
            f"{where}: holds a number that is not finite or too large for float32; look at the "
            "image and at what made its features"
        )
    return row.astype(np.float32)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def export(
    folder: Path,
    features: Float[Tensor, "m d"],
    rows: Sequence[Mapping[str, str]],
    *,
    pictures: Sequence[np.ndarray] | None = None,
    name: str = "features",
) -> list[Path]:
    """Write a folder for the TensorBoard projector: `tensorboard --logdir FOLDER`.

    Args:
        folder: to be made; it may be there if it is empty.
        features: a vector per image.
        rows: what to show of every image, such as `{"label": ..., "image_name": ..., "pair": ...,
            "kind": "real", "split": ...}`; all with the same columns, which are written as they
            come. Tabs and line ends in a cell become spaces.
        pictures: uint8 [h, w, 3] per image, of one size, for the sprite; None for no sprite.
        name: of the embedding in the projector.

    Returns:
        The files.

    Raises:
        UserError: the folder has something in it, rows or pictures do not fit the features, or
            there are too many pictures for a sprite.
    """
    refuse_existing(folder, "folder")
    refuse_unwritable(folder)
    columns = list(rows[0]) if rows else []
    shown = len(features) if pictures is None else len(pictures)
    for count, what in ((len(rows), "rows"), (shown, "pictures")):
        if count != len(features):
            raise UserError(f"{count} {what} for {len(features)} vectors: give one for each")
    if not columns or any(list(row) != columns for row in rows):
        raise UserError("rows of metadata differ in their columns, or there are none")
    if not bool(features.isfinite().all()):
        raise UserError("features are not finite numbers; look at the images and the weight file")
    sheet = None if pictures is None else sprite(pictures)
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder) as temporary:
        temporary.mkdir()
        _write_tensors(temporary / TENSORS, features)
        write_text(temporary / METADATA, _metadata(columns, rows))
        if sheet is not None:
            write_bytes(temporary / SPRITE, sheet.png)
        size = None if sheet is None else (sheet.width, sheet.height)
        write_text(temporary / CONFIG, _config(name, size))
    return sorted(folder.iterdir())


def _write_tensors(path: Path, features: Float[Tensor, "m d"]) -> None:
    with disk_errors(path), path.open("w", encoding="ascii", newline="\n") as file:
        for row in features.to(torch.float32).numpy():
            file.write("\t".join(f"{number:.9g}" for number in row) + "\n")


def _metadata(columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    lines = [[row[column] for column in columns] for row in rows]
    if len(columns) > 1:  # TensorBoard takes a single column to have no header
        lines = [list(columns), *lines]
    return "".join("\t".join(_cell(cell) for cell in line) + "\n" for line in lines)


def _cell(text: str) -> str:
    """Text that cannot end a cell or a line."""
    return " ".join(re.split(r"[\t\r\n\0]", text))


def _config(name: str, size: tuple[int, int] | None) -> str:
    """The projector's settings in the text form of protocol buffers."""
    quoted = re.sub(r'["\\\r\n]', "_", name)
    lines = [
        f'  tensor_name: "{quoted}"',
        f'  tensor_path: "{TENSORS}"',
        f'  metadata_path: "{METADATA}"',
    ]
    if size is not None:
        lines += [
            "  sprite {",
            f'    image_path: "{SPRITE}"',
            *(f"    single_image_dim: {side}" for side in size),
            "  }",
        ]
    return "\n".join(["embeddings {", *lines, "}"]) + "\n"
