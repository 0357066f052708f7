"""Recognises what this package writes, so that run directories and unfinished archives are not
taken for sources, and refuses destinations of other kinds.
"""

from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.names import misspelt

PARTIAL, COMMAND = ".partial", "command.json"
"""Ending of an archive while it grows, and the file in it that holds the command."""
NO_OUTPUT = {
    *(".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"),
    *(".h5", ".hdf5", ".npz", ".npy", ".lmdb", ".parquet", ".tfrecord", ".tfrecords"),
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pkl", ".safetensors", ".pdf"),
}
"""Endings of other kinds of files, to which no images are written."""


def is_packed(dest: Path) -> bool:
    """Whether images go into a zip file there, and not into a folder."""
    return dest.suffix.lower() == ".zip"


def is_unfinished(folder: Path) -> bool:
    """Whether a folder is an archive that was never finished."""
    return folder.name.endswith(PARTIAL) and (folder / COMMAND).is_file()


def is_run(folder: Path) -> bool:
    """Whether a folder is a run directory of a training."""
    marks = (folder / "log.txt", folder / "snapshots", folder / "state")
    return (folder / "config.json").is_file() and any(mark.exists() for mark in marks)


def folder_of_runs(folder: Path) -> str | None:
    """That a folder holds run directories, and which to take, in words; None where it holds none.
    The newest with a snapshot is the one.
    """
    runs = sorted(each for each in folder.iterdir() if is_run(each))
    full = [run for run in runs if any((run / "snapshots").glob("generator-*"))]
    if not runs:
        return None
    return f"is a folder of {len(runs)} run(s); give one of them, such as {(full or runs)[-1]}"


def no_run(path: Path) -> str:
    """What a path is that should be a run directory and is none, in words."""
    runs = folder_of_runs(path) if path.is_dir() else None
    return runs or f"is no run directory{misspelt(path) or '; give one, such as runs/00000-NAME'}"


def refuse_other_kinds(dest: Path, what: str) -> None:
    """Refuse to write images into a folder that is named like another kind of file.

    Args:
        dest: where images are to go: a `.zip` or a folder.
        what: how messages call it, such as `--outdir`.

    Raises:
        UserError: its ending is in `NO_OUTPUT`, and no folder of that name is there.
    """
    ending = dest.suffix.lower()
    if dest.name.lower() in {".zip", *NO_OUTPUT} and not dest.is_dir():
        raise UserError(f"{what} {dest}: is an ending without a name; name it images{dest.name}")
    if ending in NO_OUTPUT and not dest.is_dir():
        stem = dest.name[: -len(ending)]
        raise UserError(
            f"{what} {dest}: images are written to a .zip or into a folder, not as {ending}; name "
            f"it {stem}.zip, or {stem} for a folder"
        )
