"""Folders and zip files, read in the same way: names of members, and the bytes of one.

Both hold nothing but a path, so they can be sent to worker processes; a zip file is opened once per
process.
"""

import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.outputs import is_unfinished
from synthograph.core.record import UnreadableError

MAX_MEMBER_BYTES = 512 << 20
BOMB_BYTES, BOMB_RATIO = 32 << 20, 100
HEAD_BYTES = 256
"""What formats are recognised by; DICOM has its mark behind 128 bytes."""

_PIECE = 1 << 20
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_LITTER = {"__macosx", "thumbs.db", "desktop.ini"}
_ENCRYPTED = 1


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder or zip file contains.

    Attributes:
        names: relative posix names of regular files, sorted; hidden files and system litter left
            out.
        broken: (name, reason) of entries that are listed but cannot be read.
        remarks: what was left out for another reason, one phrase each.
    """

    names: tuple[str, ...]
    broken: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder and all that lies below it; links to folders are not followed, and neither are links
    to files outside the folder. Unfinished archives in it are left out.

    Attributes:
        path: the folder.
    """

    path: Path

    def members(self) -> Contents:
        """All members.

        Raises:
            UserError: a sub-folder cannot be opened.
        """
        found = _Walk(os.path.realpath(self.path))
        for folder, below, files in os.walk(self.path, onerror=_refuse_folder):
            base = Path(folder).relative_to(self.path)
            growing = {name for name in below if is_unfinished(Path(folder, name))}
            found.unfinished.extend((base / name).as_posix() for name in growing)
            below[:] = sorted(n for n in below if n not in growing and not is_litter(n))
            found.links.extend(
                (base / name).as_posix() for name in below if os.path.islink(Path(folder, name))
            )
            for name in files:
                if not is_litter(name):
                    found.add((base / name).as_posix(), Path(folder, name))
        return found.listing()

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises:
            UnreadableError: it cannot be opened, or is larger than `MAX_MEMBER_BYTES`.
        """
        try:
            with (self.path / name).open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > MAX_MEMBER_BYTES:
                    raise UnreadableError(_too_large(size))
                return file.read()
        except OSError as error:
            raise UnreadableError(f"cannot be opened ({error.strerror or error})") from error

    def head(self, name: str) -> bytes:
        """The first `HEAD_BYTES` of a member.

        Raises:
            UnreadableError: it cannot be opened.
        """
        try:
            with (self.path / name).open("rb") as file:
                return file.read(HEAD_BYTES)
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
        return _relative(PurePosixPath(self.path.resolve()), PurePosixPath(other.path.resolve()))

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
        infos = [
            info for info in _open_zip(self.path).infolist() if not info.filename.endswith("/")
        ]
        for info in infos:
            _check_member(self.path, info)
        twice = [name for name, n in Counter(i.filename for i in infos).items() if n > 1]
        if twice:
            raise UserError(f"{self.path}: member {twice[0]!r} appears twice; pack the zip again")
        inner = {
            info.filename.removeprefix(self.prefix): info
            for info in infos
            if info.filename.startswith(self.prefix)
        }
        names = sorted(n for n in inner if not any(is_litter(part) for part in n.split("/")))
        links = [name for name in names if stat.S_ISLNK(inner[name].external_attr >> 16)]
        return Contents(
            tuple(name for name in names if name not in links),
            tuple((name, "is a link; pack the file itself") for name in links),
        )

    def read(self, name: str) -> bytes:
        """The bytes of a member; its checksum is verified.

        Raises:
            UnreadableError: it is damaged or packed by a method that is not supported.
        """
        return self._read(name, _unpack)

    def head(self, name: str) -> bytes:
        """The first `HEAD_BYTES` of a member.

        Raises:
            UnreadableError: as `read`.
        """
        return self._read(name, _unpack_head)

    def _read(
        self, name: str, unpack: Callable[[zipfile.ZipFile, zipfile.ZipInfo], bytes]
    ) -> bytes:
        try:
            info = _open_zip(self.path).getinfo(self.prefix + name)
            _check_member(self.path, info)
            return unpack(_open_zip(self.path), info)
        except UserError as error:
            raise UnreadableError(str(error)) from error
        except (NotImplementedError, RuntimeError) as error:
            raise UnreadableError(f"packed in an unknown way ({error})") from error
        except Exception as error:  # each unpacker has its own kinds of failure
            raise UnreadableError(f"damaged in the zip file ({error})") from error

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
                return _zip_folder(parent, path.relative_to(parent).as_posix() + "/", what)
    except OSError as error:
        raise UserError(f"{what} {path}: cannot be read ({error.strerror or error})") from None
    raise UserError(f"{what} {path}: no such folder or zip file")


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
    """What a walk through the folder `root` has found so far."""

    root: str
    names: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    special: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, path: Path) -> None:
        try:
            name.encode()
            mode = path.stat().st_mode
            target = os.path.realpath(path) if path.is_symlink() else None
        except UnicodeEncodeError:
            shown = name.encode(errors="backslashreplace").decode()
            self.broken.append((shown, "its name is not valid UTF-8; rename the file"))
        except OSError as error:
            self.broken.append((name, f"link or file that cannot be followed ({error.strerror})"))
        else:
            if target is not None and not Path(target).is_relative_to(self.root):
                reason = "link to a file outside the folder; put the file itself there"
                self.broken.append((name, reason))
                return
            # a pipe or device would block the reader for ever
            (self.names if stat.S_ISREG(mode) else self.special).append(name)

    def listing(self) -> Contents:
        return Contents(tuple(sorted(self.names)), tuple(self.broken), tuple(self._remarks()))

    def _remarks(self) -> Iterator[str]:
        if self.links:
            yield (
                f"{len(self.links)} linked folder(s) not followed, since links can run in circles: "
                f"{first_few(self.links)}"
            )
        if self.unfinished:
            yield f"unfinished archive(s) left out: {first_few(sorted(self.unfinished))}"
        if self.special:
            yield f"{len(self.special)} pipe(s) or device(s) ignored: {first_few(self.special)}"


def _refuse_folder(error: OSError) -> None:
    raise UserError(
        f"{error.filename}: cannot be listed ({error.strerror}); change its permissions or move "
        f"it away"
    )


def _too_large(size: int) -> str:
    return f"{size >> 20} MiB is more than the {MAX_MEMBER_BYTES >> 20} MiB that one file may have"


def _relative(path: PurePosixPath, root: PurePosixPath) -> str | None:
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
        raise UserError(f"{path}: member {name!r}: {_too_large(info.file_size)}")
    if info.file_size > max(BOMB_BYTES, BOMB_RATIO * info.compress_size):
        raise UserError(
            f"{path}: member {name!r} grows from {info.compress_size} to {info.file_size} bytes, "
            f"more than {BOMB_RATIO} times, as compression bombs do; pack it without compression"
        )


def _unpack(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """The bytes of a member, read in pieces: in one read a member that lies about its size would
    be unpacked whole.
    """
    with packed.open(info) as member:
        data = b"".join(iter(lambda: member.read(_PIECE), b""))
    if len(data) != info.file_size:
        raise UserError(f"holds {len(data)} bytes, but is said to hold {info.file_size}")
    return data


def _unpack_head(packed: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    with packed.open(info) as member:
        return member.read(HEAD_BYTES)


def _zip_folder(path: Path, prefix: str, what: str) -> ZipFolder:
    inner = ZipFolder(path, prefix)
    if not any(name.startswith(prefix) for name in ZipFolder(path).members().names):
        raise UserError(f"{what} {path / prefix}: the zip file holds no such folder")
    return inner


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
        raise UserError(
            f"{path}: is not a zip file, or is cut short ({error}); give a folder or a zip file"
        ) from error


def close_zips() -> None:
    """Close the zip files that this process keeps open: Windows replaces no open file."""
    _shared_zip.cache_clear()  # each is closed with its last reference


@lru_cache(maxsize=8)
def _shared_zip(path: str, file: tuple[int, ...], process: int) -> zipfile.ZipFile:
    # The process number is part of the key, since a file position inherited by a fork would be
    # shared with the parent
    return zipfile.ZipFile(path)
