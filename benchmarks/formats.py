"""Memory and speed of `prepare` on DICOM files, volumes and whole slides, which the script draws
itself, against a plain loop over the same library that writes PNG files.

    python benchmarks/formats.py --folder /tmp/formats [--small] [--only slide]

Peak memory is that of the one process of `prepare --workers 1`.
"""

import argparse
import io
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import nibabel
import numpy as np
import tifffile
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import iter_pixels
from pydicom.uid import ExplicitVRLittleEndian, UltrasoundMultiFrameImageStorage, generate_uid

TILE = 256


def tissue(random: np.random.Generator, side: int) -> np.ndarray:
    """A tile of a stained slide: pink with darker nuclei, [side, side, 3]."""
    tile = np.full((side, side, 3), (205, 130, 180), np.int16)
    y, x = np.mgrid[:side, :side]
    for _ in range(side // 6):
        middle, radius = random.integers(side, size=2), random.integers(3, 7)
        tile[(y - middle[0]) ** 2 + (x - middle[1]) ** 2 < radius**2] = (110, 60, 150)
    return np.clip(tile + random.integers(-12, 12, tile.shape), 0, 255).astype(np.uint8)


def jpeg(pixels: np.ndarray) -> bytes:
    """A tile as a slide scanner packs it."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80, subsampling="4:2:0")
    return file.getvalue()


def draw_slide(path: Path, side: int) -> None:
    """A pyramid of JPEG tiles whose pixels take side * side * 3 bytes; tissue in its middle."""
    random = np.random.default_rng(0)
    kinds = [jpeg(tissue(random, TILE)) for _ in range(16)]
    glass = jpeg(np.full((TILE, TILE, 3), 243, np.uint8))

    def tiles(across: int) -> Iterator[bytes]:
        for number in range(across * across):
            y, x = divmod(number, across)
            middle = max(abs(x - across / 2), abs(y - across / 2)) < across * 0.35
            yield kinds[(7 * x + 3 * y) % 16] if middle else glass

    with tifffile.TiffWriter(path, bigtiff=True) as file:
        step = 1
        while side % (step * TILE) == 0:
            shape = (side // step, side // step, 3)
            file.write(
                tiles(shape[0] // TILE),
                shape=shape,
                dtype=np.uint8,
                tile=(TILE, TILE),
                photometric="rgb",
                compression="deflate",  # so named until all is written: tifffile packs no JPEG
                subfiletype=int(step > 1),
                resolution=(40000 / step, 40000 / step),
                resolutionunit="CENTIMETER",
            )
            step *= 4
    with tifffile.TiffFile(path, mode="r+") as file:
        for page in file.pages:
            page.tags["Compression"].overwrite(7)
            page.tags["PhotometricInterpretation"].overwrite(6)


def draw_dicom(path: Path, frames: int, side: int = 256) -> None:
    """A grey sequence of so many frames, as ultrasound machines write, 16 bits."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = UltrasoundMultiFrameImageStorage, generate_uid()
    data.PatientID, data.Modality = "phantom", "US"
    data.Rows, data.Columns, data.NumberOfFrames = side, side, frames
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
    data.RescaleSlope, data.RescaleIntercept = "2", "10"
    data.PixelSpacing = [0.5, 0.5]
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    y, x = np.mgrid[:side, :side]
    pixels = bytearray()
    for number in range(frames):
        moved = np.hypot(x - side / 2, y - side / 2 - 20 * np.sin(number / 9))
        pixels += (2000 * np.exp(-moved / 90)).astype(np.uint16).tobytes()
    data.PixelData = bytes(pixels)
    data.save_as(path, enforce_file_format=True)


def draw_volume(path: Path, side: int) -> None:
    """A head of three ellipsoids, packed."""
    axes = np.mgrid[:side, :side, :side].astype(np.float32) / side - 0.5
    volume = np.zeros((side,) * 3, np.int16)
    for radius, value in ((0.45, 300), (0.4, 700), (0.1, 150)):
        volume[(axes**2 * [[[[1]]], [[[1.3]]], [[[1.6]]]]).sum(0) < radius**2] = value
    volume += np.random.default_rng(0).integers(0, 40, volume.shape).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volume, np.diag([1, 1, 1, 1])), path)


def plain_slide(path: Path, out: Path) -> int:
    """OpenSlide's own read of the tiles that are tissue, as PNG files."""
    import openslide

    slide = openslide.OpenSlide(path)
    across = slide.dimensions[0] // (2 * TILE)
    level, taken = slide.get_best_level_for_downsample(2), 0
    for number in range(across * across):
        y, x = divmod(number, across)
        if (
            max(abs(x + 0.5 - across / 2), abs(y + 0.5 - across / 2)) >= across * 0.35
            or taken == 400
        ):
            continue
        size = round(2 * TILE / slide.level_downsamples[level])
        tile = slide.read_region((2 * TILE * x, 2 * TILE * y), level, (size, size)).convert("RGB")
        tile.resize((TILE, TILE), Image.Resampling.BOX).save(out / f"{number}.png")
        taken += 1
    return taken


def plain_dicom(path: Path, out: Path) -> int:
    """Pydicom's own frames, as PNG files."""
    count = 0
    for count, frame in enumerate(iter_pixels(path), start=1):
        Image.fromarray((frame * 2 + 10).astype(np.uint16)).save(out / f"{count}.png")
    return count


def plain_volume(path: Path, out: Path) -> int:
    """Nibabel's own slices, as PNG files."""
    values = np.asanyarray(nibabel.as_closest_canonical(nibabel.load(path)).dataobj)
    for index in range(values.shape[2]):
        plane = np.rot90(values[:, :, index]).astype(np.uint16)
        Image.fromarray(plane).save(out / f"{index}.png")
    return values.shape[2]


def measure(
    name: str, path: Path, plain: Callable[[Path, Path], int], options: Sequence[str]
) -> None:
    """Print one row: images a processor second of both, their ratio, peak memory."""
    folder, out, dest = path.parent, path.parent.parent / "png", path.parent.parent / "archive"
    for place in (out, dest):
        shutil.rmtree(place, ignore_errors=True)
    out.mkdir()
    before = time.process_time()
    count = plain(path, out)
    alone = time.process_time() - before
    command = [sys.executable, "-m", "synthograph", "prepare", str(folder), str(dest)]
    command += ["--workers", "1", "--invariant", "none", *options]
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    watched = f"import resource,subprocess,sys;r=subprocess.call({command!r},stdout=2);" \
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss);sys.exit(r)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", watched], stdout=subprocess.PIPE, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime
    made = sum(1 for _ in dest.rglob("img*.png"))
    size = path.stat().st_size / 1e6
    print(
        f"| {name} | {size:.0f} MB | {made} | {made / ours:.1f} | {count / alone:.1f} | "
        f"{made / ours / (count / alone):.2f} | {int(done.stdout) / 1024:.0f} MiB |",
        flush=True,
    )


def main() -> None:
    """Draw the files, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("formats"))
    parser.add_argument("--small", action="store_true", help="files of a few MB")
    parser.add_argument("--only", choices=["slide", "DICOM", "NIfTI"], default=None)
    arguments = parser.parse_args()
    side, frames, cube = (8192, 60, 64) if arguments.small else (40960, 2000, 256)
    print("| what | file | images | a second | plain loop | ratio | peak memory |")
    print("|---|---|---|---|---|---|---|", flush=True)
    jobs = (
        ("slide", "slide.tif", lambda p: draw_slide(p, side), plain_slide,
         ["--tile", "256", "--mpp", "0.5", "--per-slide", "400"]),
        ("DICOM", "frames.dcm", lambda p: draw_dicom(p, frames), plain_dicom, []),
        ("NIfTI", "head.nii.gz", lambda p: draw_volume(p, cube), plain_volume, ["--axis", "axial"]),
    )  # fmt: skip
    for name, file, draw, plain, options in jobs:
        if arguments.only not in (None, name):
            continue
        path = arguments.folder / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(path)
        measure(name, path, plain, options)
        shutil.rmtree(path.parent)


if __name__ == "__main__":
    main()
