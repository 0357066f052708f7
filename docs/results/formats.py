"""Phantoms as DICOM files, a volume and a slide, and whether their archives hold the values that
pydicom, nibabel and OpenSlide read.

    python docs/results/formats.py draw phantoms
    python docs/results/formats.py check phantoms
"""

import json
import sys
from pathlib import Path

import nibabel
import numpy as np
import openslide
import pydicom
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from synthograph.archive.reader import open_archive

SIDE, SLIDE = 96, 4096


def blobs(random: np.random.Generator, side: int) -> np.ndarray:
    """A knee of circles, 0 to 1."""
    y, x = np.mgrid[:side, :side] / side - 0.5
    picture = 0.15 * (np.hypot(x * 1.3, y) < 0.45)
    for place, size in ((-0.2, 0.22), (0.22, 0.2)):
        shifted = np.hypot(x + random.normal(0, 0.02), y - place)
        picture = np.maximum(picture, 0.8 * (shifted < size * random.uniform(0.85, 1.1)))
    return np.clip(picture + random.normal(0, 0.02, picture.shape), 0, 1)


def draw_dicom(folder: Path) -> None:
    """48 files of 12 patients: a window, a rescale, every third one MONOCHROME1."""
    folder.mkdir(parents=True)
    for number in range(48):
        random, data = np.random.default_rng(number), Dataset()
        data.SOPClassUID = MRImageStorage
        data.SOPInstanceUID = generate_uid(entropy_srcs=[f"formats {number}"])
        data.PatientID, data.Modality, data.SeriesDescription = f"P{number // 4:02}", "MR", "PD"
        data.Rows = data.Columns = SIDE
        inverse = number % 3 == 2
        data.PhotometricInterpretation = "MONOCHROME1" if inverse else "MONOCHROME2"
        data.SamplesPerPixel, data.BitsAllocated, data.PixelRepresentation = 1, 16, 0
        data.BitsStored, data.HighBit = 12, 11
        data.RescaleSlope, data.RescaleIntercept = "1", "0"
        data.WindowCenter, data.WindowWidth = "2295" if inverse else "1800", "3000"
        data.PixelSpacing = [1, 1]
        stored = np.rint(blobs(random, SIDE) * 4000).astype(np.uint16)
        data.PixelData = (4095 - stored if inverse else stored).tobytes()
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(folder / f"{number:02}", enforce_file_format=True)


def draw_volume(folder: Path) -> None:
    """A head whose voxels are stored in another order than that of the patient."""
    folder.mkdir(parents=True)
    axes = (np.mgrid[:80, :96, :64] - np.array([40, 48, 32])[:, None, None, None]) / 45
    volume = np.zeros(axes.shape[1:], np.int16)
    for radius, value in ((0.9, 300), (0.8, 700), (0.25, 150)):
        volume[(axes**2 * np.array([1.3, 1, 1.9])[:, None, None, None]).sum(0) < radius**2] = value
    volume += np.random.default_rng(0).integers(0, 60, volume.shape).astype(np.int16)
    affine = np.array([[0, 0, -1.5, 48], [-1, 0, 0, 40], [0, 1, 0, -48], [0, 0, 0, 1.0]])
    nibabel.save(nibabel.Nifti1Image(volume, affine), folder / "head.nii.gz")


def draw_slide(folder: Path) -> None:
    """Stroma, a tumour with a hole, a pen stroke, a blurred corner; polygons of QuPath's form."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    y, x = np.mgrid[:SLIDE, :SLIDE]
    slide = np.full((SLIDE, SLIDE, 3), 243, np.int16)
    slide[np.hypot(x - 2000, y - 2048) < 1700] = (215, 150, 190)
    ring = [[1500 + 700 * np.cos(t), 1900 + 700 * np.sin(t)] for t in np.linspace(0, 6.28, 120)]
    hole = [[1400, 1800], [1400, 2100], [1700, 2100], [1700, 1800]]
    slide[in_tumour(x, y)] = (150, 80, 165)
    for place in random.integers(400, 3600, (4000, 2)):
        slide[place[1] : place[1] + 9, place[0] : place[0] + 9] -= 45
    slide += random.integers(-10, 10, slide.shape).astype(np.int16)
    slide = np.clip(slide, 0, 255).astype(np.uint8)
    corner = Image.fromarray(slide[2048:, 2048:])
    slide[2048:, 2048:] = np.asarray(corner.reduce(16).resize(corner.size))
    slide[600:3400, 3000:3080] = (20, 150, 70)
    with tifffile.TiffWriter(folder / "slide.tif") as file:
        for step in (1, 2, 4, 8):
            file.write(
                slide[::step, ::step],
                tile=(256, 256),
                photometric="rgb",
                compression="deflate",
                subfiletype=int(step > 1),
                resolution=(20000 / step, 20000 / step),
                resolutionunit="CENTIMETER",
            )
    wide = [[2000 + 1700 * np.cos(t), 2048 + 1700 * np.sin(t)] for t in np.linspace(0, 6.28, 200)]
    shapes = (([ring, hole], "Tumor"), ([wide], "Stroma"))
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[*r, r[0]] for r in rings]},
            "properties": {"objectType": "annotation", "classification": {"name": name}},
        }
        for rings, name in shapes
    ]
    (folder / "slide.geojson").write_text(
        json.dumps({"type": "FeatureCollection", "features": features})
    )


def check_dicom(folder: Path, archive: Path) -> float:
    """Largest difference from pydicom's window, in grey levels of 8 bits."""
    worst = 0.0
    held = open_archive(archive)
    for row in held.rows:
        data = pydicom.dcmread(folder / row.source)
        shown = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data)
        ends = apply_voi_lut(np.array([0, 4095], np.uint16), data)
        shown = (shown - ends.min()) / (ends.max() - ends.min())
        shown = 1 - shown if data.PhotometricInterpretation == "MONOCHROME1" else shown
        worst = max(worst, float(np.abs(held.read(row)[0] / 257.0 - shown * 255).max()))
    return worst


def check_volume(folder: Path, archive: Path) -> float:
    """Largest difference from nibabel's canonical order, in grey levels of 8 bits."""
    image = nibabel.as_closest_canonical(nibabel.load(folder / "head.nii.gz"))
    values, held = np.asanyarray(image.dataobj), open_archive(archive)
    worst = 0.0
    for row in held.rows:
        plane = np.clip(values[::-1, ::-1, int(row.columns["slice"])].T / 760, 0, 1)
        worst = max(worst, float(np.abs(held.read(row)[0] / 257.0 - plane * 255).max()))
    return worst


def check_slide(folder: Path, archive: Path) -> float:
    """Largest difference from OpenSlide's own tiles, and from the area of the tumour."""
    slide, held = openslide.OpenSlide(folder / "slide.tif"), open_archive(archive)
    worst, tumour, true = 0.0, 0, 0
    y, x = np.mgrid[:128, :128] * 2 + 1
    for row in held.rows:
        corner = int(row.columns["slide_x"]), int(row.columns["slide_y"])
        tile = np.asarray(slide.read_region(corner, 1, (128, 128)).convert("RGB"), float)
        worst = max(worst, float(np.abs(held.read(row).transpose(1, 2, 0) - tile).max()))
        mask = held.read_mask(row)
        tumour += 0 if mask is None else int((mask == 2).sum())
        true += int(in_tumour(x + corner[0], y + corner[1]).sum())
    say(f"tumour in masks: {tumour} pixels of 1 um, {tumour / true - 1:+.2%} of its true area")
    return worst


def in_tumour(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether places of the slide lie in the tumour, and not in its hole."""
    hole = (abs(x - 1550) <= 150) & (abs(y - 1950) <= 150)
    return (np.hypot(x - 1500, y - 1900) < 700) & ~hole


def say(text: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{text}\n")


def main() -> None:
    """Draw or check."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "draw":
        draw_dicom(folder / "dicom")
        draw_volume(folder / "volume")
        draw_slide(folder / "slides")
        return
    say(f"DICOM: {check_dicom(folder / 'dicom', folder / 'dicom.zip'):.3f} grey levels")
    say(f"NIfTI: {check_volume(folder / 'volume', folder / 'volume.zip'):.3f} grey levels")
    say(f"slide: {check_slide(folder / 'slides', folder / 'slides.zip'):.3f} grey levels")


if __name__ == "__main__":
    main()
