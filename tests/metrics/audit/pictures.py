"""Pictures with texture, a few of every patient, that no two patients share."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from synthograph.archive.batches import ImageSet
from synthograph.core.spec import ImageSpec


def texture(count: int, seed: int, *, channels: int = 1, side: int = 24) -> np.ndarray:
    """Smooth noise, uint8 [count, channels, side, side]."""
    noise = np.random.default_rng(seed).standard_normal((count, channels, side, side))
    smooth = gaussian_filter(noise, (0, 0, 1.5, 1.5)) * 200 + 128
    return smooth.clip(0, 255).astype(np.uint8)


def mixed(pixels: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Mirrored, so that no image equals another one, and mixed with other texture."""
    others = texture(len(pixels), seed)
    return ((1 - share) * pixels[:, :, :, ::-1] + share * others).round().astype(np.uint8)


def as_set(
    pixels: np.ndarray, name: str, *, per: int = 1, labels: tuple[str, ...] | None = None
) -> ImageSet:
    """A set of images, `per` of a patient."""
    count, channels, height, width = pixels.shape
    modalities = {"image": channels} if channels in (1, 3) else {"vis": 3, "nir": 1}
    bits = 8 * pixels.dtype.itemsize
    whole = torch.from_numpy(np.ascontiguousarray(pixels))
    return ImageSet(
        name=name,
        spec=ImageSpec(height=height, width=width, modalities=modalities, bits=bits),
        count=count,
        batches=lambda: (whole[i : i + 32] for i in range(0, count, 32)),
        batch=32,
        groups=torch.arange(count) // per,
        labels=labels,
    )
