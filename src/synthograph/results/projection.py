"""What `project` writes: how near a generator comes to given images."""

from typing import Annotated, Literal

import pydantic

from synthograph.results.base import (
    Command,
    Count,
    Document,
    FileName,
    IfGiven,
    Many,
    Private,
    Prose,
    Schema,
    UnlessEmpty,
)
from synthograph.results.provenance import Features, ImageRecord

NO_ANONYMISATION = (
    "a projection is no anonymisation: it is made to look like the image of a person as much as "
    "the generator can, and may show what identifies that person"
)
Percent = Annotated[float, pydantic.Field(ge=0, le=100)]


class Projection(Schema):
    """An image and the one that the generator makes most like it. Files are named as they are
    called in the folder.

    Attributes:
        file: the image, as its archive or folder calls it.
        group: its patient.
        split: train, val or test, if it has one.
        label: its class; None for an unconditional generator.
        latent: file of the styles; `generator`, of the tuned generator that they are for.
        target: picture of the image, brought to the network's size; `result`, of the projection.
        psnr: dB; None where both are equal.
        ssim: structural similarity, -1..1; `ms_ssim` at several scales, 0..1. None below 11 pixels.
        distance: perceptual distance.
        percentile: share of held-out images whose distance is smaller, in percent; equal ones count
            half. None without held-out images.
    """

    file: Annotated[str, Private] = ""
    group: Annotated[str, Private] = ""
    split: IfGiven[str | None] = None
    label: IfGiven[str | None] = None
    latent: Annotated[str, Private] = ""
    generator: Annotated[IfGiven[str], Private] = ""
    target: Annotated[str, Private] = ""
    result: Annotated[str, Private] = ""
    psnr: float | None
    ssim: float | None
    ms_ssim: float | None
    distance: float
    percentile: Percent | None = None


class ProjectionMethod(Schema):
    """How styles were found.

    Attributes:
        space: w, w+ or pti.
        minimised: the distance that was made small, in words.
        steps: of the search for styles; `tuning_steps`, of the generator.
        seed: of its random numbers.
        precision: arithmetic of the network blocks while searching.
    """

    space: Literal["w", "w+", "pti"]
    minimised: str
    steps: Count
    tuning_steps: IfGiven[Count] = 0
    seed: Count
    precision: str


class Projections(Document):
    """Projections of images into the latent space of a generator.

    Attributes:
        network: file of the generator; `network_sha256`, its hash.
        distance: the perceptual distance that is reported.
        data: where the images come from.
        resizing: what was done to images of another size or kind; empty where nothing was.
        modalities: their names, in the order of the network; none in older files.
        reference: held-out images that percentiles refer to, where they are no targets.
        held_out: how many distances they rest on.
    """

    kind: Literal["projections"] = "projections"
    network: FileName
    network_sha256: str
    method: ProjectionMethod
    distance: Features
    data: ImageRecord
    resizing: IfGiven[str] = ""
    modalities: UnlessEmpty[Many[str]] = ()
    reference: IfGiven[ImageRecord | None] = None
    held_out: IfGiven[Count] = 0
    projections: Many[Projection]
    version: str
    command: IfGiven[Command] = ""
    notes: Many[Prose] = (NO_ANONYMISATION,)

    @property
    def distance_name(self) -> str:
        """Name of the perceptual distance."""
        return str((self.distance.model_extra or {}).get("distance", ""))

    def of_split(self, split: str | None) -> tuple[Projection, ...]:
        """The projections of one split."""
        return tuple(each for each in self.projections if each.split == split)

    def unseen(self) -> tuple[Projection, ...]:
        """Those of images that no training saw: all that are not of split train."""
        return tuple(each for each in self.projections if each.split != "train")
