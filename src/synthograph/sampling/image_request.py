"""Which images to generate, and what comes of it."""

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import FoundOn, Latents, Rendering, of_seeds
from synthograph.sampling.naming import file_head, file_names

Job = tuple[int, str | None]
"""Seed and class of an image."""


class FileKind(enum.StrEnum):
    """How single image files are written."""

    PNG = "png"
    JPEG = "jpeg"


@dataclass(frozen=True)
class ImageMask:
    """The mask of a synthetic image.

    Attributes:
        mask: class ids.
        uncertainty: how little it can be relied on; larger is less.
        columns: further columns of the image's row.
    """

    mask: UInt8[np.ndarray, "h w"]
    uncertainty: float
    columns: Mapping[str, str]


@dataclass(frozen=True)
class MaskRule:
    """What gives the images of an archive masks.

    Attributes:
        draw: gets a range of the jobs of the request; gives their images and masks in batches.
        keep: share of the images that is kept; those with the least certain masks are withheld.
        command: what identifies the rule, as JSON data.
        about: what is recorded of it in `dataset.json`.
        found_on: real images whose masks it learned from.
    """

    draw: Callable[[range], Iterator[list[tuple["SyntheticImage", ImageMask]]]]
    keep: float
    command: Mapping[str, object]
    about: Mapping[str, object]
    found_on: FoundOn = FoundOn()


@dataclass(frozen=True)
class ImageRequest(Rendering):
    """Which images to generate, and how.

    Attributes:
        jobs: seed and class of every image; class None for an unconditional generator.
        latents: what the images are made of instead of seeds; a job then has its place in them.
        files: hex sha256 -> name of files that hold the latents of the images, for the record.
        labels: what gives the images of an archive masks.
    """

    jobs: Sequence[Job]
    latents: Latents | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    labels: MaskRule | None = None

    def chosen(self, snapshot: Snapshot, part: slice) -> Latents:
        """The latents of some of the jobs."""
        if self.latents is not None:
            return self.latents.take(part)
        seeds, labels = zip(*self.jobs[part], strict=True)
        return of_seeds(snapshot, seeds, labels)

    def file_names(self, kind: FileKind) -> list[str]:
        """`seed0000`, or the name of the latent; see `naming.file_names`."""
        heads = [f"seed{seed:04d}" for seed, _ in self.jobs]
        if self.latents is not None:
            heads = [file_head(name) for name in self.latents.names]
        return file_names(heads, [label for _, label in self.jobs], kind)


@dataclass(frozen=True)
class SyntheticImage:
    """One synthetic image: its seed, or the place of its latent in the request; its class or None;
    and its pixels [channels, h, w].
    """

    seed: int
    label: str | None
    pixels: np.ndarray
