"""A snapshot of any readable kind as safetensors; an archive that links to its images with them; an
archive as a folder of another tool.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.exchange import FORMATS, Format
from synthograph.archive.linked import Pick, refuse_inputs, write_copied
from synthograph.archive.reader import is_archive, is_linked, open_archive
from synthograph.core.commands import TYPED
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output, sha256_file
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.tensors import SUFFIX
from synthograph.models import snapshot
from synthograph.models.snapshot_files import find_snapshot
from synthograph.workflows.export_requests import ConvertRequest
from synthograph.workflows.latent_inputs import find_network


@dataclass(frozen=True, repr=False)
class ConvertResult(Result):
    """Files that were written.

    Attributes:
        files: the generator and, where they were there, its discriminators.
        public: whether what could tell of training images was left out.
    """

    files: Sequence[Path]
    public: bool

    def lines(self) -> Iterator[str]:
        """Each file with its size and hash."""
        for file, what in zip(self.files, ("generator", "discriminators"), strict=False):
            yield f"{what}: {file} ({file.stat().st_size} bytes)  sha256 {sha256_file(file)}"
        if self.public and len(self.files) > 1:
            name = self.files[0].name
            yield f"share {name} alone: discriminators are for further training"


@dataclass(frozen=True, repr=False)
class FullArchive(Result):
    """An archive that was written with its images.

    Attributes:
        path: where it is.
        images: how many it has.
    """

    path: Path
    images: int

    def lines(self) -> Iterator[str]:
        """Where it is."""
        yield f"{self.path}: {self.images} images"


@dataclass(frozen=True, repr=False)
class Exchanged(Result):
    """A folder for another tool.

    Attributes:
        folder: where it is.
        images: how many it has.
        to: name of the format.
        lost: what the format has no place for.
    """

    folder: Path
    images: int
    to: str
    lost: Sequence[str]

    def lines(self) -> Iterator[str]:
        """Where it is, and what is not in it."""
        yield f"{self.folder}: {self.images} images for {self.to}"
        yield from (f"  no place for {what}" for what in self.lost)


def run(request: ConvertRequest, *, progress: Progress) -> ConvertResult | FullArchive | Exchanged:
    """Read the source as data and write it.

    Raises:
        UserError: the source is refused, or a target cannot be written.
    """
    if request.to is not None:
        _refuse_network_options(request)
        return _exchanged(request, FORMATS[request.to], progress)
    if is_linked(request.source):
        _refuse_network_options(request)
        return _with_images(request, progress)
    _refuse_archive(request)
    source = find_network(request.source, progress)
    path = find_snapshot(source)
    if source.is_dir():
        progress.log(f"network: {path}")
    ours = path.suffix == SUFFIX and snapshot.PARTNER not in path.name
    alone = ours and not snapshot.has_partner(path)
    if alone and path.is_file() and not snapshot.is_pickle(path):
        progress.log(
            f"note: there is no {snapshot.partner(path).name} beside it, so the copy is the "
            "generator alone: it makes images, but training cannot continue from it"
        )
    written = snapshot.convert(path, request.target, public=request.public, fp16=request.fp16)
    return ConvertResult(written, request.public)


def _refuse_network_options(request: ConvertRequest) -> None:
    """Options of networks mean nothing for an archive.

    Raises:
        UserError: one is given.
    """
    for name in ("public", "fp16"):
        if getattr(request, name):
            option = request.flags()[name]
            raise UserError(
                f"{option} is about networks, {request.source} is an archive: leave {option} out"
            )


def _refuse_archive(request: ConvertRequest) -> None:
    """An archive is converted for a tool, which has to be named.

    Raises:
        UserError: the source is one.
    """
    archive = False
    with contextlib.suppress(UserError):  # of what is no folder or zip
        archive = is_archive(request.source)
    if archive:
        raise UserError(
            f"{request.source}: is an archive; say for which tool, such as --to monai (or "
            f"{', '.join(FORMATS)})"
        )


def _exchanged(request: ConvertRequest, kind: Format, progress: Progress) -> Exchanged:
    """The archive in a folder that another tool reads, whole or not at all."""
    refuse_output(request.target, "name")
    archive = open_archive(request.source)
    kind.check(archive, request.target)
    with new_folder(request.target) as folder:
        images = kind.write(archive, folder, progress.track("copying"))
    return Exchanged(request.target, images, kind.name, kind.lost(archive))


def _with_images(request: ConvertRequest, progress: Progress) -> FullArchive:
    archive = open_archive(request.source)
    refuse_inputs(request.target, [archive])
    command = {TYPED: request.command_line(), "links": archive.images_hash}
    command["manifest"] = archive.manifest_hash
    picks = [Pick(archive, row, row) for row in archive.rows]
    track = progress.track("copying")
    write_copied(request.target, archive.info, picks, command, track=track)
    return FullArchive(request.target, len(picks))
