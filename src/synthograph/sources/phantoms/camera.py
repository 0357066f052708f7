"""The camera (or scanner) that looks at a phantom: sites differ by it; it gives integers."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter

from synthograph.sources.phantoms.drawing import soft


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera as the differences from that of site a.

    Attributes:
        gains: factor per channel (1 number for grey).
        contrast: factor of the distance from mid-grey.
        gamma: exponent of the intensities; above 1 is darker.
        blur: standard deviation of the optical blur, in thousandths of the image's side.
        vignette: loss of light in the corners, 0 to 1.
        zoom: visible field relative to site a.
        noise: standard deviation of the sensor noise, part of full scale.
    """

    gains: tuple[float, ...] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    gamma: float = 1.0
    blur: float = 0.0
    vignette: float = 0.0
    zoom: float = 1.0
    noise: float = 0.012

    def moved(self, other: "Camera", shift: float) -> "Camera":
        """The camera that lies `shift` of the way from this one (0) to another (1).

        Factors are interpolated on a log scale, amounts linearly.
        """

        def factor(a: float, b: float) -> float:
            return float(a * (b / a) ** shift)

        def amount(a: float, b: float) -> float:
            return a + (b - a) * shift

        return replace(
            self,
            gains=tuple(factor(a, b) for a, b in zip(self.gains, other.gains, strict=True)),
            contrast=factor(self.contrast, other.contrast),
            gamma=factor(self.gamma, other.gamma),
            blur=amount(self.blur, other.blur),
            vignette=min(amount(self.vignette, other.vignette), 0.95),
            zoom=factor(self.zoom, other.zoom),
            noise=factor(self.noise, other.noise),
        )

    def expose(self, image: np.ndarray, *, vignette: float = 0.0) -> np.ndarray:
        """What reaches the sensor, without noise.

        Args:
            image: float32 [channels, h, w], 0 to 1, at the final size.
            vignette: further loss of light in the corners that belongs to the picture, 0 to 1.
        """
        if self.blur > 0:
            sigma = self.blur * image.shape[-1] / 1000
            image = gaussian_filter(image, (0, sigma, sigma), mode="nearest")
        image = darken_corners(image, 1 - (1 - self.vignette) * (1 - vignette))
        if self.contrast != 1:
            image = (image - np.float32(0.5)) * np.float32(self.contrast) + np.float32(0.5)
        if self.gamma != 1:
            image = np.clip(image, 0, None) ** np.float32(self.gamma)
        return image * np.asarray(self.gains, dtype=np.float32)[:, None, None]

    def digitise(self, image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Add sensor noise and quantise [channels, h, w] to uint8 [h, w, channels]."""
        grain = generator.standard_normal(image.shape, dtype=np.float32)
        return quantise(image + grain * np.float32(self.noise), 255)


def darken_corners(image: np.ndarray, strength: float) -> np.ndarray:
    """The round field of a lens: `strength` of the light is lost in the corners."""
    if strength <= 0:
        return image
    return image * (1 - np.float32(strength) * _corners(image.shape[-1]))


@lru_cache(maxsize=8)
def _corners(size: int) -> np.ndarray:
    """0 in the middle, rising to 1 in the corners [size, size]."""
    axis = (np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1
    corners = soft(np.hypot(axis[:, None], axis[None, :]) - 1.05, 0.7)
    corners.flags.writeable = False
    return corners


def quantise(image: np.ndarray, largest: int) -> np.ndarray:
    """[channels, h, w], 0 to 1, to integers [h, w, channels]: uint8 for 255, uint16 for 65535."""
    kind = np.uint8 if largest == 255 else np.uint16
    scaled = np.clip(image * np.float32(largest) + np.float32(0.5), 0, largest)
    return np.ascontiguousarray(scaled.astype(kind).transpose(1, 2, 0))
