"""Features of a set of images together with the patients (groups) that the images come from."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from synthograph.core.errors import UserError

# n image, d feature

CHUNK = 1024


@dataclass(frozen=True)
class Sample:
    """Features of a set of images.

    Attributes:
        values: one row per image, float32; may lie in a memory map.
        groups: patient of every image, any integers. Only equality counts.
    """

    values: Float[Tensor, "n d"]
    groups: Int[Tensor, " n"]

    @classmethod
    def singles(cls, values: Float[Tensor, "n d"]) -> "Sample":
        """Every image is its own group, as synthetic images are."""
        return cls(values, torch.arange(len(values)))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def features(self) -> int:
        """Number of features of an image."""
        return self.values.shape[1]

    @property
    def group_count(self) -> int:
        """How many different groups there are."""
        return len(self.groups.unique())

    def subset(self, rows: Int[Tensor, " k"] | Bool[Tensor, " n"]) -> "Sample":
        """The images at `rows`, copied."""
        return Sample(self.values[rows], self.groups[rows])


def chunks(values: Float[Tensor, "n d"], size: int = CHUNK) -> Iterator[Float64[Tensor, "k d"]]:
    """The rows in float64, at most `size` at a time, so that a memory map is never held whole."""
    for start in range(0, len(values), size):
        yield values[start : start + size].to(torch.float64)


@dataclass(frozen=True)
class ByBlock:
    """A sample in the order of its blocks, in chunks that never cross the border of a block."""

    sample: Sample  # in its own order
    order: Int64[Tensor, " n"]  # row of the sample at every place
    spans: list[tuple[int, int, int]]  # block, first place, place after the last of every chunk

    def rows(self, start: int, stop: int) -> Sample:
        """The images at these places."""
        return self.sample.subset(self.order[start:stop])


def by_block(sample: Sample, blocks: Int64[Tensor, " n"], size: int = CHUNK) -> ByBlock:
    """Order a sample by block (0, 1, 2, ...), in chunks of at most `size` images."""
    spans, start = [], 0
    for block, count in enumerate(torch.bincount(blocks).tolist()):
        stop = start + count
        spans += [(block, at, min(at + size, stop)) for at in range(start, stop, size)]
        start = stop
    return ByBlock(sample, torch.argsort(blocks, stable=True), spans)


def check(sample: Sample, what: str) -> None:
    """Refuse features that are not numbers; a message calls the set `what`, such as "real".

    Raises:
        UserError: a feature is NaN or infinite.
    """
    for start in range(0, len(sample), CHUNK):
        good = sample.values[start : start + CHUNK].isfinite().all(dim=1)
        if not bool(good.all()):
            row = start + int((~good).nonzero()[0, 0])
            raise UserError(
                f"{what} image {row}: its features are not finite numbers; look at the image, and "
                "whether the weight file of the extractor is the right one"
            )


def check_pair(real: Sample, fake: Sample) -> None:
    """Refuse two sets that cannot be compared.

    Raises:
        UserError: different numbers of features, or features that are NaN or infinite.
    """
    if real.features != fake.features:
        raise UserError(
            f"real images have {real.features} features and synthetic ones {fake.features}; "
            "both must come from the same extractor"
        )
    check(real, "real")
    check(fake, "synthetic")


def too_few(real: Sample, fake: Sample, least: int) -> str | None:
    """The reason why a measure that needs `least` images on each side has no value, or None."""
    for sample, what in ((real, "real"), (fake, "synthetic")):
        if len(sample) < least:
            return f"{len(sample)} {what} images, at least {least} are needed"
    return None
