"""Pixels of synthetic images as files: one PNG for each modality."""

from pathlib import Path

import numpy as np

from synthograph.archive.png import encode_png
from synthograph.core.spec import ImageSpec


def by_modality(spec: ImageSpec, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Modality to pixels [h, w, c] of an image [channels, h, w]."""
    cuts = np.cumsum(list(spec.modalities.values()))[:-1]
    return dict(
        zip(spec.modalities, np.split(pixels.transpose(1, 2, 0), cuts, axis=2), strict=True)
    )


def write_pngs(folder: Path, name: str, spec: ImageSpec, pixels: np.ndarray) -> None:
    """Write an image [channels, h, w] losslessly as `name`: its first modality into the folder,
    further ones into folders of their own within it.
    """
    first, *others = by_modality(spec, pixels).items()
    for modality, part in others:
        (folder / modality).mkdir(exist_ok=True)
        (folder / modality / name).write_bytes(encode_png(part))
    (folder / name).write_bytes(encode_png(first[1]))
