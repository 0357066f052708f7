"""Folders and zip files, read in the same way: names of members, and the bytes of one.

Both hold nothing but a path, so they can be sent to worker processes; a zip file is opened once per
process.
"""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePath, PurePosixPath

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, misspelt
from synthograph.core.outputs import is_unfinished
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.zip_names import open_named

MAX_MEMBER_BYTES = 512 << 20
BOMB_BYTES, BOMB_RATIO = 32 << 20, 100
HEAD_BYTES = 256
"""What formats are recognised by; DICOM has its mark behind 128 bytes."""

OUTSIDE = "link to a file outside the folder; put the file itself there"
_AT_ONCE = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
"""How to open what may be a pipe, without waiting for who writes into it."""
_PIECE = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LITTER = frozenset(
    "__macosx thumbs.db ehthumbs.db ehthumbs_vista.db desktop.ini icon\r lost+found "
    "$recycle.bin recycler recycled found.000 @eadir @tmp @recycle @recently-snapshot @sharebin "
    "@__thumb @synoeastream @synoresource #recycle #snapshot ~snapshot".split(" ")
) | {"system volume information", "network trash folder", "temporary items"}
"""Left behind by systems and file servers, in lower case; `.DS_Store`, `.Trash-1000`, `._a.png`
are hidden as they are.
"""
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder or zip file contains."""

    names: tuple[str, ...]
    """Relative posix names of regular files, sorted; hidden files and system litter left out."""
    broken: tuple[tuple[str, str], ...] = ()
    """Name and reason of entries that are listed but cannot be read."""
    remarks: tuple[str, ...] = ()
    """What was left out for another reason, one phrase each."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and all that lies below it; links to folders are not followed, and neither are links
    to files outside the folder. Unfinished archives in it are left out.
    """

    path: Path

    def members(self) -> Contents:
        """All members.

        Raises:
            UserError: a sub-folder cannot be opened.
        """
        found = _Walk(self.path.resolve())
        for folder, below, files in os.walk(self.path, onerror=_refuse_folder):
            base = Path(folder).relative_to(self.path)
            growing = {name for name in below if is_unfinished(Path(folder, name))}
            found.unfinished.extend((base / name).as_posix() for name in growing)
            found.litter.extend(n for n in below if is_litter(n) and not n.startswith("."))
            below[:] = sorted(n for n in below if n not in growing and not is_litter(n))
            found.links.extend(
                (base / name).as_posix() for name in below if os.path.islink(Path(folder, name))
            )
            for name in files:
                if not is_litter(name):
                    found.add((base / name).as_posix(), Path(folder, name))
        return found.contents()

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of a member, or the first `limit` of them.

        Raises:
            UnreadableError: it cannot be opened, or is wanted whole and larger than
                `MAX_MEMBER_BYTES`.
        """
        path = self.path / name
        try:
            if not path.resolve().is_relative_to(self.path.resolve()):
                raise UnreadableError(OUTSIDE)
            with os.fdopen(os.open(path, _AT_ONCE), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise UnreadableError("is a pipe or a device")
                size = status.st_size
                if limit is None and size > MAX_MEMBER_BYTES:
                    raise UnreadableError(_too_large(size))
                return file.read(limit)
        except OSError as error:
            raise UnreadableError(f"cannot be opened ({error.strerror or error})") from error

    def stamp(self, name: str) -> str:
        """Size and time of a member as text, which change with it."""
        try:
            status = (self.path / name).stat()
        except OSError:
            return "unreadable"
        return f"{status.st_size} {status.st_mtime_ns}"

    def inside(self, other: "Container") -> str | None:
        """This folder's relative name in `other` (ending in a slash, or empty), or None."""
        if not isinstance(other, Folder):
            return None
        return _relative(self.path.resolve(), other.path.resolve())

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.resolve().name

    def __str__(self) -> str:
        """The path, for messages."""
        return str(self.path)


@dataclass(frozen=True, slots=True)
class ZipFolder:
    """A zip file, or one folder inside it.

    Attributes:
        path: the zip file.
        prefix: the folder inside, ending in a slash, or empty for the whole file.
    """

    path: Path
    prefix: str = ""

    def members(self) -> Contents:
        """All members below `prefix`.

        Raises:
            UserError: not a zip file, or one that is unsafe: a member that is absolute, leaves its
                folder, is encrypted, is packed by a method whose size cannot be bounded, appears
                twice, or whose declared size is beyond `MAX_MEMBER_BYTES` or (above `BOMB_BYTES`)
                more than `BOMB_RATIO` times its packed size.
        """
        infos = [i for i in _open_zip(self.path).infolist() if not i.filename.endswith("/")]
        for info in infos:
            _check_member(self.path, info)
        twice = [name for name, n in Counter(i.filename for i in infos).items() if n > 1]
        if twice:
            raise UserError(f"{self.path}: member {twice[0]!r} appears twice; pack the zip again")
        names: list[str] = []
        broken: list[tuple[str, str]] = []
        litter: list[str] = []
        for info in sorted(infos, key=lambda info: info.filename):
            name = info.filename.removeprefix(self.prefix)
            if not info.filename.startswith(self.prefix):
                continue
            left = next(filter(is_litter, name.split("/")), None)
            if left is not None:
                litter += [left] if "/" in name and not left.startswith(".") else []
            elif stat.S_ISLNK(info.external_attr >> 16):
                broken.append((name, "is a link; pack the file itself"))
            else:
                names.append(name)
        remarks = _remark_litter(litter, "file")
        page = getattr(_open_zip(self.path), "metadata_encoding", None)
        if page not in (None, "utf-8"):
            remarks += (f"file names in {self.path} are not in UTF-8; they are read as {page}",)
        return Contents(tuple(names), tuple(broken), remarks)

    def read(self, name: str, limit: int | None = None) -> bytes:
        """The bytes of a member, whose checksum is verified, or the first `limit` of them.

        Raises:
            UnreadableError: it is damaged or packed by a method that is not supported.
        """
        try:
            packed = _open_zip(self.path)
            info = packed.getinfo(self.prefix + name)
            _check_member(self.path, info)
            with packed.open(info) as member:
                if limit is not None:
                    return member.read(limit)
                # in one read a member that lies about its size would be unpacked whole
                data = b"".join(iter(lambda: member.read(_PIECE), b""))
            if len(data) == info.file_size:
                return data
        except UserError as error:
            raise UnreadableError(str(error)) from error
        except (NotImplementedError, RuntimeError) as error:
            raise UnreadableError(f"packed in an unknown way ({str(error)[:200]})") from error
        except Exception as error:  # each unpacker has its own kinds of failure
            raise UnreadableError(f"damaged in the zip file ({str(error)[:200]})") from error
        raise UnreadableError(f"holds {len(data)} bytes, but is said to hold {info.file_size}")

    def stamp(self, name: str) -> str:
        """Size and checksum of a member as text, which change with it."""
        try:
            info = _open_zip(self.path).getinfo(self.prefix + name)
        except (KeyError, UserError):
            return "unreadable"
        return f"{info.file_size} {info.CRC}"

    def inside(self, other: "Container") -> str | None:
        """This folder's relative name in `other` (ending in a slash, or empty), or None."""
        if not isinstance(other, ZipFolder) or self.path.resolve() != other.path.resolve():
            return None
        return _relative(PurePosixPath(self.prefix), PurePosixPath(other.prefix))

    @property
    def name(self) -> str:
        """The folder's own name, which for the whole file is the file's without its ending."""
        return PurePosixPath(self.prefix).name or self.path.stem

    def __str__(self) -> str:
        """The path, for messages."""
        return str(self.path / self.prefix)


Container = Folder | ZipFolder


def open_container(path: Path, what: str) -> Container:
    """The folder or zip file at `path`; `set.zip/NIR` is the folder NIR inside a zip file.

    Args:
        path: where it is.
        what: how messages call it, such as `SOURCE` or `--masks`.

    Raises:
        UserError: nothing is there, it cannot be read, or it is neither a folder nor a zip file.
    """
    try:
        if path.is_dir():
            return Folder(path)
        if path.is_file():
            _open_zip(path)
            return ZipFolder(path)
        if path.exists():
            raise UserError(f"{what} {path}: is a pipe or a device; give a folder or a zip file")
        for parent in path.parents:
            if parent.is_file() and zipfile.is_zipfile(parent):
                inner = ZipFolder(parent, path.relative_to(parent).as_posix() + "/")
                if any(name.startswith(inner.prefix) for name in ZipFolder(parent).members().names):
                    return inner
                raise UserError(f"{what} {path}: the zip file holds no such folder")
    except OSError as error:
        raise UserError(f"{what} {path}: cannot be read ({error.strerror or error})") from None
    archive = str(path).rpartition(":")[0]
    way = f"; a split is not named here: {archive}" if archive and Path(archive).exists() else ""
    raise UserError(f"{what} {path}: no such folder or zip file{way or misspelt(path)}")


def zip_names(path: Path) -> list[str]:
    """Names of all members of a zip file, safe or not, for messages.

    Raises:
        UserError: it cannot be read, or is no zip file.
    """
    return _open_zip(path).namelist()


def unwrap(container: Container) -> Container:
    """The single top folder of a zip that wraps all the rest, else the container itself."""
    if not isinstance(container, ZipFolder):
        return container
    names = container.members().names
    tops = {name.partition("/")[0] for name in names if "/" in name}
    if len(tops) != 1 or any("/" not in name for name in names):
        return container
    top = f"{tops.pop()}/"
    deeper = all(name.count("/") > 1 for name in names)
    wrapped = deeper or f"{top}dataset.json" in names
    return ZipFolder(container.path, container.prefix + top) if wrapped else container


def is_litter(name: str) -> bool:
    """Whether a file or folder name is hidden or left behind by an operating system."""
    return name.startswith(".") or name.lower() in _LITTER


def _remark_litter(names: Sequence[str], what: str) -> tuple[str, ...]:
    counts = Counter(name for name in names if name.lower() != "__macosx")
    if not counts:
        return ()
    kinds = first_few([f"{name} {count}" for name, count in counts.most_common()])
    return (f"{counts.total()} {what}(s) of a file server or system left out: {kinds}",)


def without_runs(listing: Contents) -> Contents:
    """Contents without run directories, whose images show a training."""
    known = frozenset(listing.names)
    folders = {name.rpartition("/")[0] for name in known if name.endswith("/config.json")}
    runs = sorted(folder for folder in folders if f"{folder}/log.txt" in known)
    if not runs:
        return listing
    inside = tuple(f"{run}/" for run in runs)
    remark = f"run directories of trainings left out: {first_few(runs)}"
    names = tuple(name for name in listing.names if not name.startswith(inside))
    return Contents(names, listing.broken, (*listing.remarks, remark))


@dataclass(slots=True)
class _Walk:
    """What a walk through the folder `root`, an absolute path without links, has found so far."""

    root: Path
    names: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, path: Path) -> None:
        try:
            name.encode()
            mode = path.stat().st_mode
            outside = path.is_symlink() and not path.resolve().is_relative_to(self.root)
        except UnicodeEncodeError:
            shown = name.encode(errors="backslashreplace").decode()
            self.broken.append((shown, "its name is not valid UTF-8; rename the file"))
        except OSError as error:
            self.broken.append((name, f"link or file that cannot be followed ({error.strerror})"))
        else:
            if outside:
                self.broken.append((name, OUTSIDE))
            else:  # a pipe or device would block the reader for ever
                (self.names if stat.S_ISREG(mode) else self.special).append(name)

    def contents(self) -> Contents:
        circles = "linked folder(s) not followed, since links can run in circles"
        counted = (
            (f"{len(self.links)} {circles}", self.links),
            ("unfinished archive(s) left out", sorted(self.unfinished)),
            (f"{len(self.special)} pipe(s) or device(s) ignored", self.special),
        )
        remarks = tuple(f"{what}: {first_few(names)}" for what, names in counted if names)
        remarks += _remark_litter(self.litter, "folder")
        return Contents(tuple(sorted(self.names)), tuple(self.broken), remarks)


def _refuse_folder(error: OSError) -> None:
    raise UserError(
        f"{error.filename}: cannot be listed ({error.strerror}); change its permissions or move "
        f"it away"
    )


def _too_large(size: int) -> str:
    return f"{size >> 20} MiB is more than the {MAX_MEMBER_BYTES >> 20} MiB that one file may have"


def _relative(path: PurePath, root: PurePath) -> str | None:
    if not path.is_relative_to(root):
        return None
    inner = path.relative_to(root).as_posix()
    return "" if inner == "." else inner + "/"


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    drive = len(name) > 1 and name[1] == ":"
    if not name or name.startswith("/") or drive or "\\" in name or ".." in name.split("/"):
        raise UserError(
            f"{path}: member {name!r} would leave its folder or has a foreign separator; "
            "pack the zip again with relative names and forward slashes"
        )
    if info.flag_bits & _ENCRYPTED:
        raise UserError(f"{path}: member {name!r} is encrypted; pack the zip without a password")
    if info.compress_type not in _METHODS:
        raise UserError(
            f"{path}: member {name!r} is packed by method {info.compress_type}; pack the zip again "
            "by the usual one (deflate) or without compression"
        )
    if info.file_size > MAX_MEMBER_BYTES:
        raise UserError(
            f"{path}: member {name!r}: {_too_large(info.file_size)}; take smaller images, or give "
            "them as files in a folder"
        )
    if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
        raise UserError(
            f"{path}: member {name!r} grows from {info.compress_size} to {info.file_size} bytes, "
            f"more than {BOMB_RATIO} times, as compression bombs do; pack it without compression"
        )


def _open_zip(path: Path) -> zipfile.ZipFile:
    """The open zip file, shared within a process; a changed file is opened anew."""
    try:
        status = path.stat()
        # a file renamed over another within one tick of the clock, as `split` does, has the
        # same time and may have the same size, but never the same number
        file = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        return _shared_zip(str(path), file, os.getpid())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # zipfile fails in many ways on damaged directories
        what = f"is not a zip file, or is cut short ({error})"
        if path.suffix == ".safetensors":
            what = "is a file of a network, and images are wanted"
        raise UserError(f"{path}: {what}; give a folder or a zip file") from error


def close_zips() -> None:
    """Close the zip files that this process keeps open: Windows replaces no open file."""
    _shared_zip.cache_clear()  # each is closed with its last reference


@lru_cache(maxsize=8)
def _shared_zip(path: str, file: tuple[int, ...], process: int) -> zipfile.ZipFile:
    # The process number is part of the key, since a file position inherited by a fork would be
    # shared with the parent
    return open_named(Path(path))
