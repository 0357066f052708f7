"""Sets of synthetic images that a table lists, as the digital-health project writes them: a column
`img_path`, and one of classes.
"""

import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.manifest import count_labels
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.cache import cache_part
from synthograph.core.errors import UserError
from synthograph.core.files import placed
from synthograph.core.progress import Progress
from synthograph.core.untrusted.documents import parse_csv, read_office_text
from synthograph.workflows import prepare
from synthograph.workflows.requests import PrepareRequest

FILE = "img_path"
ENDING = ".csv"


@dataclass(frozen=True)
class ImageTable:
    """A table of images.

    Attributes:
        path: of the table.
        label: its column of classes.
        files: the images, in order.
    """

    path: Path
    label: str
    files: Sequence[Path]

    @property
    def folder(self) -> Path:
        """The folder that holds all images."""
        return Path(os.path.commonpath([file.parent for file in self.files]))

    def command(self, *, synthetic: bool) -> str:
        """The command that makes an archive of them."""
        dest = self.path.with_suffix(".zip")
        words = ["synthograph", "prepare", str(self.folder), str(dest), "--labels", str(self.path)]
        words += ["--column", f"file={FILE},label={self.label}", "--allow-rejects"]
        return shlex.join([*words, *(["--synthetic"] if synthetic else [])])


def is_table(path: Path) -> bool:
    """Whether this is a table, not an archive."""
    return path.suffix.lower() == ENDING


def read_table(path: Path) -> ImageTable:
    """Read a table of images.

    Raises:
        UserError: it cannot be read, has no column `img_path` or not one of classes beside it, or
            names a file that is not there.
    """
    way = f"give an archive, or a table with a column {FILE} and one of classes"
    text, _ = read_office_text(path, way)
    table = [cells for _, cells in parse_csv(text, str(path)) if any(cells)]
    header = [name.strip() for name in table[0]] if table else []
    # pandas writes the number of a row in a column without a name
    labels = [n for n in header if n and n != FILE and not n.startswith("Unnamed:")]
    if FILE not in header or len(labels) != 1 or len(table) < 2:
        raise UserError(f"{path}: has the columns {', '.join(header) or 'none'}: {way}")
    place, files = header.index(FILE), []
    for number, cells in enumerate(table[1:], start=2):
        name = cells[place].strip() if len(cells) > place else ""
        found = [home / name for home in (path.parent, Path()) if name and (home / name).is_file()]
        if not found:
            raise UserError(f"{path}, line {number}: there is no file {name!r}: correct {FILE}")
        files.append(found[0].resolve())
    return ImageTable(path, labels[0], files)


def refuse_real_table(path: Path) -> None:
    """Refuse a table where an archive with a split is needed, and say how to make one.

    Raises:
        UserError: it is a table.
    """
    if is_table(path):
        table = read_table(path)
        raise UserError(
            f"{path}: a table has no split, and only training images are mixed: run "
            f"'{table.command(synthetic=False)}', then 'synthograph split "
            f"{path.with_suffix('.zip')}'"
        )


def open_set(path: Path, progress: Progress, *, link: bool) -> Archive:
    """Open a set of synthetic images: an archive, or a table, of which an archive is kept.

    Args:
        path: of either.
        progress: hears how a table was understood.
        link: whether the mixture points into the set, which needs an archive of its own.

    Raises:
        UserError: it is neither, or a table where an archive is needed.
    """
    if not is_table(path):
        return open_archive(path)
    table = read_table(path)
    if link:
        raise UserError(
            f"--link: {path} is a table, not an archive: run '{table.command(synthetic=True)}' "
            "first"
        )
    digest = hashlib.sha256(path.read_bytes())
    for file in table.files:
        status = file.stat()
        digest.update(f"{file}\n{status.st_size} {status.st_mtime_ns}\n".encode())
    dest = cache_part("tables") / digest.hexdigest()[:32] / f"{path.stem}.zip"
    if not dest.exists():
        request = PrepareRequest(
            source=table.folder,
            dest=placed(dest),
            labels=path,
            column=(f"file={FILE}", f"label={table.label}"),
            invariant=("none",),
            allow_rejects=True,
            synthetic=True,
        )
        prepare.run(request, progress=progress)
    archive = open_archive(dest)
    counts = count_labels(archive.rows, archive.info.classes)
    said = ", ".join(f"{count} of class {name}" for name, count in counts.items())
    progress.log(f"understood: {path}: {said}, by column {table.label}")
    return archive
