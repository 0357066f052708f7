"""Folders and zip files as named bytes, without trusting them.

A member never leads out of its folder, its declared size is bounded before memory is taken, and
what a zip holds is checked against what it declares.
"""

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from synthograph.core.errors import UserError

MAX_MEMBER_BYTES = 512 << 20
MAX_RATIO = 1100  # deflate reaches 1032 at most, so only a forged header declares more
SKIPPED_NAMES = ("Thumbs.db", "__MACOSX", "desktop.ini")


class Container:
    """A folder or a zip file, opened for reading; pickles as its path, so every process opens its
    own.

    Args:
        path: the folder or file.

    Raises:
        UserError: it is missing, unreadable or no zip, or a member's name leads out of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zip: zipfile.ZipFile | None = None
        if path.is_dir():
            self._names = sorted(_walk(path))
        else:
            self._zip = _open_zip(path)
            self._names = sorted(_members(self._zip, path))
        self._known = frozenset(self._names)

    def __reduce__(self) -> tuple[type["Container"], tuple[Path]]:
        return Container, (self.path,)

    def names(self) -> list[str]:
        """Relative posix names of all files, sorted; hidden and system files are left out."""
        return self._names

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def read(self, name: str) -> bytes:
        """All bytes of a member.

        Raises:
            UserError: there is no such member, it is too large or cannot be read.
        """
        if name not in self._known:
            raise UserError(f"{self.path}: holds no file {name!r}")
        try:
            if self._zip is not None:
                return _read_member(self._zip, name, self.path)
            file = self.path / name
            _check_size(file.stat().st_size, f"{file}")
            return file.read_bytes()
        except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
            raise UserError(f"{self.path}: {name!r} cannot be read ({error})") from None

    def close(self) -> None:
        """Close the zip file, if it is one."""
        if self._zip is not None:
            self._zip.close()


def _walk(root: Path) -> Iterator[str]:
    """Files below a folder; links to folders are not followed, so no loop can catch us."""
    try:
        next(os.scandir(root), None)
    except OSError as error:
        raise UserError(f"{root}: cannot be listed ({error.strerror})") from None
    for folder, folders, files in os.walk(root, followlinks=False):
        folders[:] = [f for f in folders if not _skipped(f)]
        for name in files:
            path = Path(folder, name)
            if not _skipped(name) and path.is_file():
                yield path.relative_to(root).as_posix()


def _skipped(part: str) -> bool:
    return part.startswith(".") or part in SKIPPED_NAMES


def _open_zip(path: Path) -> zipfile.ZipFile:
    if not path.exists():
        raise UserError(f"{path}: there is no such file or folder")
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise UserError(f"{path}: is neither a folder nor a zip file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _members(archive: zipfile.ZipFile, path: Path) -> Iterator[str]:
    seen: set[str] = set()
    for info in archive.infolist():
        parts = PurePosixPath(info.filename).parts
        if not parts or info.is_dir():
            continue
        if info.filename.startswith("/") or ".." in parts or "\\" in info.filename:
            raise UserError(f"{path}: member {info.filename!r} leads out of the archive; refused")
        if info.filename in seen:
            raise UserError(f"{path}: member {info.filename!r} is there twice; refused")
        seen.add(info.filename)
        if not any(_skipped(part) for part in parts):
            yield info.filename


def _read_member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    info = archive.getinfo(name)
    where = f"{path}: member {name!r}"
    _check_size(info.file_size, where)
    if info.file_size > MAX_RATIO * max(info.compress_size, 1):
        raise UserError(f"{where} declares {info.file_size} bytes in {info.compress_size}; refused")
    with archive.open(info) as file:
        return file.read(info.file_size + 1)


def _check_size(size: int, where: str) -> None:
    if size > MAX_MEMBER_BYTES:
        raise UserError(f"{where} has {size} bytes, the limit is {MAX_MEMBER_BYTES}")
