"""Reading archives: ours, and those of the published tools (PNGs and `dataset.json`)."""

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pydantic
from PIL import Image

from synthograph.archive.manifest import (
    MANIFEST,
    Row,
    check_member,
    manifest_hash,
    read_manifest,
)
from synthograph.core.config import Config
from synthograph.core.containers import Container, open_container, unwrap
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.record import Picture, SourceItem, UnreadableError
from synthograph.core.spec import ImageSpec, parse_spec

DATASET = "dataset.json"
MASKS = "masks"
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
MAX_PIXELS = 200_000_000
INVARIANCES = ("mirror", "rotate", "colour")


class ArchiveInfo(Config):
    """What `dataset.json` says about the set as a whole."""

    format: int = pydantic.Field(1, ge=1, le=1)
    classes: list[str] = []
    spec: ImageSpec
    namespace: str = ""
    invariances: list[str] = list(INVARIANCES)
    snapshots: list[dict[str, Any]] = []

    @property
    def label_index(self) -> dict[str, int]:
        """Class name to index."""
        return {name: index for index, name in enumerate(self.classes)}


@dataclass(frozen=True)
class Files:
    """The files of an archive, by their names inside it."""

    path: Path
    container: Container
    names: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def read(self, name: str) -> bytes:
        """The bytes of a file.

        Raises:
            UserError: there is no such file, or it cannot be read.
        """
        if name not in self.names:
            raise UserError(f"{self.path}: holds no file {name!r}")
        try:
            return self.container.read(name)
        except UnreadableError as error:
            raise UserError(f"{self.path}: {name}: {error}") from None


def open_files(path: Path) -> Files:
    """The files of a folder or zip.

    Raises:
        UserError: it is neither, or unsafe.
    """
    container = unwrap(open_container(path, "archive"))
    return Files(path, container, frozenset(container.members().names))


@dataclass(frozen=True)
class Archive:
    """An open archive. `open_archive` makes one.

    Attributes:
        path: the zip file or folder.
        files: its files by name.
        info: classes, specification, namespace, invariances.
        rows: one per image, in manifest order.
    """

    path: Path
    files: Files
    info: ArchiveInfo
    rows: list[Row]

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
            pixels = decode_png(self.files.read(name), f"{self.path}: {name}")
            expected = (spec.height, spec.width, channels)
            depth = 8 * pixels.dtype.itemsize
            if pixels.shape != expected or depth != spec.bits:
                raise UserError(
                    f"{self.path}: {name} is {_shape(pixels)}, the archive's images are "
                    f"{spec.width}x{spec.height}, {channels} channels, {spec.bits} bit"
                )
            parts.append(pixels.transpose(2, 0, 1))
        return np.concatenate(parts)

    def read_mask(self, row: Row) -> np.ndarray | None:
        """Class ids [h, w] of an image's mask, or None where it has none."""
        name = f"{MASKS}/{row.file}"
        if name not in self.files:
            return None
        return decode_png(self.files.read(name), f"{self.path}: {name}")[:, :, 0]

    @cached_property
    def images_hash(self) -> str:
        """Hex sha256 over the sorted (path, sha256 of the PNG bytes) of all images and masks."""
        digest = hashlib.sha256()
        for name in sorted(self._image_members()):
            content = hashlib.sha256(self.files.read(name)).hexdigest()
            digest.update(f"{name}\n{content}\n".encode())
        return digest.hexdigest()

    @property
    def manifest_hash(self) -> str:
        """Hex sha256 of the manifest."""
        return manifest_hash(self.rows)

    def _image_members(self) -> Iterator[str]:
        for row in self.rows:
            yield from (self.member(row, modality) for modality in self.info.spec.modalities)
            if f"{MASKS}/{row.file}" in self.files:
                yield f"{MASKS}/{row.file}"

    def items(self) -> list[SourceItem]:
        """The images as source items, so that an archive can be prepared again; splits are left
        behind.
        """
        return [
            SourceItem(
                row.file,
                _ReadRow(self.path, index),
                row.label,
                row.group,
                dict(row.columns),
            )
            for index, row in enumerate(self.rows)
        ]

    def picture(self, index: int) -> Picture:
        """An image as a source would give it."""
        row = self.rows[index]
        pixels = self.read(row).transpose(1, 2, 0)
        cuts = np.cumsum(list(self.info.spec.modalities.values()))[:-1]
        parts = np.split(pixels, cuts, axis=2)
        return Picture(
            dict(zip(self.info.spec.modalities, parts, strict=True)), self.read_mask(row)
        )


@dataclass(frozen=True)
class _ReadRow:
    """Picklable reading of one row; each process opens the archive once."""

    path: Path
    index: int

    def __call__(self) -> Picture:
        if self.path not in _OPEN:
            _OPEN[self.path] = open_archive(self.path)
        return _OPEN[self.path].picture(self.index)


_OPEN: dict[Path, Archive] = {}


def open_archive(path: Path) -> Archive:
    """Open a zip or folder as an archive and check all that can be checked without decoding every
    image.

    Raises:
        UserError: it is no archive, or its manifest, labels or files contradict each other.
    """
    files = open_files(path)
    document = _read_document(files, path)
    if MANIFEST in files:
        rows = read_manifest(files.read(MANIFEST), f"{path}: {MANIFEST}")
        info = _parse_info(document, files, rows, path)
    else:
        rows, document = _published_rows(document, files, path)
        info = _parse_info(document, files, rows, path)
    archive = Archive(path, files, info, rows)
    _check_rows(archive)
    return archive


def is_archive(path: Path) -> bool:
    """Whether a path holds one of our archives, which has a manifest beside its `dataset.json`."""
    files = open_files(path)
    return MANIFEST in files and DATASET in files


def _read_document(files: Files, path: Path) -> dict[str, Any]:
    if DATASET not in files:
        return {}
    try:
        document = json.loads(files.read(DATASET).decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: {DATASET} is not valid JSON ({error})") from None
    if not isinstance(document, dict):
        raise UserError(f"{path}: {DATASET} holds {type(document).__name__}, expected an object")
    return document


def _parse_info(document: dict[str, Any], files: Files, rows: list[Row], path: Path) -> ArchiveInfo:
    known = {key: value for key, value in document.items() if key in ArchiveInfo.model_fields}
    if not rows:
        raise UserError(f"{path}: holds no images; make an archive with 'synthograph prepare'")
    if "spec" not in known:
        first = rows[0].file
        known["spec"] = _guess_spec(files.read(first), f"{path}: {first}").tree()
    else:
        known["spec"] = parse_spec(known["spec"], f"{path}: {DATASET}").tree()
    try:
        info = ArchiveInfo.parse(known)
    except UserError as error:
        raise UserError(f"{path}: {DATASET}: {error}") from None
    for name in info.invariances:
        if name not in INVARIANCES:
            raise UserError(f"{path}: {DATASET}: invariance {name!r}: {nearest(name, INVARIANCES)}")
    return info


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


def _published_rows(
    document: dict[str, Any], files: Files, path: Path
) -> tuple[list[Row], dict[str, Any]]:
    """Rows of an archive of the published tools; every image is its own group."""
    images = [name for name in sorted(files.names) if name.lower().endswith(".png")]
    pairs = document.get("labels") or []
    labels = _published_labels(pairs, f"{path}: {DATASET}")
    for name in labels:
        if name not in files:
            raise UserError(f"{path}: {DATASET} labels {name!r}, but there is no such file")
    unlabelled = [name for name in images if name not in labels]
    if labels and unlabelled:
        raise UserError(
            f"{path}: {DATASET} has no label for {unlabelled[0]!r} "
            f"({len(unlabelled)} such images): label all images or none"
        )
    values = list(labels.values())
    vectors = bool(values) and isinstance(values[0], list)
    classes = document.get("classes") or _numbered_classes(values if not vectors else [])
    rows = []
    for name in images:
        value = labels.get(name)
        if isinstance(value, list):
            columns = {f"y.{i}": repr(float(v)) for i, v in enumerate(value)}
            rows.append(Row(name, None, name, columns=columns))
        else:
            label = None if value is None else _class_name(classes, value, path)
            rows.append(Row(name, label, name))
    return rows, {**document, "classes": classes}


def _published_labels(pairs: object, where: str) -> dict[str, Any]:
    if not isinstance(pairs, list):
        raise UserError(f"{where}: 'labels' is no list of [file, label]")
    labels: dict[str, Any] = {}
    for number, pair in enumerate(pairs, start=1):
        entry = f"{where}: entry {number} of 'labels'"
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise UserError(f"{entry} is {pair!r}, expected [file, label]")
        file, value = check_member(pair[0], entry), pair[1]
        if file in labels:
            raise UserError(f"{entry}: {file!r} is listed twice")
        labels[file] = _published_value(value, entry)
    if len({isinstance(v, list) and len(v) for v in labels.values()}) > 1:
        raise UserError(f"{where}: labels mix integers and vectors, or vectors of several lengths")
    return labels


def _published_value(value: object, entry: str) -> int | list[float]:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, list) and value and all(_is_number(v) for v in value):
        return [float(v) for v in value]
    raise UserError(
        f"{entry}: label {value!r} is neither an integer >= 0 nor a list of finite numbers"
    )


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)


def _numbered_classes(values: Sequence[int]) -> list[str]:
    return [str(index) for index in range(max(values) + 1)] if values else []


def _class_name(classes: Sequence[str], index: int, path: Path) -> str:
    if index >= len(classes):
        raise UserError(f"{path}: {DATASET} uses label {index}, but names {len(classes)} classes")
    return classes[index]


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
                raise UserError(f"{archive.path}: {MANIFEST} names {name!r}, which is not there")


def decode_png(data: bytes, where: str) -> np.ndarray:
    """Pixels [h, w, channels], uint8 or uint16, of a PNG that an archive may hold.

    Raises:
        UserError: not a PNG, broken, too large, or neither 8-bit grey / RGB nor 16-bit grey.
    """
    if not data.startswith(PNG_MAGIC):
        raise UserError(
            f"{where}: is not a PNG file; prepare the images with 'synthograph prepare'"
        )
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > MAX_PIXELS:
                raise UserError(f"{where}: {image.width}x{image.height} pixels, limit {MAX_PIXELS}")
            mode = image.mode
            pixels = np.asarray(image)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - Pillow raises a dozen kinds for broken files
        raise UserError(f"{where}: is a broken PNG ({error})") from None
    if mode in ("L", "RGB"):
        return pixels if pixels.ndim == 3 else pixels[:, :, None]
    if mode in ("I;16", "I") and pixels.min(initial=0) >= 0 and pixels.max(initial=0) <= 0xFFFF:
        return pixels.astype(np.uint16)[:, :, None]
    raise UserError(f"{where}: PNG mode {mode} is neither 8-bit grey or RGB nor 16-bit grey")


def encode_png(pixels: np.ndarray) -> bytes:
    """PNG bytes of [h, w, 1 or 3] uint8 or [h, w, 1] uint16 pixels.

    Level 1 costs a third of the default's time for a tenth more bytes; level 0 would triple the
    archive.
    """
    squeezed = pixels[:, :, 0] if pixels.shape[2] == 1 else pixels
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(squeezed)).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _shape(pixels: np.ndarray) -> str:
    height, width, channels = pixels.shape
    return f"{width}x{height}, {channels} channels, {8 * pixels.dtype.itemsize} bit"
