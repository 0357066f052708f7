"""Finds a benchmark where a user says that images are."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Folder, ZipFolder, is_litter, open_container
from synthograph.core.untrusted.tar_files import SUFFIXES, WAY_OUT, read_tar
from synthograph.sources.benchmarks import BENCHMARKS, Benchmark
from synthograph.sources.benchmarks.base import BenchmarkFiles, BenchmarkImages
from synthograph.sources.readers import is_image


def find_benchmark(path: Path) -> BenchmarkImages | None:
    """The images of a published set; None where a folder or zip holds none.

    Args:
        path: a file of images, a tar file, or a folder or zip with the files at its top or in the
            only folder there.

    Raises:
        UserError: nothing is there, a file is neither of a set nor a zip, or the set is damaged or
            not complete.
    """
    files = _files(path)
    found = None if files is None else _benchmark(files.names)
    if files is None or found is None:
        return None
    images = found.images(files)
    if not files.pictures or files.chosen:
        return images
    remark = f"{files.pictures} image file(s) beside {images.title} are ignored"
    return replace(images, remarks=(*images.remarks, remark))


def _benchmark(names: Sequence[str]) -> Benchmark | None:
    return next((each for each in BENCHMARKS if each.recognises(names)), None)


def _files(path: Path) -> BenchmarkFiles | None:
    if path.is_dir():
        return _in_folder(path)
    if path.is_file() and path.name.lower().endswith(SUFFIXES):
        return _in_tar(path)
    if path.is_file() and _benchmark([path.name]):
        beside = [each.name for each in path.parent.iterdir() if each.is_file()]
        return BenchmarkFiles(str(path.parent), Folder(path.parent), beside, path.name)
    source = open_container(path, "SOURCE")
    names = source.members().names
    if isinstance(source, ZipFolder):
        source = ZipFolder(source.path, source.prefix + _top(names))
        names = source.members().names
    return BenchmarkFiles(str(source), source, _at_top(names), pictures=_pictures(names))


def _in_folder(path: Path) -> BenchmarkFiles | None:
    """A folder, of which all files are listed only if those at its top are of a benchmark."""
    try:
        inside = [each for each in path.iterdir() if not is_litter(each.name)]
        folder = inside[0] if len(inside) == 1 and inside[0].is_dir() else path
        if _benchmark([each.name for each in folder.iterdir()]) is None:
            return None
    except OSError:  # whoever lists all its files says so
        return None
    names = Folder(folder).members().names
    return BenchmarkFiles(str(folder), Folder(folder), _at_top(names), pictures=_pictures(names))


def _in_tar(path: Path) -> BenchmarkFiles:
    members = read_tar(path)
    top = _top(members)
    source = {n.removeprefix(top): data for n, data in members.items() if n.startswith(top)}
    names, pictures = _at_top(source), _pictures(members)
    if _benchmark(names) is None:
        raise UserError(f"{path}: holds no published set that is known: {WAY_OUT}")
    return BenchmarkFiles(f"{path}/{top}".rstrip("/"), source, names, pictures=pictures)


def _top(names: Iterable[str]) -> str:
    """The folder that holds all of the files, ending in a slash; empty where there is none."""
    tops = {name.partition("/")[0] if "/" in name else "" for name in names}
    (top,) = tops if len(tops) == 1 else {""}
    return f"{top}/" if top else ""


def _pictures(names: Iterable[str]) -> int:
    return sum(is_image(name) for name in names)


def _at_top(names: Iterable[str]) -> Sequence[str]:
    return tuple(n for n in names if "/" not in n and not is_litter(n))
