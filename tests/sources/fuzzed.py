"""Small sound files of every format that is read, and seeded damage of them."""

import gzip
import io
import json
from collections.abc import Callable, Iterator

import nibabel
import numpy as np
import tifffile
from PIL import Image, features
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    RLELossless,
    generate_uid,
)

Files = dict[str, bytes]
"""Name -> bytes; the first is the one that is damaged and read."""
GREY = np.random.default_rng(0).integers(0, 256, (24, 32), np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)
HUGE = (
    b"\xff" * 4,
    b"\xff\xff\xff\x7f",
    b"\x7f\xff\xff\xff",
    b"\xff\xff",
    b"\0" * 4,
    b"\0\0\0\x40",
)


def saved(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)  # type: ignore[arg-type]
    return file.getvalue()


def dicom(frames: int = 1, syntax: str = ExplicitVRLittleEndian, *, colour: bool = False) -> bytes:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, generate_uid(entropy_srcs=["fuzz"])
    data.PatientID, data.Modality, data.SeriesDescription = "P7", "MR", "PD"
    data.Rows, data.Columns = GREY.shape
    data.SamplesPerPixel = 3 if colour else 1
    data.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        data.PlanarConfiguration = 0
    bits = 8 if colour else 16
    data.BitsAllocated, data.BitsStored, data.HighBit = bits, bits, bits - 1
    data.PixelRepresentation = 0
    data.PixelSpacing = [0.5, 0.5]
    data.ImagePositionPatient, data.ImageOrientationPatient = [0, 0, 0], [1, 0, 0, 0, 1, 0]
    data.WindowCenter, data.WindowWidth = "100", "200"
    data.RescaleSlope, data.RescaleIntercept = "2", "1"
    if frames > 1:
        data.NumberOfFrames = frames
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    pixels = COLOUR if colour else GREY.astype(np.uint16) * 9
    data.PixelData = np.stack([pixels] * frames).tobytes()
    if syntax == RLELossless:
        data.compress(RLELossless, generate_instance_uid=False)
    data.file_meta.TransferSyntaxUID = syntax
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def volume(kind: type[nibabel.spatialimages.SpatialImage], **options: object) -> bytes:
    values = np.random.default_rng(1).integers(0, 900, (6, 7, 8)).astype(np.int16)
    return kind(values, np.diag([1.0, 1, 2, 1])).to_bytes(**options)


def pair(kind: type[nibabel.spatialimages.SpatialImage]) -> tuple[bytes, bytes]:
    values = np.random.default_rng(1).integers(0, 900, (6, 7, 8)).astype(np.int16)
    image = kind(values, np.diag([1.0, 1, 2, 1]))
    held = kind.make_file_map({"header": io.BytesIO(), "image": io.BytesIO()})
    image.to_file_map(held)
    return held["header"].fileobj.getvalue(), held["image"].fileobj.getvalue()


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def samples() -> dict[str, Files]:
    """Format -> its files."""
    nifti, analyze = pair(nibabel.Nifti1Pair), pair(nibabel.AnalyzeImage)
    single, mgh = volume(nibabel.Nifti1Image), volume(nibabel.MGHImage)
    ome = {"metadata": {"axes": "ZYX"}, "ome": True, "photometric": "minisblack"}
    found = {
        "PNG": {"a.png": saved(COLOUR, "PNG")},
        "16-bit PNG": {"a.png": saved(GREY.astype(np.uint16) * 200, "PNG")},
        "JPEG": {"a.jpg": saved(COLOUR, "JPEG")},
        "progressive JPEG": {"a.jpg": saved(COLOUR, "JPEG", progressive=True)},
        "BMP": {"a.bmp": saved(COLOUR, "BMP")},
        "GIF": {"a.gif": saved(GREY, "GIF")},
        "TIFF": {"a.tif": tiff(COLOUR, photometric="rgb")},
        "packed TIFF": {"a.tif": tiff(GREY, compression="deflate", tile=(16, 16))},
        "float TIFF": {"a.tif": tiff(GREY.astype(np.float32))},
        "ImageJ": {"a.tif": tiff(np.stack([GREY] * 3).astype(np.uint16), imagej=True)},
        "OME-TIFF": {"a.ome.tif": tiff(np.stack([GREY] * 3), **ome)},
        "DICOM": {"a.dcm": dicom()},
        "DICOM of frames": {"a.dcm": dicom(3)},
        "DICOM in colour": {"a.dcm": dicom(2, colour=True)},
        "DICOM in run lengths": {"a.dcm": dicom(2, RLELossless)},
        "deflated DICOM": {"a.dcm": dicom(1, DeflatedExplicitVRLittleEndian)},
        "NIfTI": {"a.nii": single},
        "packed NIfTI": {"a.nii.gz": packed(single)},
        "NIfTI-2": {"a.nii": volume(nibabel.Nifti2Image)},
        "NIfTI header": {"a.hdr": nifti[0], "a.img": nifti[1]},
        "Analyze": {"a.hdr": analyze[0], "a.img": analyze[1]},
        "MGH": {"a.mgh": mgh},
        "packed MGH": {"a.mgz": packed(mgh)},
    }
    for kind, name in (("webp", "WEBP"), ("jpg_2000", "JPEG2000")):
        if features.check(kind):
            found[name] = {f"a.{'webp' if name == 'WEBP' else 'jp2'}": saved(COLOUR, name)}
    return found


def slide() -> bytes:
    """A pyramid with tiles, of pink tissue."""
    pixels = np.full((256, 256, 3), 240, np.uint8)
    pixels[:, :160] = (200, 110, 170)
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for step in (1, 2):
            scale = {"resolution": (20000 / step,) * 2, "resolutionunit": "CENTIMETER"}
            told = {"photometric": "rgb", "compression": "deflate", "subfiletype": int(step > 1)}
            writer.write(pixels[::step, ::step], tile=(64, 64), **told, **scale)
    return file.getvalue()


def geojson() -> bytes:
    ring = [[0, 0], [90, 0], [90, 90], [0, 90], [0, 0]]
    told = {"objectType": "annotation", "classification": {"name": "Tumor", "color": [9, 9, 9]}}
    shapes = [
        {"type": "Polygon", "coordinates": [ring]},
        {"type": "MultiPolygon", "coordinates": [[ring], [ring]]},
    ]
    features = [{"type": "Feature", "geometry": shape, "properties": told} for shape in shapes]
    return json.dumps({"type": "FeatureCollection", "features": features}).encode()


def asap() -> bytes:
    places = "".join(
        f'<Coordinate Order="{n}" X="{x}" Y="{y}"/>'
        for n, (x, y) in enumerate([(0, 0), (90, 0), (90, 90)])
    )
    return (
        '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" '
        f'PartOfGroup="t"><Coordinates>{places}</Coordinates></Annotation></Annotations>'
        '<AnnotationGroups><Group Name="t" PartOfGroup="None"/></AnnotationGroups>'
        "</ASAP_Annotations>"
    ).encode()


def nrrd() -> bytes:
    head = "NRRD0004\ntype: uint8\ndimension: 2\nsizes: 32 24\nencoding: raw\n\n"
    return head.encode() + GREY.tobytes()


SINGLE_SLICE = nibabel.Nifti1Image((GREY % 3).astype(np.uint8)[:, :, None], np.eye(4)).to_bytes()
"""A label image in NIfTI."""


def damaged(data: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Copies that are cut short, have bits flipped, or fields of the header set to huge values."""
    random = np.random.default_rng(seed)
    ways: tuple[Callable[[bytearray], bytes], ...] = (
        lambda d: bytes(d[: random.integers(len(d))]),
        lambda d: _flipped(d, random, len(d)),
        lambda d: _flipped(d, random, min(len(d), 400)),
        lambda d: _with_huge(d, random),
    )
    for number in range(count):
        yield ways[number % len(ways)](bytearray(data))


def _flipped(data: bytearray, random: np.random.Generator, end: int) -> bytes:
    for place in random.integers(end, size=random.integers(1, 6)):
        data[place] ^= 1 << int(random.integers(8))
    return bytes(data)


def _with_huge(data: bytearray, random: np.random.Generator) -> bytes:
    value = HUGE[random.integers(len(HUGE))]
    place = 2 * int(random.integers(min(len(data), 1200) // 2))
    data[place : place + len(value)] = value
    return bytes(data)
