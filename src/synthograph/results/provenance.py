"""What a number rests on: features, images, seed, version."""

from collections.abc import Iterable
from typing import Annotated

import pydantic

from synthograph.results.base import (
    Command,
    Count,
    FileName,
    IfGiven,
    Many,
    Plain,
    Schema,
    UnlessEmpty,
)
from synthograph.results.environment import Environment

OWN = "classifier:"
"""How names of extractors begin that a user trained."""


def weakness(names: Iterable[str]) -> str:
    """Why numbers of indicative extractors are no more than an indication: what their networks
    were.
    """
    own = {name.startswith(OWN) for name in names}
    few = "trained on such images alone"
    return f"never trained, or {few}" if len(own) > 1 else few if True in own else "never trained"


class Features(Schema, extra="allow"):
    """What an extractor or a perceptual distance says of itself; its preprocessing, weights and
    precision are further entries.

    Attributes:
        extractor: name of an extractor; empty for a distance, which has the entry `distance`.
        indicative: whether it was never trained, or by a user, so that its numbers compare with
            themselves only.
        weights: hash, file and whether it is the published one; of a distance by name.
    """

    extractor: IfGiven[str] = ""
    indicative: IfGiven[bool] = False
    weights: IfGiven[dict[str, Plain]] = {}


class ImageRecord(Schema, extra="allow"):
    """Where the images of a set come from: an archive, or a snapshot with the seeds of its images;
    further entries say how they were made.

    Attributes:
        networks: sha256 of the generators of an archive of synthetic images; none where it does not
            say, and in files of older versions.
    """

    name: IfGiven[FileName] = ""
    archive: IfGiven[FileName] = ""
    images_hash: IfGiven[str | None] = None
    manifest_hash: IfGiven[str | None] = None
    split: IfGiven[str | None] = None
    snapshot: IfGiven[FileName] = ""
    networks: IfGiven[Annotated[Many[str], pydantic.Field(strict=False)]] = ()
    n: IfGiven[Count | None] = None
    images: IfGiven[Count | None] = None
    groups: IfGiven[Count | None] = None


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
        environment: where it was measured, where that is recorded.
    """

    features: IfGiven[Features | None] = None
    modality: IfGiven[str | None] = None
    real: IfGiven[ImageRecord | None] = None
    generated: IfGiven[ImageRecord | None] = None
    train: IfGiven[ImageRecord | None] = None
    seed: IfGiven[int | None] = None
    version: IfGiven[str] = ""
    environment: UnlessEmpty[Environment | None] = None
    command: IfGiven[Command] = ""
