"""All pixels of an archive as one memory-mapped array: built once per content, shared by every
process.

Decoding a PNG at every step would need loader processes; reading from the page cache needs none.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthograph.archive.reader import Archive
from synthograph.core.cache import cache_folder, cache_part
from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, disk_errors
from synthograph.core.halves import remove_halves
from synthograph.core.locks import Lock


class Gathered:
    """Rows of several arrays, taken by their place in a list; nothing is copied before.

    Args:
        arrays: whose rows.
        number: of the array of every row of the list.
        place: of the row in it.
    """

    def __init__(self, arrays: Sequence[np.ndarray], number: np.ndarray, place: np.ndarray) -> None:
        self._arrays, self._number, self._place = arrays, number, place

    def __getitem__(self, wanted: int | np.ndarray) -> np.ndarray:
        """One row, or rows, copied."""
        numbers, places = self._number[wanted], self._place[wanted]
        if numbers.ndim == 0:
            return np.asarray(self._arrays[numbers][places])
        shape = (len(numbers), *self._arrays[0].shape[1:])
        found = np.empty(shape, self._arrays[0].dtype)
        for number in np.unique(numbers):
            here = numbers == number
            found[here] = self._arrays[number][places[here]]
        return found


def pixel_cache(archive: Archive) -> np.ndarray | Gathered:
    """Pixels [rows, channels, h, w], uint8 or uint16, read-only, in the order of the sorted file
    names. Those of images that lie in other archives are in the caches of these.

    Args:
        archive: whose pixels; the cache is named after the hash of its images.

    Raises:
        UserError: an image is broken or has another size than the specification says.
    """
    if archive.sources:
        return _of_sources(archive)
    folder = cache_folder() / "pixels"
    spec = archive.info.spec
    # the hash covers files, and not which modality they are said to be
    path = folder / f"{archive.images_hash[:32]}-{'-'.join(spec.modalities)[:100]}.npy"
    shape = (len(archive.rows), spec.channels, spec.height, spec.width)
    dtype = np.dtype("<u1" if spec.bits == 8 else "<u2")
    pixels = _open(path, shape, dtype)  # also where nothing more may be written
    if pixels is not None:
        return pixels
    cache_part("pixels")
    lock = Lock(folder / f"{path.name}.lock", f"another process builds the cache {path.name}")
    with disk_errors(folder), lock:
        remove_halves(path)
        pixels = _open(path, shape, dtype)
        if pixels is None:
            _build(archive, path, shape, dtype)
            pixels = _open(path, shape, dtype)
    if pixels is None:
        raise UserError(f"{path}: the pixel cache cannot be read back; is the disk full?")
    return pixels


def _of_sources(archive: Archive) -> Gathered:
    orders = [cache_order(source) for source in archive.sources]
    by_file = {row.file: archive.place(row) for row in archive.rows}
    places = [by_file[file] for file in sorted(by_file)]
    return Gathered(
        [np.asarray(pixel_cache(source)) for source in archive.sources],
        np.array([number for number, _ in places]),
        np.array([orders[number][file] for number, file in places]),
    )


def cache_order(archive: Archive) -> dict[str, int]:
    """File name to its place in the cache, which does not depend on splits or the manifest."""
    return {file: place for place, file in enumerate(sorted(row.file for row in archive.rows))}


def _open(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    try:
        pixels = np.lib.format.open_memmap(path, mode="r")
    except Exception:  # noqa: BLE001 - whatever is wrong with a cache, it can be made again
        return None
    fits = pixels.shape == shape and pixels.dtype == dtype and pixels.flags.c_contiguous
    return pixels if fits else None


def _build(archive: Archive, path: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
    header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    # written and not mapped: a full disk fails a write, but kills who writes to a mapped page
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for row in sorted(archive.rows, key=lambda row: row.file):
            file.write(archive.read(row).astype(dtype, copy=False).tobytes())
