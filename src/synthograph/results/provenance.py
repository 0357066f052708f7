"""What a number rests on: features, images, seed, version."""

from collections.abc import Collection
from typing import ClassVar

from synthograph.results.base import Command, Count, FileName, Plain, Schema


class Features(Schema, extra="allow"):
    """What an extractor or a perceptual distance says of itself; its preprocessing, weights and
    precision are further entries.

    Attributes:
        extractor: name of an extractor; empty for a distance, which has the entry `distance`.
        indicative: whether it was never trained, so that its numbers compare with themselves only.
        weights: hash, file and whether it is the published one; of a distance by name.
    """

    sparse: ClassVar[Collection[str]] = ("extractor", "indicative", "weights")

    extractor: str = ""
    indicative: bool = False
    weights: dict[str, Plain] = {}


class ImageRecord(Schema, extra="allow"):
    """Where the images of a set come from: an archive, or a snapshot with the seeds of its images;
    further entries say how they were made.
    """

    sparse: ClassVar[Collection[str]] = (
        *("name", "archive", "images_hash", "manifest_hash", "split", "snapshot", "n"),
        *("images", "groups"),
    )

    name: FileName = ""
    archive: FileName = ""
    images_hash: str | None = None
    manifest_hash: str | None = None
    split: str | None = None
    snapshot: FileName = ""
    n: Count | None = None
    images: Count | None = None
    groups: Count | None = None


class Provenance(Schema, extra="allow"):
    """What a number rests on.

    Attributes:
        features: the extractor; None for measures of pixels.
        modality: whose channels were taken alone.
        real: the reference.
        generated: the synthetic images.
        train: the images that the generator was trained on.
        seed: of halves and blocks.
        version: of the package that measured.
        command: as it was typed.
    """

    sparse: ClassVar[Collection[str]] = (
        *("features", "modality", "real", "generated", "train", "seed", "version", "command"),
    )

    features: Features | None = None
    modality: str | None = None
    real: ImageRecord | None = None
    generated: ImageRecord | None = None
    train: ImageRecord | None = None
    seed: int | None = None
    version: str = ""
    command: Command = ""
