"""What a classifier or segmenter is to predict: an archive, or image files, prepared as its
training images were.
"""

import re
import shlex
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

from synthograph.archive.batches import ArchiveRows, open_rows, path_and_split
from synthograph.archive.manifest import SOURCE_FILE, Row
from synthograph.archive.reader import is_archive
from synthograph.archive.transform import CUT_AGAIN
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Progress, Silent
from synthograph.core.untrusted.containers import open_container, unwrap, without_runs
from synthograph.core.untrusted.documents import JsonObject
from synthograph.downstream.trained import TrainedInfo
from synthograph.sources.base import Grey
from synthograph.sources.readers import image_suffix, sort_out
from synthograph.sources.volumes import values_of
from synthograph.workflows import prepare
from synthograph.workflows.downstream_requests import PredictOptions
from synthograph.workflows.prepare_view import AGAIN, DICOM
from synthograph.workflows.requests import PrepareRequest
from synthograph.workflows.trained import refuse_other_modalities

PREPARE_FIRST = "options are those of 'synthograph prepare': give the archive that it makes"
PASSED_OVER = (
    "taken for a mask or a copy of another image, or dataset.json lists none of its folder"
)


@dataclass(frozen=True)
class Inputs:
    """Images to be predicted.

    Attributes:
        rows: of an archive.
        left_out: files that could not be read, with the reason.
        files: whether they were image files; rows are then called by these.
    """

    rows: ArchiveRows
    left_out: Mapping[str, str]
    files: bool = False

    def name(self, row: Row) -> str:
        """What to call an image."""
        return row.columns.get(SOURCE_FILE, row.file) if self.files else row.file

    def png_files(self) -> list[str]:
        """The file of what is made of each image, in the order of `rows.ordered`."""
        names = [self.name(row) for row in self.rows.ordered]
        files = png_names(names)
        return [files[name] for name in names]

    def left_out_note(self) -> str:
        """Which files were left out, and why the first was; empty where none was."""
        if not self.left_out:
            return ""
        name, reason = next(iter(self.left_out.items()))
        count = "1 file was" if len(self.left_out) == 1 else f"{len(self.left_out)} files were"
        return f"{count} left out: {first_few(self.left_out)} ({name}: {reason})"


@contextmanager
def images_of(data: str, prepared: Callable[[Path, Path], Inputs]) -> Iterator[Inputs]:
    """The images of an archive, or image files; what is prepared for it is removed at the end.

    Args:
        data: what people typed.
        prepared: image files and an empty folder to what is prepared there.

    Raises:
        UserError: there is no image.
    """
    path, split = path_and_split(data)
    if not path.exists():
        raise UserError(f"{path}: is not there: give an archive, a folder, a zip or an image file")
    if split is not None or (not _is_file(path) and is_archive(path)):
        yield Inputs(open_rows(data), {})
        return
    with tempfile.TemporaryDirectory(prefix="synthograph-") as name:
        yield prepared(path, Path(name))


@contextmanager
def open_inputs(request: PredictOptions, info: TrainedInfo, progress: Progress) -> Iterator[Inputs]:
    """The images that are to be predicted.

    Raises:
        UserError: there is no image, or files cannot be prepared as the training images were.
    """
    with images_of(request.data, partial(_prepared, request, info, progress)) as found:
        if not found.files:
            if request.transform is not None:
                path = found.rows.archive.path
                raise UserError(f"--transform: {path} is an archive, whose images have their size")
            refuse_other_modalities(info, found.rows)
        yield found


def _is_file(path: Path) -> bool:
    """Whether it is a file that is no zip, so one image."""
    return path.is_file() and path.suffix.lower() != ".zip"


def _prepared(
    request: PredictOptions, info: TrainedInfo, progress: Progress, path: Path, folder: Path
) -> Inputs:
    """Image files as an archive in a folder of ours."""
    asked = _as_trained(request, info, path)
    found = prepared_files(path, folder, progress, **asked)
    given = found.rows.archive.info.spec
    if given.modalities != info.spec.modalities:
        raise UserError(
            f"{path}: its files are {given.describe()}, the {info.noun} was trained on "
            f"{info.spec.describe()}: prepare them alike, then predict images.zip: "
            f"{_command(path, info, asked)}"
        )
    # any other window says that the values of the files were taken
    known = _part(info, "view").keys() & {"dicom", "window"}
    if not known and any(DICOM in row.columns for row in found.rows.rows):
        raise UserError(
            f"{path}: the {info.noun} does not say how DICOM files were read for its training "
            "images, if they came from such: prepare an archive with the --window and --spacing "
            f"of these, then predict images.zip: {_command(path, info, asked)}"
        )
    return found


def prepared_files(path: Path, folder: Path, progress: Progress, **asked: object) -> Inputs:
    """A folder or zip of images, or one image, as an archive in a folder of ours, by settings of
    `prepare`.

    Raises:
        UserError: no image can be prepared so.
    """
    source = path
    if _is_file(path):
        source = folder / "one"
        source.mkdir()
        partners = (path.with_name(name) for name in values_of(path.name))
        for file in (path, *(one for one in partners if one.is_file())):
            shutil.copyfile(file, source / file.name)
    place = folder / "images"
    try:
        made = prepare.run(
            PrepareRequest(source=source, dest=place, **asked), progress=_Quiet(progress)
        )
    except UserError as error:
        # neither our folder nor an option of `prepare` is a way out for whoever named the files
        said = str(error).replace(str(source), str(path)).replace("use --colour grey, or ", "")
        said = said.replace(f" all are listed in {place}.rejected.csv, the first:", "")
        raise UserError(_for_archives(said)) from None
    assert isinstance(made, prepare.PrepareResult), "it was not asked for a part"
    rows = open_rows(str(place))
    rejects = {name: _for_archives(reason) for name, reason in made.summary.rejects}
    return Inputs(rows, {**rejects, **_passed_over(source, rows, rejects)}, files=True)


def _for_archives(said: str) -> str:
    """What `prepare` says, where it names options that only `prepare` has."""
    others = set(_OPTION.findall(said)) - {"--transform"}
    return f"{said} ({PREPARE_FIRST})" if others else said


def _passed_over(source: Path, rows: ArchiveRows, rejects: Mapping[str, str]) -> dict[str, str]:
    """Files that look like images and are none of the archive, nor rejected, with the reason."""
    container = unwrap(open_container(source, "SOURCE"))
    names = without_runs(container.members()).names
    taken = {row.columns.get(SOURCE_FILE, row.file) for row in rows.rows}
    files = {name.partition("#")[0] for name in taken}  # slices are called FILE#SLICE
    known = taken | files | {values for name in names for values in values_of(name)}
    known |= {name.partition("#")[0] for name in rejects}
    images, _ = sort_out(container, names)
    return dict.fromkeys(sorted(images - known - rejects.keys()), PASSED_OVER)


def _as_trained(request: PredictOptions, info: TrainedInfo, path: Path) -> dict[str, object]:
    """Settings of `prepare` that treat files as the training images were treated."""
    spec, view, sizing = info.spec, *(_part(info, name) for name in ("view", "sizing"))
    if len(spec.modalities) > 1:
        raise UserError(
            f"{path}: the {info.noun} takes {', '.join(spec.modalities)} of each image, which "
            "files alone do not tell: prepare an archive with --modality, then predict that"
        )
    if sizing.get("tile"):
        raise UserError(
            f"{path}: the {info.noun} was trained on tiles of {sizing['tile']}: prepare an archive "
            "with that --tile, then predict that"
        )
    twice = "went through two windows" if view.get(AGAIN) else ""
    twice = twice or ("were cut twice" if sizing.get(CUT_AGAIN) else "")
    if twice:
        raise UserError(
            f"{path}: the {info.noun} was trained on images that {twice}, one after the other: "
            "prepare an archive in the same two steps, then predict that"
        )
    return {
        "width": spec.width,
        "height": spec.height,
        "transform": request.transform or sizing.get("fit"),
        "resize_filter": sizing.get("resize_filter", "lanczos"),
        "primary": next((name for name in spec.modalities if name != "image"), None),
        "axis": view.get("axis"),
        "spacing": view.get("spacing"),
        "colour": view.get("colour"),
        **_window(view),
        "invariant": ("none",),
        "allow_rejects": True,
    }


def _part(info: TrainedInfo, name: str) -> JsonObject:
    found = info.preparation.get(name)
    return found if isinstance(found, dict) else {}


def _window(view: JsonObject) -> dict[str, object]:
    """The window of the training images: the same values, the same percentiles of each image, or
    what DICOM files were read with.
    """
    if view.get("dicom", Grey.VALUES) != Grey.VALUES:
        return {"window": view["dicom"]}
    window = cast(JsonObject, view.get("window") or {})
    if not window:
        return {}
    low, high, scope = (window.get(name) for name in ("low", "high", "scope"))
    limits = window.get("limits")
    ends = next(iter(limits.values()), None) if isinstance(limits, dict) else None
    if isinstance(ends, list) and len(ends) == 2:
        return {"window": f"{ends[0]},{ends[1]}"}
    if window.get("percentiles"):
        return {"window": f"{low}%,{high}%", "window_scope": scope}
    return {"window": f"{low},{high}"}


def _command(path: Path, info: TrainedInfo, asked: Mapping[str, object]) -> str:
    """How such files are prepared; of a single one the folder that it lies in."""
    source = path.parent if _is_file(path) else path
    colour = {1: "grey", 3: "rgb"}.get(info.spec.channels)
    own = {"source": source, "dest": "images.zip", "colour": colour}
    return shlex.join(["synthograph", *PrepareRequest.parse({**asked, **own}).command_words()])


_OPTION = re.compile(r"--[a-z][a-z-]+")


class _Quiet(Silent):
    """Progress without what preparing says of sets that are to be trained on."""

    def __init__(self, progress: Progress) -> None:
        self.track = progress.track  # type: ignore[method-assign]


def png_names(names: Sequence[str]) -> dict[str, str]:
    """Image -> the PNG file of what is made of it, each its own: `a.png` for `a.jpg`. Slices and
    pages, and images whose names differ in nothing but their ending, keep all of their name.
    """
    whole: set[str] = set()
    while True:
        made = {name: f"{name if name in whole else _bare(name)}.png" for name in names}
        counts = Counter(file.casefold() for file in made.values())
        alike = {name for name, file in made.items() if counts[file.casefold()] > 1} - whole
        if not alike:
            return made
        whole |= alike


def _bare(name: str) -> str:
    return name[: len(name) - len(image_suffix(name))]


def place(folder: Path, file: str, png: bytes) -> None:
    """Write what was made of an image."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png)
