"""Reading archives: ours, and those of the published tools (PNGs and `dataset.json`)."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import pydantic

from synthograph.archive.cohort_note import CohortNote
from synthograph.archive.links import Linked, follow
from synthograph.archive.manifest import SOURCE_FILE, Row, manifest_hash, read_manifest
from synthograph.archive.png import decode_png as decode_png
from synthograph.archive.png import encode_png as encode_png
from synthograph.archive.png import png_size
from synthograph.archive.published import published_rows
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.names import nearest, without_controls
from synthograph.core.outputs import is_unfinished
from synthograph.core.record import DecodedImage, SourceItem, UnreadableError
from synthograph.core.spec import MASKS as MASKS
from synthograph.core.spec import ImageSpec, Invariance, Invariances, parse_spec
from synthograph.core.untrusted.containers import Container, open_container, unwrap
from synthograph.core.untrusted.dataset_json import DATASET, LINKS, LISTS, MANIFEST
from synthograph.core.untrusted.documents import JsonObject, as_text, parse_json

RUN_PICTURES = ("reals.png", "fakes-init.png")


class SplitRecord(Config):
    """How the rows of an archive came by their split.

    Attributes:
        origin: what it was taken from, or the command that cut it.
        official: whether it came with the images, so that others compare on it.
        options: shares, folds, seed, ... of the command.
        joined: sets of groups that were kept together, since they share equal images or are
            called alike.
    """

    origin: str
    official: bool = False
    options: JsonObject = {}
    joined: list[list[str]] = []


class ArchiveInfo(Config):
    """What `dataset.json` says about the set as a whole."""

    format: int = pydantic.Field(1, ge=1, le=1)
    classes: list[str] = []
    spec: ImageSpec
    namespace: str = ""
    invariances: Invariances = None
    snapshots: list[JsonObject] = []
    package_version: str = ""
    mixture: JsonObject | None = None
    """The rule by which synthetic images joined real ones."""
    split: SplitRecord | None = None
    view: JsonObject | None = None
    """Window of grey values and conversion of colours that were asked for when it was made."""
    polygons: JsonObject | None = None
    """Classes of polygons on slides with their ids in masks, and how labels were made of them."""
    sizing: JsonObject | None = None
    """How its images got their size: `fit`, `resize_filter` and `tile` of `prepare`."""
    cohort: CohortNote | None = None
    """The public cohort that it was made of, with its official split and known traps."""

    @property
    def unasked(self) -> bool:
        """Whether the invariances may be those that older versions wrote without asking."""
        return set(self.invariances or ()) == set(Invariance) and not self.package_version

    @property
    def networks(self) -> list[str]:
        """Sha256 of the generators whose images are in it, as far as `snapshots` say."""
        said = (document.get("sha256") for document in self.snapshots)
        return list(dict.fromkeys(str(each) for each in said if each))

    @pydantic.field_validator("classes")
    @classmethod
    def _unambiguous(cls, names: list[str]) -> list[str]:
        check_classes(names)
        return names

    @property
    def label_index(self) -> dict[str, int]:
        """Class name to index."""
        return {name: index for index, name in enumerate(self.classes)}


def check_classes(names: Sequence[str]) -> None:
    """Check class names: each must be non-empty, unique and valid text.

    Raises:
        ValueError: a name is empty, appears twice, cannot be written as UTF-8, or would steer a
            terminal.
    """
    for name, count in Counter(names).items():
        if not name:
            raise ValueError("a class has an empty name")
        if count > 1:
            raise ValueError(f"class {name!r} is named {count} times")
        if "\0" in name or name.encode(errors="ignore").decode() != name:
            raise ValueError(f"class {name!r} is not valid text")
        if without_controls(name) != name:
            raise ValueError(f"class {name!r} holds line breaks, or characters that nobody sees")


@dataclass(frozen=True)
class ArchiveFiles:
    """The files of an archive, by their names inside it, and why some cannot be read.

    Some of them may lie in other archives: those that are `linked`.
    """

    path: Path
    container: Container
    names: frozenset[str]
    broken: Mapping[str, str] = field(default_factory=dict)
    linked: Linked = field(default_factory=Linked)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    @property
    def listed(self) -> bool:
        """Whether a list of images is among them, as in every archive."""
        return not self.names.isdisjoint(LISTS)

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            UserError: there is no such file, or it cannot be read.
        """
        if name in self.broken:
            raise UserError(f"{self.path}: {name}: {self.broken[name]}")
        if name not in self.names:
            raise UserError(f"{self.path}: holds no file {name!r}")
        container, inner = self.at(name)
        try:
            return container.read(inner)
        except UnreadableError as error:
            raise UserError(f"{self.path}: {name}: {error}") from None

    def at(self, name: str) -> tuple[Container, str]:
        """Where a file lies, and its name there."""
        link = self.linked.files.get(name)
        if link is None:
            return self.container, name
        return self.linked.sources[link.source].container, link.name


def open_files(path: Path) -> ArchiveFiles:
    """The files of a folder or zip.

    Raises:
        UserError: it is neither, or unsafe.
    """
    if is_unfinished(path):
        raise UserError(
            f"{path}: is an archive that was never finished: run its command again to "
            "continue, or remove the folder"
        )
    container = unwrap(open_container(path, "archive"))
    listing = container.members()
    files = ArchiveFiles(path, container, frozenset(listing.names), dict(listing.broken))
    for name in (MANIFEST, DATASET):
        if name in files.broken:
            files.read(name)
    if LINKS not in files or MANIFEST not in files:
        return files
    linked = follow(_json_object(files, LINKS), path)
    return replace(files, names=files.names.union(linked.files), linked=linked)


@dataclass(frozen=True)
class Archive:
    """An open archive with one row per image, in manifest order. `open_archive` makes one.

    Attributes:
        stamp: of the files, where others link to them: digests are known by it while a process
            lives.
    """

    path: Path
    files: ArchiveFiles
    info: ArchiveInfo
    rows: list[Row]
    stamp: str | None = None

    @property
    def name(self) -> str:
        """Name of the set: the file's without its ending."""
        return self.path.stem if self.path.is_file() else self.path.name

    def member(self, row: Row, modality: str) -> str:
        """Path of a modality's PNG; the first modality has no folder of its own."""
        first = next(iter(self.info.spec.modalities))
        return row.file if modality == first else f"{modality}/{row.file}"

    def read(self, row: Row) -> np.ndarray:
        """Pixels of an image, [channels, h, w], uint8 or uint16, modalities one after the other.

        Raises:
            UserError: a file is missing, broken or not what the specification says.
        """
        spec = self.info.spec
        parts = []
        for modality, channels in spec.modalities.items():
            name = self.member(row, modality)
            data, where = self.files.read(name), f"{self.path}: {name}"
            pixels = _decode(data, where, "images", spec, channels, spec.bits)
            parts.append(pixels.transpose(2, 0, 1))
        return np.concatenate(parts)

    def read_mask(self, row: Row) -> np.ndarray | None:
        """Class ids [h, w], uint8, of an image's mask, or None where it has none.

        Raises:
            UserError: it is broken, or has another size than the images.
        """
        name = f"{MASKS}/{row.file}"
        if name not in self.files:
            return None
        return _decode_mask(self.files.read(name), f"{self.path}: {name}", self.info.spec)

    @cached_property
    def images_hash(self) -> str:
        """Hex sha256 over the sorted (path, sha256 of the PNG bytes) of all images and masks."""
        digest = hashlib.sha256()
        for name, content in sorted(self.digests.items()):
            digest.update(f"{name}\n{content}\n".encode())
        return digest.hexdigest()

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Hex sha256 of the bytes of every file of its images and masks. They name caches, so those
        that `links.json` gives, the word of whoever wrote it, are not taken.
        """
        if self.stamp is not None:
            return _digests(self.path, self.stamp)
        return {name: self._digest(name) for name in self._image_members()}

    def _digest(self, name: str) -> str:
        link = self.files.linked.files.get(name)
        known = None if link is None else self.sources[link.source].digests.get(link.name)
        return known or hashlib.sha256(self.files.read(name)).hexdigest()

    @cached_property
    def sources(self) -> tuple["Archive", ...]:
        """The archives that its images lie in; none where it holds them itself.

        Raises:
            UserError: one of them cannot be read, or holds other images than this one.
        """
        found = []
        for source in self.files.linked.sources:
            archive = replace(open_archive(source.path), stamp=source.stamp)
            if archive.info.spec != self.info.spec:
                raise UserError(
                    f"{self.path}: holds images of {self.info.spec.describe()}, but links to "
                    f"{source.path}, which holds {archive.info.spec.describe()}: make it again"
                )
            found.append(archive)
        return tuple(found)

    def place(self, row: Row) -> tuple[int, str]:
        """Number of the source that an image lies in, and its file there; 0 and its own file where
        the archive holds it itself.
        """
        link = self.files.linked.files.get(row.file)
        return (0, row.file) if link is None else (link.source, link.name)

    @property
    def manifest_hash(self) -> str:
        """Hex sha256 of the manifest."""
        return manifest_hash(self.rows)

    @property
    def other_files(self) -> frozenset[str]:
        """Files beside its images, masks and lists."""
        return self.files.names.difference(self._image_members(), LISTS, [LINKS])

    def _image_members(self) -> Iterator[str]:
        for row in self.rows:
            yield from (self.member(row, modality) for modality in self.info.spec.modalities)
            if f"{MASKS}/{row.file}" in self.files:
                yield f"{MASKS}/{row.file}"

    def items(self) -> list[SourceItem]:
        """The images as source items, so that an archive can be prepared again.

        Items are called by the source files that the archive was made of, where each of its images
        has its own, else by their files in the archive. An image without a group keeps the name
        that stands for one, so that it stays without.
        """
        names = [row.columns.get(SOURCE_FILE, "") for row in self.rows]
        kept = all(names) and len(set(names)) == len(names)
        return [
            self._item(row, name if kept else row.file)
            for name, row in zip(names, self.rows, strict=True)
        ]

    def _item(self, row: Row, name: str) -> SourceItem:
        alias = None if row.grouped else row.group
        known = SOURCE_FILE, alias or name
        columns = {key: cell for key, cell in row.columns.items() if (key, cell) != known}
        facts = row.label, row.group, columns, row.origin, row.split, row.fold
        return SourceItem(name, self._decoder(row), *facts, alias=alias)

    def _decoder(self, row: Row) -> "RowDecoder":
        mask = f"{MASKS}/{row.file}"
        parts = tuple((m, *self.files.at(self.member(row, m))) for m in self.info.spec.modalities)
        return RowDecoder(
            parts, self.files.at(mask) if mask in self.files else None, spec=self.info.spec
        )


@dataclass(frozen=True, slots=True)
class RowDecoder:
    """Decodes one row of an archive; picklable."""

    parts: tuple[tuple[str, Container, str], ...]
    """Modality, container and name of every file, in order."""
    mask: tuple[Container, str] | None
    spec: ImageSpec

    def __call__(self) -> DecodedImage:
        """Read and decode all files of the row.

        Raises:
            UnreadableError: one is broken, or not what the specification says.
        """
        spec = self.spec
        try:
            modalities = {
                modality: _decode(
                    container.read(name), name, "images", spec, spec.modalities[modality], spec.bits
                )
                for modality, container, name in self.parts
            }
            if self.mask is None:
                return DecodedImage(modalities)
            container, name = self.mask
            return DecodedImage(modalities, _decode_mask(container.read(name), name, spec))
        except UserError as error:
            raise UnreadableError(str(error)) from None


@lru_cache(maxsize=16)
def _digests(path: Path, _stamp: str) -> Mapping[str, str]:
    """`Archive.digests` of files that have this stamp: a study opens many links to one archive."""
    return open_archive(path).digests


def open_archive(path: Path) -> Archive:
    """Open a zip or folder as an archive and check all that can be checked without decoding every
    image.

    Raises:
        UserError: it is no archive, or its manifest, labels or files contradict each other.
    """
    files = open_files(path)
    document = read_document(files)
    if MANIFEST in files:
        rows = read_manifest(files.read(MANIFEST), f"{path}: {MANIFEST}")
    else:
        rows, document = published_rows(document, files.names, path)
    archive = Archive(path, files, _parse_info(document, files, rows, path), rows)
    _check_rows(archive)
    return archive


def is_archive(path: Path) -> bool:
    """Whether a path holds one of our archives, which has a manifest beside its `dataset.json`."""
    files = open_files(path)
    return MANIFEST in files and DATASET in files


def is_linked(path: Path) -> bool:
    """Whether a path holds an archive whose images lie in others."""
    try:
        names = unwrap(open_container(path, "archive")).members().names
    except UserError:
        return False
    return LINKS in names and MANIFEST in names


def read_document(files: ArchiveFiles) -> JsonObject:
    """What `dataset.json` holds, also of keys that are not ours; nothing where there is no such
    file.

    Raises:
        UserError: it is not a JSON object.
    """
    return _json_object(files, DATASET) if DATASET in files else {}


def _json_object(files: ArchiveFiles, name: str) -> JsonObject:
    origin = f"{files.path}: {name}"
    document = parse_json(as_text(files.read(name), origin, "it holds JSON"), origin)
    if not isinstance(document, dict):
        raise UserError(f"{origin} holds {type(document).__name__}, expected an object")
    return document


def _parse_info(
    document: JsonObject, files: ArchiveFiles, rows: list[Row], path: Path
) -> ArchiveInfo:
    known = {key: value for key, value in document.items() if key in ArchiveInfo.model_fields}
    if not rows:
        raise UserError(f"{path}: holds no images; make an archive with 'synthograph prepare'")
    if "config.json" in files and not files.listed:
        raise UserError(f"{path}: is a run directory; give the archive that it was trained on")
    if _holds_runs(files):
        raise UserError(
            f"{path}: is a folder of run directories; give the archive that they were trained on"
        )
    if "spec" not in known:
        first = rows[0].file
        known["spec"] = _guess_spec(files.read(first), f"{path}: {first}").tree()
    else:
        known["spec"] = parse_spec(known["spec"], f"{path}: {DATASET}").tree()
    try:
        info = ArchiveInfo.parse(known)
    except UserError as error:
        raise UserError(f"{path}: {DATASET}: {error}") from None
    return info


def _holds_runs(files: ArchiveFiles) -> bool:
    """Whether these are image grids of trainings, not images of a set."""
    tops = {name.partition("/")[0] for name in files.names if name.endswith("/config.json")}
    runs = any(f"{top}/{name}" in files for top in tops for name in RUN_PICTURES)
    return runs and not files.listed


def _guess_spec(data: bytes, where: str) -> ImageSpec:
    pixels = decode_png(data, where)
    height, width, channels = pixels.shape
    return parse_spec(
        {
            "height": height,
            "width": width,
            "modalities": {"image": channels},
            "bits": 8 * pixels.dtype.itemsize,
        },
        where,
    )


def _check_rows(archive: Archive) -> None:
    known = set(archive.info.classes)
    for row in archive.rows:
        if row.label is not None and row.label not in known:
            raise UserError(
                f"{archive.path}: {row.file} has label {row.label!r}: "
                f"{nearest(row.label, archive.info.classes)}"
            )
        for modality in archive.info.spec.modalities:
            name = archive.member(row, modality)
            if name not in archive.files:
                reason = archive.files.broken.get(name, "which is not there")
                raise UserError(f"{archive.path}: {MANIFEST} names {name!r}, {reason}")


def _decode(
    data: bytes, where: str, what: str, spec: ImageSpec, channels: int, bits: int
) -> np.ndarray:
    """Pixels [h, w, channels] of a PNG, checked against what the archive's images or masks are; a
    wrong size is refused by its header, before memory is taken.
    """
    size = f"{spec.width}x{spec.height}"
    width, height = png_size(data, where)
    if (width, height) != (spec.width, spec.height):
        raise UserError(f"{where} is {width}x{height}, the archive's {what} are {size}")
    pixels = decode_png(data, where)
    found = pixels.shape[2], 8 * pixels.dtype.itemsize
    if found != (channels, bits):
        raise UserError(
            f"{where} is {size}, {_kind(*found)}, the archive's {what} are {size}, "
            f"{_kind(channels, bits)}"
        )
    return pixels


def _kind(channels: int, bits: int) -> str:
    return f"{channels} channel{'' if channels == 1 else 's'}, {bits} bit"


def _decode_mask(data: bytes, where: str, spec: ImageSpec) -> np.ndarray:
    """Class ids [h, w] of one mask, checked against the specification."""
    return _decode(data, where, "masks", spec, 1, 8)[:, :, 0]
