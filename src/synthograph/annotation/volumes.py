"""Label images of one slice as programs for medical volumes write them: NIfTI (ITK-SNAP) and NRRD
(3D Slicer).

Their axes run to the left, to the back and upwards where a picture's columns and rows run (the
convention of ITK, which both programs read pictures by); axes that run another way are turned.
"""

import logging
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import nibabel
import numpy as np
from jaxtyping import Float
from nibabel.orientations import apply_orientation, axcodes2ornt, io_orientation, ornt_transform

from synthograph.annotation.palettes import PaletteClass
from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.gzip_files import MAGIC, unpacked
from synthograph.sources.silence import damage

_TALKERS = (logging.getLogger("nibabel.global"), logging.getLogger("nibabel"))
MAX_VALUES = 1 << 24
"""Of a label image: 4096x4096 pixels, or fewer in several layers."""
MAX_BYTES = 8 * MAX_VALUES + (1 << 20)
"""Of a label image once it is unpacked, with its header."""
_TYPES = {
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("short", "signed short", "int16", "int16_t", "short int"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
}
_SEGMENT = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer|Color)")


@dataclass(frozen=True)
class LabelImage:
    """Numbers of one slice.

    Attributes:
        layers: numbers [l, h, w]; segments that overlap lie in layers of their own.
        classes: what the file says of its numbers; empty where it says nothing.
        layer: of each of them.
        offset: row and column of the first pixel in the picture; None where nothing is said.
        turned: whether axes were turned.
    """

    layers: np.ndarray
    classes: tuple[PaletteClass, ...] = ()
    layer: tuple[int, ...] = ()
    offset: tuple[int, int] | None = None
    turned: bool = False


def read_nifti(data: bytes) -> LabelImage:
    """A NIfTI file, packed or not.

    Raises:
        UnreadableError: it is damaged, too large, no slice, or holds fractions.
    """
    plain = unpacked(data, MAX_BYTES)
    with damage(_TALKERS, "is no sound NIfTI file", quoted=True):
        image = nibabel.Nifti1Image.from_bytes(plain)
        _refuse_many([int(side) for side in image.shape])
        values = np.asarray(image.dataobj)
        header = image.header
        known = int(header["sform_code"]) or int(header["qform_code"])
        affine = image.affine if known else np.diag([-1.0, -1.0, 1.0, 1.0])
    layer, turned = _upright(values, affine)
    return LabelImage(layer[None], turned=turned)


def _refuse_many(sides: Sequence[int]) -> None:
    """Refuse more values than a label image has, before they are read."""
    size = math.prod(sides)
    if size > MAX_VALUES:
        raise UnreadableError(f"{size} values are more than a label image has ({MAX_VALUES})")


def _upright(values: np.ndarray, affine: Float[np.ndarray, "4 4"]) -> tuple[np.ndarray, bool]:
    """Numbers [h, w] of a slice [x, y, 1 ...] as pictures have them, and whether they were turned.

    Args:
        values: along the axes of the file.
        affine: from indices to coordinates that grow to the right, the front and upwards.
    """
    while values.ndim > 3 and values.shape[-1] == 1:
        values = values[..., 0]
    values = values[:, :, None] if values.ndim == 2 else values
    if values.ndim != 3:
        raise UnreadableError(f"has {values.ndim} axes; a label image of a picture has two")
    axes = io_orientation(affine) if np.isfinite(affine).all() else np.full((3, 2), np.nan)
    if np.isnan(axes).any():
        raise UnreadableError("says nothing sound of its axes; save it again")
    turn = ornt_transform(axes, axcodes2ornt(("L", "P", "S")))
    upright = apply_orientation(values, turn)
    if upright.shape[2] != 1:
        raise UnreadableError(
            f"has {upright.shape[2]} slices; give every image a label image of its own"
        )
    flat = upright[:, :, 0].T
    if flat.dtype.kind not in "biuf" or not (np.abs(flat) < 1 << 31).all():
        raise UnreadableError("holds values that are no numbers of classes")
    if (flat != np.rint(flat)).any():
        raise UnreadableError("holds fractions; a label image holds whole numbers")
    return flat.astype(np.int64), bool((turn != [[0, 1], [1, 1], [2, 1]]).any())


def read_nrrd(data: bytes) -> LabelImage:
    """A NRRD file with its data, plain or as a segmentation of 3D Slicer.

    Source: the definition of the NRRD format (teem.sourceforge.net/nrrd/format.html).

    Raises:
        UnreadableError: it is damaged, too large, no slice, or of a kind that is not read.
    """
    head, _, body = data.partition(b"\n\n")
    if b"\r\n\r\n" in data and (b"\r\n" in head or not body):
        head, _, body = data.partition(b"\r\n\r\n")
    fields, keys = _header(head[: 1 << 20].decode("utf-8", errors="replace"))
    try:
        values = _values(fields, body)
        layered = len(fields.get("kinds", "").split()) == 4 and values.ndim == 4
        affine = _affine(fields, layered=layered)
        offset = _offset(keys.get("Segmentation_ReferenceImageExtentOffset"))
        classes, layer = _segments(keys)
    except (KeyError, ValueError, UserError) as error:
        raise UnreadableError(f"is no NRRD label image that can be read ({error})") from None
    several = list(values) if layered else [values]
    found = [_upright(each, affine) for each in several]
    return LabelImage(np.stack([flat for flat, _ in found]), classes, layer, offset, found[0][1])


def _header(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Fields and key-value pairs."""
    if not text.startswith("NRRD000"):
        raise UnreadableError("is no NRRD file")
    fields, keys = dict[str, str](), dict[str, str]()
    for line in text.splitlines()[1:]:
        key, pair, value = line.partition(":=")
        if pair:
            keys[key.strip()] = value.strip()
        elif not line.startswith("#") and ":" in line:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
    return fields, keys


def _values(fields: Mapping[str, str], body: bytes) -> np.ndarray:
    """The array along the axes of the file; the size is checked before it is unpacked."""
    if "data file" in fields or "datafile" in fields:
        raise UnreadableError("names another file for its data; save it as one file")
    kind = fields["type"].lower()
    if kind not in _TYPES:
        raise UnreadableError(f"holds values of type {kind}; a label image holds whole numbers")
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    dtype = np.dtype(order + _TYPES[kind])
    sizes = [int(word) for word in fields["sizes"].split()]
    if min(sizes) < 1 or not 2 <= len(sizes) <= 4:
        raise UnreadableError(f"has the sizes {fields['sizes'][:60]}, which no label image has")
    _refuse_many(sizes)
    needed = math.prod(sizes) * dtype.itemsize
    encoding = fields["encoding"].lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise UnreadableError(
            f"is compressed as {encoding[:40]}; save it with gzip or without compression"
        )
    if encoding != "raw" and not body.startswith(MAGIC):
        raise UnreadableError("its header says gzip, and its data are not packed by it")
    plain = body if encoding == "raw" else unpacked(body, needed)
    if len(plain) != needed:
        raise UnreadableError(f"holds {len(plain)} bytes of data, its header says {needed}")
    return np.frombuffer(plain, dtype).reshape(sizes, order="F")


def _offset(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    column, row, _ = (int(word) for word in text.split())
    return row, column


def _affine(fields: Mapping[str, str], *, layered: bool) -> Float[np.ndarray, "4 4"]:
    """From indices to coordinates that grow to the right, the front and upwards; that of ITK's
    pictures where the file says nothing.
    """
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    vectors = re.findall(r"\(([^)]*)\)", fields.get("space directions", ""))
    space = fields.get("space", "").lower()
    if len(vectors) == 3 and space:
        columns = np.array([[float(word) for word in each.split(",")] for each in vectors]).T
        if not np.isfinite(columns).all():
            raise UnreadableError("says nothing sound of its axes; save it again")
        names = {"left": -1, "l": -1, "right": 1, "r": 1}
        ends = {"posterior": -1, "p": -1, "anterior": 1, "a": 1}
        words = space.split("-") if "-" in space else list(space)
        if len(words) < 2 or words[0] not in names or words[1] not in ends:
            raise UnreadableError(f"names an unknown space ({space[:40]!r}); save it again")
        signs = [names[words[0]], ends[words[1]], 1]
        affine[:3, :3] = np.diag(signs) @ columns
    return affine


def _segments(keys: Mapping[str, str]) -> tuple[tuple[PaletteClass, ...], tuple[int, ...]]:
    """What 3D Slicer says of its segments."""
    found: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        if match := _SEGMENT.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = value
    classes, layers = [], []
    for number in sorted(found):
        each = found[number]
        shares = [min(max(float(word), 0), 1) for word in each.get("Color", "0.5 0.5 0.5").split()]
        red, green, blue = (round(255 * share) for share in shares)
        label = int(each.get("LabelValue", number + 1))
        classes.append(PaletteClass(each["Name"], (red, green, blue), label))
        if (layer := int(each.get("Layer", 0))) < 0:
            raise ValueError(f"segment {number} is in layer {layer}")
        layers.append(layer)
    return tuple(classes), tuple(layers)
