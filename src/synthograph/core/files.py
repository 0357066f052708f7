"""Atomic files: a file appears complete under its name, or not at all."""

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from synthograph.core.errors import BlockedError, DiskFullError, UserError
from synthograph.core.halves import half_path

NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
"""What file systems answer that cannot flush folders."""
CHUNK = 1 << 20

_OURS = (None, errno.EBADF, errno.EFAULT, errno.ENOMEM, errno.EPIPE)
"""What no file or disk is to blame for."""


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into ours, with their exit codes.

    Raises:
        DiskFullError: no space (or quota) left.
        BlockedError: anything else that a file or disk is to blame for, such as no permission, a
            name that is too long, a file that is too large, or a server that does not answer.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"{path}: no space left on the device; free some and run the same command again"
            ) from error
        if error.errno == errno.ENOTEMPTY:
            raise BlockedError(
                f"{path}: another command wrote it meanwhile; choose another name, or remove it "
                "and run the same command again"
            ) from error
        if error.errno == errno.EIO:
            raise BlockedError(
                f"{path}: {error.strerror}; use an ordinary file on a disk that is sound"
            ) from error
        if error.errno in _OURS:
            raise
        inner = error.filename2 or error.filename
        more = "" if inner is None or str(inner) == str(path) else f" ({inner})"
        raise BlockedError(f"{path}: {error.strerror}{more}") from error


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Give a temporary path beside `target`; on success it is flushed to disk and renamed to
    `target`.

    On any failure the temporary file or folder is removed and `target` is as it was; errors name
    `target`.
    """
    temporary = half_path(target)
    with disk_errors(target):
        try:
            yield temporary
            if temporary.is_file():
                sync(temporary)
            os.replace(temporary, target)
            sync(target.parent)
        except (DiskFullError, UserError) as error:  # of a file that was written within
            plain = type(error) in (DiskFullError, BlockedError, UserError)
            if not plain or str(temporary) not in str(error):
                raise
            raise type(error)(str(error).replace(str(temporary), str(target))) from error
        finally:
            remove(temporary)


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Fill a folder that gets its name when it is complete; the folders above it are made.

    Yields:
        Where to write.

    Raises:
        DiskFullError: no space left.
        UserError: it cannot be written.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as folder:
        folder.mkdir()
        yield folder


def write_bytes(target: Path, data: bytes) -> None:
    """Write `data` to `target` atomically."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(data)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 `text` to `target` atomically, newlines as they are."""
    write_bytes(target, text.encode("utf-8"))


def write_json(target: Path, data: Any) -> None:  # noqa: ANN401
    """Write `data` as indented JSON to `target` atomically. NaN is refused: it is not JSON."""
    write_text(target, json.dumps(data, indent=2, allow_nan=False) + "\n")


def open_own(path: Path, flags: int) -> int:
    """Open a file to be changed in place, or made; the folder may be someone else's, so a link
    that leads elsewhere is not followed.

    Raises:
        BlockedError: it is a link, a pipe or a device.
        OSError: it cannot be opened.
    """
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise BlockedError(
            f"{path}: is a link, a pipe or a device, not a file to change: remove it"
        )
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0), 0o666)


def append_text(path: Path, text: str) -> None:
    """Add to a file, which is made if it is not there.

    Raises:
        SynthographError: see `disk_errors` and `open_own`.
    """
    with disk_errors(path):
        handle = open_own(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(text)


def placed(path: Path) -> Path:
    """The path, with its folder made: not before all checks, so that a refusal leaves nothing."""
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    return path


def link_or_copy(source: Path, target: Path) -> None:
    """Have a file under a second name, which takes no space; a copy where names cannot be shared.

    Only for files that are replaced as a whole and never changed; folders are made.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def sync(path: Path) -> None:
    """Flush a file or a folder entry to the disk, where the system can."""
    windows = os.name == "nt"  # it flushes only what may be written, and opens no folders
    if windows and path.is_dir():
        return
    flags = os.O_RDWR | getattr(os, "O_BINARY", 0) if windows else os.O_RDONLY
    with contextlib.suppress(PermissionError):
        handle = os.open(path, flags)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in NO_SYNC or not path.is_dir():
                raise
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a whole folder; nothing happens when it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_there(path: Path) -> bool:
    """Whether something has this name, even a broken link."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        if error.errno != errno.ELOOP:  # a parent is a link that runs in a circle
            raise
        return False
    return True


def refuse_existing(path: Path, what: str, way_out: str | None = None) -> None:
    """Stop before work whose result would overwrite something.

    Args:
        path: the result.
        what: what to choose another of.
        way_out: what else helps, such as a flag; to remove it, unless given.

    Raises:
        UserError: `path` is an existing file, a folder that is not empty, or a broken link.
    """
    with disk_errors(path):
        taken = _is_there(path) and not (path.is_dir() and not any(path.iterdir()))
    if taken:
        why = "exists already" if path.exists() else "is a broken link"
        raise UserError(f"{path} {why}: choose another {what} or {way_out or 'remove it first'}")


def refuse_unwritable(path: Path) -> None:
    """Stop before long work whose result could not be written.

    Raises:
        UserError: the nearest existing parent of `path` is no folder or cannot be written to.
        DiskFullError: there is no space left for anything.
    """
    parent = path.absolute().parent
    with disk_errors(path):
        while not _is_there(parent):
            parent = parent.parent
    if not parent.is_dir():
        raise UserError(f"{parent} is not a folder, so {path} cannot be written")
    if not os.access(parent, os.W_OK):
        raise UserError(f"{parent} is not writable, so {path} cannot be written")
    try:  # permissions say little about file systems such as /proc
        with disk_errors(path):
            trial = half_path(parent / "trial")
            trial.mkdir()
            trial.rmdir()
    except UserError:
        raise UserError(
            f"{parent}: nothing can be written there, so {path} cannot be; choose another place"
        ) from None


def refuse_output(
    path: Path | None, option: str, *, file: bool = False, replace: bool = False
) -> None:
    """Refuse a result, if one is asked for, that exists or cannot be written. With `replace` a file
    may be there.

    Args:
        path: the result.
        option: what names it.
        file: whether it is a file, whose place even an empty folder takes.
        replace: whether it may take the place of a file.

    Raises:
        UserError: as from `refuse_existing` and `refuse_unwritable`, or a folder in a file's place.
    """
    if path is None:
        return
    with disk_errors(path):
        folder = file and path.is_dir()
    if folder:
        within = path / f"NAME{path.suffix}"
        raise UserError(f"{path} is a folder: name a file, such as {option} {within}")
    if not (replace and path.is_file()):
        refuse_existing(path, option)
    refuse_unwritable(path)


def refuse_unwritable_folder(folder: Path) -> None:
    """As `refuse_unwritable`, for a folder that is there or is to be made.

    Raises:
        UserError: it, or its nearest existing parent, is no folder or cannot be written to.
    """
    with disk_errors(folder):
        there, taken = folder.is_dir(), _is_there(folder)
    if taken and not there:
        what = "file" if folder.is_file() else "pipe or device"
        what = what if folder.exists() else "broken link"
        raise UserError(f"{folder} is a {what}, so nothing can be written into it")
    refuse_unwritable(folder / "x" if there else folder)
