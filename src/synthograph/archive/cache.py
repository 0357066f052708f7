"""All pixels of an archive as one memory-mapped array: built once per content, shared by every
process.

Decoding a PNG at every step would need loader processes; reading from the page cache needs none.
"""

from pathlib import Path

import filelock
import numpy as np

from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, cache_folder


def pixel_cache(archive: Archive, *, folder: Path | None = None) -> np.ndarray:
    """Pixels [rows, channels, h, w], uint8 or uint16, read-only, in the order of the sorted file
    names.

    Args:
        archive: whose pixels; the cache is named after the hash of its images.
        folder: where caches live; None for the user's cache folder.

    Raises:
        UserError: an image is broken or has another size than the specification says.
    """
    folder = (folder or cache_folder()) / "pixels"
    path = folder / f"{archive.images_hash[:32]}.npy"
    folder.mkdir(parents=True, exist_ok=True)
    spec = archive.info.spec
    shape = (len(archive.rows), spec.channels, spec.height, spec.width)
    with filelock.FileLock(f"{path}.lock"):
        pixels = _open(path, shape, spec.bits)
        if pixels is None:
            _build(archive, path, shape)
            pixels = _open(path, shape, spec.bits)
    if pixels is None:
        raise UserError(f"{path}: the pixel cache cannot be read back; is the disk full?")
    return pixels


def cache_order(archive: Archive) -> dict[str, int]:
    """File name to its place in the cache; a new split or manifest leaves it as it is."""
    return {file: place for place, file in enumerate(sorted(row.file for row in archive.rows))}


def _open(path: Path, shape: tuple[int, ...], bits: int) -> np.ndarray | None:
    try:
        pixels: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return pixels if pixels.shape == shape and 8 * pixels.dtype.itemsize == bits else None


def _build(archive: Archive, path: Path, shape: tuple[int, ...]) -> None:
    dtype = np.uint8 if archive.info.spec.bits == 8 else np.uint16
    order = cache_order(archive)
    with atomic_path(path) as temporary:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)
        for row in archive.rows:
            pixels[order[row.file]] = archive.read(row)
        pixels.flush()
        del pixels  # Windows renames no mapped file
