"""Sets of images and extractors that are made in no time."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.spec import ImageSpec
from synthograph.features.base import WeightDigest


@dataclass(frozen=True)
class Means:
    """Means of a grid of patches, over all channels: a stub of the protocol `Extractor`."""

    name: str = "means"
    dims: int = 4
    indicative: bool = True
    broken: bool = False

    @property
    def digest(self) -> WeightDigest:
        return WeightDigest(hashlib.sha256(self.name.encode()).hexdigest(), "none", verified=True)

    def __call__(self, images: Tensor) -> Tensor:
        found = torch.nn.functional.adaptive_avg_pool2d(images.float().mean(1), 2).flatten(1)
        return found * torch.nan if self.broken else found

    def describe(self) -> dict[str, Any]:
        return {"extractor": self.name, "dims": self.dims}


def noise(
    name: str = "set",
    count: int = 40,
    *,
    seed: int = 0,
    modalities: dict[str, int] | None = None,
    size: tuple[int, int] = (16, 16),
    bits: int = 8,
    levels: tuple[str, ...] | None = ("a", "b"),
    columns: dict[str, tuple[str, ...]] | None = None,
    per: int = 1,
    bright: int = 0,
    key: str | None = None,
) -> ImageSet:
    """Images of noise, `per` of a patient, labels by turns; the second class is brighter."""
    spec = ImageSpec(
        height=size[0], width=size[1], modalities=modalities or {"image": 1}, bits=bits
    )
    pixels = torch.randint(
        0,
        100,
        (count, spec.channels, *size),
        generator=torch.Generator().manual_seed(seed),
    )
    pixels += bright
    labels = None if levels is None else tuple(levels[i % len(levels)] for i in range(count))
    if labels is not None:
        pixels += torch.tensor([50 * (label == "b") for label in labels])[:, None, None, None]
    images = pixels.to(torch.uint8 if bits == 8 else torch.uint16)

    def batches() -> Iterator[Tensor]:
        for start in range(0, count, 8):
            yield images[start : start + 8]

    return ImageSet(
        name,
        spec,
        count,
        batches,
        8,
        torch.arange(count) // per,
        labels,
        columns or {},
        key,
        {"images_hash": f"hash of {name}"},
    )
