"""Which file of a run is which snapshot: `generator-<kimg>.safetensors`, or
`generator-000001.400.safetensors` where another snapshot has these thousands of images.
"""

import contextlib
import re
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors
from synthograph.core.outputs import folder_of_runs
from synthograph.core.untrusted.dataset_json import LISTS
from synthograph.core.untrusted.documents import parse_json, read_bounded
from synthograph.core.untrusted.tensors import SUFFIX, read_document

GENERATOR = "generator"
BEST = "best.json"
MAX_BEST_BYTES = 1 << 16

_NAME = re.compile(rf"{GENERATOR}-(\d{{1,12}})(?:\.(\d{{3}}))?\{SUFFIX}", re.ASCII)


def find_snapshot(path: Path) -> Path:
    """The snapshot that a user means: the file itself, or of a run directory the best one, or the
    newest where none was found best.

    Raises:
        UserError: a folder without snapshots, or a path that cannot be looked at.
    """
    with disk_errors(path):
        if not path.is_dir():
            return path
        found = list_snapshots(path)
        why = None if found else _why_empty(path)
    if why is not None:
        raise UserError(f"{path}: {why}")
    return best_of(found)


def best_of(found: list[Path]) -> Path:
    """Of the snapshots of a run, the oldest first: the best one, else the newest."""
    return _best(found) or found[-1]


def list_snapshots(path: Path) -> list[Path]:
    """Generators in a run directory or in a folder of snapshots, the oldest first."""
    files = [*_numbered(path / "snapshots"), *_numbered(path)]
    found = {_number(file): file for file in files}
    return [found[number] for number in sorted(found)]


def _numbered(folder: Path) -> list[Path]:
    """The generators in a folder, which need not be there."""
    files = folder.iterdir() if folder.is_dir() else ()
    return [file for file in files if _NAME.fullmatch(file.name) and file.is_file()]


def _number(file: Path) -> tuple[int, int]:
    """Thousands of images and the rest by a generator's name, -1 where it is that of the first
    snapshot of these thousands.
    """
    match = _NAME.fullmatch(file.name)
    assert match is not None, "only such names are numbered"
    return int(match[1]), -1 if match[2] is None else int(match[2])


def _best(found: list[Path]) -> Path | None:
    """The snapshot that `best.json` beside the snapshots names, if it is one of them."""
    for folder in dict.fromkeys(file.parent for file in found):
        try:
            text = read_bounded(folder / BEST, "best.json", limit=MAX_BEST_BYTES)
            best = parse_json(text.decode(errors="replace"), BEST)
        except UserError:
            continue
        name = best.get("snapshot") if isinstance(best, dict) else None
        if isinstance(name, str) and folder / name in found:
            return folder / name
    return None


def _why_empty(path: Path) -> str:
    if (path / "config.json").is_file():
        return (
            "this run has no snapshot yet (generator-<kimg>.safetensors in its folder snapshots); "
            "one is written every training.snap ticks and at the end"
        )
    if any((path / name).is_file() for name in LISTS):
        return "is an archive of images, not a snapshot or run directory: train on it to get one"
    return folder_of_runs(path) or (
        "is neither a run directory nor a folder of snapshots (generator-<kimg>.safetensors)"
    )


def snapshot_number(folder: Path, images: int) -> str:
    """What the names of a snapshot of so many images are numbered with: whole thousands, and the
    rest behind a point where another snapshot in `folder` has these thousands: 000001, 000001.400.
    """
    thousands, rest = divmod(images, 1000)
    whole = f"{thousands:06d}"
    same = {seen: file for file in _numbered(folder) if (seen := _number(file))[0] == thousands}
    if not same or _images_seen(same.get((thousands, -1))) == images:
        return whole
    return f"{whole}.{rest:03d}"


def _images_seen(file: Path | None) -> int | None:
    """Images that the snapshot in a file has seen; None where that cannot be read."""
    with contextlib.suppress(UserError, KeyError):
        return None if file is None else read_document(file)["images_seen"]
    return None


def kimg_of(path: Path, images: int) -> float:
    """Thousands of images of the snapshot at `path`, in whole numbers where its name is."""
    return images / 1000 if "." in path.stem and _NAME.fullmatch(path.name) else images // 1000
