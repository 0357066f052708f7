"""Finds the images of a set that should be looked at before training."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

MAX_SUSPECTS = 10
MIN_STEP = 1e-5  # one pixel of a 256x256 image that differs by one of 255 levels
MIN_SPREAD = 1e-3  # a quarter of a grey level: below it, differences are no outliers


class ImageStatistics(NamedTuple):
    """Statistics of an image: mean and standard deviation (0 to 1), sharpness, and a digest of
    its pixels.
    """

    mean: float
    deviation: float
    sharpness: float
    digest: str

    @property
    def flat(self) -> bool:
        """Whether it shows one grey or colour and nothing else."""
        return self.deviation < MIN_STEP


@dataclass(frozen=True, slots=True)
class Suspect:
    """An unusual image, how unusual it is, and why."""

    name: str
    oddness: float
    reason: str


def image_statistics(modalities: Mapping[str, np.ndarray]) -> ImageStatistics:
    """Statistics of an image's first modality, and a digest of all its pixels."""
    first = next(iter(modalities.values()))
    channels = first.shape[2]
    share = np.full(channels, 1 / (np.iinfo(first.dtype).max * channels), np.float32)
    grey = first.astype(np.float32) @ share  # a mean over three neighbours takes ten times as long
    steps = np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean()
    digest = hashlib.sha256()
    for pixels in modalities.values():
        digest.update(f"{pixels.shape}{pixels.dtype}".encode())
        digest.update(np.ascontiguousarray(pixels).data)
    return ImageStatistics(
        float(grey.mean()), float(grey.std()), float(steps), digest.hexdigest()[:16]
    )


def find_suspects(names: Sequence[str], sketches: Sequence[ImageStatistics]) -> list[Suspect]:
    """At most ten images: flat ones, and outliers of brightness, contrast or sharpness.

    An outlier lies more than 6 robust standard deviations (1.4826 x median absolute deviation) from
    the median.
    """
    found: dict[str, Suspect] = {}

    def note(name: str, oddness: float, reason: str) -> None:
        if name not in found or found[name].oddness < oddness:
            found[name] = Suspect(name, oddness, reason)

    for name, one in zip(names, sketches, strict=True):
        if one.deviation < 0.004:
            note(name, 2000.0, "nearly one flat grey or colour")
    for attribute, low, high in (
        ("mean", "unusually dark", "unusually bright"),
        ("deviation", "unusually low contrast", "unusually high contrast"),
        ("sharpness", "unusually smooth", "unusually noisy or sharp"),
    ):
        values = np.array([getattr(one, attribute) for one in sketches])
        center = np.median(values)
        spread = 1.4826 * np.median(np.abs(values - center)) + MIN_SPREAD
        for name, z in zip(names, (values - center) / spread, strict=True):
            if abs(z) > 6:
                note(
                    name, float(min(abs(z), 999.0)), f"{high if z > 0 else low} ({z:+.1f} spreads)"
                )
    return sorted(found.values(), key=lambda s: -s.oddness)[:MAX_SUSPECTS]
