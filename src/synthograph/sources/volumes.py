"""Volumes (NIfTI, Analyze, MGH): slices in the patient's directions, whatever the file's order."""

import contextlib
import io
import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nibabel
import numpy as np
from nibabel.fileholders import FileHolder
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation

from synthograph.core.record import Pixels, UnreadableError
from synthograph.core.untrusted.containers import BOMB_BYTES, BOMB_RATIO
from synthograph.core.untrusted.gzip_files import MAGIC, unpacked
from synthograph.sources.base import Axis, Frame, Place, Reader, Reading, SourceFile
from synthograph.sources.bids import columns_of, subject_of
from synthograph.sources.colour_modes import fitting
from synthograph.sources.silence import damage
from synthograph.sources.spacing import resampled, resampled_ids
from synthograph.sources.thresholds import drawn, otsu
from synthograph.sources.tiff_axes import MAX_PLANES

MAX_VOLUME_BYTES = 2 << 30
"""Of the values of one file, which are held at once."""
_SAMPLE = 1 << 20  # voxels that the threshold of the foreground is found from
_THICK = 1.2  # times as far from slice to slice as from pixel to pixel: taken in that plane
_HEADERS = {".hdr": ".img", ".hdr.gz": ".img.gz"}
_NIFTI_SIZES = (b"\x5c\1\0\0", b"\0\0\1\x5c", b"\x1c\2\0\0", b"\0\0\2\x1c")  # 348 and 540
_MGH_VERSION, _MGH_TYPES = 1, frozenset((0, 1, 3, 4))
_AXES = (Axis.SAGITTAL, Axis.CORONAL, Axis.AXIAL)
"""By the direction of the volume's axis: right, anterior, superior."""
_TALKERS = (logging.getLogger("nibabel.global"), logging.getLogger("nibabel"))


@dataclass(frozen=True, slots=True)
class _Volume:
    """Voxels [right, anterior, superior, time] as stored, and where they lie.

    Attributes:
        affine: voxel -> millimetres, towards right, anterior and superior.
        slope: what stored values are multiplied by.
        intercept: what is added then.
    """

    voxels: np.ndarray
    affine: np.ndarray
    slope: float
    intercept: float

    @property
    def sizes(self) -> np.ndarray:
        """Millimetres from voxel to voxel along each axis."""
        return np.asarray(np.linalg.norm(self.affine[:3, :3], axis=0))

    def plane(self) -> Axis:
        """The plane in which it was taken: slices lie further apart than pixels; else axial."""
        sizes = self.sizes
        thick = int(np.argmax(sizes))
        return _AXES[thick] if sizes[thick] > _THICK * np.median(sizes) else Axis.AXIAL

    def stored(self, axis: Axis, index: int, time: int) -> np.ndarray:
        """A slice as it is stored; a view, since `np.take` copies all of a volume each time."""
        return np.moveaxis(self.voxels[..., time], _AXES.index(axis), 0)[index]

    def slice(self, axis: Axis, index: int, time: int) -> np.ndarray:
        """Values [h, w]: superior (or anterior) above, the patient's right (or front) at the left.

        Whole numbers stay whole where the file does not scale them.
        """
        stored = self.stored(axis, index, time)[::-1, ::-1].T
        if (self.slope, self.intercept) == (1.0, 0.0):
            return stored
        return stored.astype(np.float64) * self.slope + self.intercept

    def pixel_sizes(self, axis: Axis) -> tuple[float, float]:
        """Height and width of a pixel in millimetres."""
        columns, rows = (float(s) for s in np.delete(self.sizes, _AXES.index(axis)))
        return rows, columns

    def place(self, axis: Axis, index: int) -> Place:
        """Where a slice lies in the patient."""
        across = _AXES.index(axis)
        ends = np.delete(np.array(self.voxels.shape[:3]) - 1, across)
        corners = np.insert(np.array([[0, 0], [ends[0], 0], [0, ends[1]]]), across, index, axis=1)
        places = corners @ self.affine[:3, :3].T + self.affine[:3, 3]
        triples = tuple((float(x), float(y), float(z)) for x, y, z in places)
        return Place(triples, min(self.pixel_sizes(axis)))

    def foreground(self) -> float:
        """The stored value above which a voxel is no background."""
        some = drawn(self.voxels, _SAMPLE, np.random.default_rng(0))
        return otsu(some.astype(np.float32))


class VolumeReader(Reader):
    """Reads volumes slice by slice. Masks are read as they are, with their ids rounded."""

    formats = ("NIfTI", "Analyze", "MGH")
    suffixes = frozenset(".nii .nii.gz .hdr .hdr.gz .img .img.gz .mgh .mgz .mgh.gz".split())

    def recognises(self, head: bytes) -> bool:
        """Whether a file that begins so holds a volume."""
        start = _first_bytes(head)
        if start.startswith(_NIFTI_SIZES):
            return True
        version, *shape, kind = np.frombuffer(start[:24].ljust(24, b"\0"), ">i4").tolist()
        return version == _MGH_VERSION and all(n > 0 for n in shape) and kind in _MGH_TYPES

    def frames(self, file: SourceFile, reading: Reading) -> Iterator[Frame]:
        """Its slices across the wanted axis; every volume of a series in time."""
        if _is_values(file):
            return
        volume = _volume(file)
        axis = reading.axis or volume.plane()
        slices, times = volume.voxels.shape[_AXES.index(axis)], volume.voxels.shape[3]
        if slices * times > MAX_PLANES:
            raise UnreadableError(f"claims {slices * times} slices, more than {MAX_PLANES}")
        least = volume.foreground() if reading.min_foreground else 0.0
        rows, columns = volume.pixel_sizes(axis)
        group = reading.group(subject_of(file.name) or _own_group(file.name))
        told = {
            "axis": str(axis),
            "pixel_mm": f"{reading.spacing or rows:g}x{reading.spacing or columns:g}",
            **columns_of(file),
        }
        for time in range(times):
            for index in range(0, slices, reading.every):
                if reading.min_foreground:
                    seen = volume.stored(axis, index, time) > least
                    if seen.mean() < reading.min_foreground:
                        continue
                yield Frame(
                    _frame_name(axis, index, time if times > 1 else None),
                    group,
                    {**told, "slice": str(index)},
                    volume.place(axis, index),
                )

    def read(
        self, file: SourceFile, frame: str, reading: Reading
    ) -> tuple[Pixels, tuple[str, ...]]:
        """Values of a slice [h, w, 1]; whole numbers that 16 bits hold are stored so."""
        volume = _volume(file)
        axis, index, time = _parse_frame(frame)
        values = volume.slice(axis, index, time)
        notes: tuple[str, ...] = ()
        if reading.spacing is not None:
            values, notes = resampled(values, volume.pixel_sizes(axis), reading.spacing)
        return fitting(np.ascontiguousarray(values))[:, :, None], notes

    def read_mask(self, file: SourceFile, frame: str, reading: Reading) -> np.ndarray:
        """Class ids [h, w] of a slice."""
        volume = _volume(file)
        axis, index, time = _parse_frame(frame)
        ids = np.rint(volume.slice(axis, index, time))
        if ids.size and not 0 <= ids.min() <= ids.max() <= 255:
            raise UnreadableError(
                f"mask values run from {ids.min():g} to {ids.max():g}, class ids are 0 to 255"
            )
        ids = ids.astype(np.uint8)
        if reading.spacing is None:
            return np.ascontiguousarray(ids)
        return resampled_ids(ids, volume.pixel_sizes(axis), reading.spacing)


def _frame_name(axis: Axis, index: int, time: int | None) -> str:
    return f"{axis}{index:03d}" + ("" if time is None else f"t{time}")


def _parse_frame(frame: str) -> tuple[Axis, int, int]:
    axis = next((axis for axis in Axis if frame.startswith(axis)), None)
    if axis is None:
        raise UnreadableError(f"is a volume of slices, and has no image {frame or 'by itself'}")
    index, _, time = frame.removeprefix(axis).partition("t")
    return axis, int(index), int(time or 0)


def _own_group(name: str) -> str:
    """A volume without a known patient is a group of its own: its slices stay together."""
    lowered = name.lower()
    endings = [suffix for suffix in VolumeReader.suffixes if lowered.endswith(suffix)]
    return name[: len(name) - len(max(endings, key=len, default=""))]


def _is_values(file: SourceFile) -> bool:
    """Whether a file holds the values of a header beside it, which is the image."""
    lowered = file.name.lower()
    for header, values in _HEADERS.items():
        if lowered.endswith(values):
            beside = file.name[: len(file.name) - len(values)]
            names = {beside + header, beside + header.upper()}
            if any(_is_there(SourceFile(file.container, name)) for name in names):
                return True
            raise UnreadableError(f"its header {beside}{header} is missing")
    return False


def _is_there(file: SourceFile) -> bool:
    try:
        return bool(file.head())
    except UnreadableError:
        return False


def _volume(file: SourceFile) -> _Volume:
    names = (file.name, *values_of(file.name))
    return _loaded(file, "\n".join(map(file.container.stamp, names)))


@lru_cache(maxsize=2)  # of a process, which reads slice after slice of a file and its partner
def _loaded(file: SourceFile, stamp: str) -> _Volume:
    """The volume in patient order.

    Raises:
        UnreadableError: damaged, too large, or of colours or complex numbers.
    """
    data = _unpacked(file.read())
    with damage(_TALKERS, "volume is damaged or of an unknown variant", quoted=True):
        image = _image(file, data)
        shape = image.shape
        if image.get_data_dtype().kind not in "iuf":
            raise UnreadableError("a volume of colours or complex numbers cannot be used")
        if not 3 <= len(shape) <= 4 or min(shape) < 1:
            raise UnreadableError(f"a volume has 3 or 4 dimensions, this one has {shape}")
        if np.prod(shape, dtype=np.float64) * image.get_data_dtype().itemsize > MAX_VOLUME_BYTES:
            raise UnreadableError(f"{shape} values are more than {MAX_VOLUME_BYTES >> 30} GiB")
        if image.affine is None or not np.isfinite(image.affine).all():
            raise UnreadableError("the file does not say how the volume lies in the patient")
        values: Any = image.file_map["image"].fileobj
        held = values.getbuffer().nbytes
        if np.prod(shape, dtype=np.float64) * image.get_data_dtype().itemsize > held:
            raise UnreadableError(f"the file is cut short: it says {shape} values, and lacks some")
        proxy: Any = image.dataobj
        voxels = np.asanyarray(proxy.get_unscaled())
        turn = io_orientation(image.affine)
        if np.isnan(turn).any():
            raise UnreadableError("the file does not say how the volume lies in the patient")
        turned = apply_orientation(voxels.reshape(*shape[:3], -1), turn)
        affine = image.affine @ inv_ornt_aff(turn, shape[:3])
    if turned.dtype.byteorder == ">":
        turned = turned.astype(turned.dtype.newbyteorder("="))
    return _Volume(turned, affine, float(proxy.slope), float(proxy.inter))


def _image(file: SourceFile, data: bytes) -> nibabel.spatialimages.SpatialImage:
    """The image of nibabel, whose values lie in memory."""
    if data[344:348] == b"n+1\0":
        return nibabel.Nifti1Image.from_bytes(data)
    if data[4:12] == b"n+2\0\r\n\x1a\n":
        return nibabel.Nifti2Image.from_bytes(data)
    if not data.startswith(_NIFTI_SIZES):
        return nibabel.MGHImage.from_bytes(data)
    values = _values_beside(file)
    holders = {
        "header": FileHolder(fileobj=io.BytesIO(data)),
        "image": FileHolder(fileobj=io.BytesIO(values)),
    }
    if data[344:348] == b"ni1\0":
        return nibabel.Nifti1Pair.from_file_map(holders)
    if data[4:8] == b"ni2\0":
        return nibabel.Nifti2Pair.from_file_map(holders)
    holders["mat"] = FileHolder(fileobj=io.BytesIO())  # which says more of the place; not read
    return nibabel.Spm99AnalyzeImage.from_file_map(holders)


def _values_beside(file: SourceFile) -> bytes:
    """What the header `file` is about."""
    names = values_of(file.name)
    if not names:
        raise UnreadableError("a header without values; give NAME.hdr and NAME.img")
    for name in names:
        partner = SourceFile(file.container, name)
        if _is_there(partner):
            return _unpacked(partner.read())
    raise UnreadableError(f"its values {names[0]} are missing")


def values_of(name: str) -> tuple[str, ...]:
    """Where the values of a header may be; nothing for the name of another file."""
    lowered = name.lower()
    ending = next((h for h in sorted(_HEADERS, key=len, reverse=True) if lowered.endswith(h)), None)
    if ending is None:
        return ()
    stem = name[: len(name) - len(ending)]
    return tuple(stem + values for values in (".img", ".img.gz", ".IMG"))


def _first_bytes(head: bytes) -> bytes:
    """The first bytes of what a file holds, packed or not."""
    if not head.startswith(MAGIC):
        return head
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(31).decompress(head, 4096)
    return b""


def _unpacked(data: bytes) -> bytes:
    """The bytes of a packed file, or those that are not packed; fewer than compression bombs have.

    Raises:
        UnreadableError: damaged, or too large.
    """
    most = max(BOMB_BYTES, min(BOMB_RATIO * len(data), MAX_VOLUME_BYTES))
    return unpacked(data, most, ", as compression bombs do; unpack it with gunzip")
