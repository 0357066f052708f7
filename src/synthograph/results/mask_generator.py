"""What the file of a mask generator says of itself."""

from typing import Annotated, Literal

import pydantic

from synthograph.results.annotations import MOST_CLASSES, Drawing, MaskClass
from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    Many,
    Plain,
    Prose,
    Schema,
    Share,
    UnlessEmpty,
)
from synthograph.results.environment import Environment

TASK = "masks"


class ClassForecast(Schema):
    """What to expect of the masks of a class.

    Attributes:
        of_class: the class.
        painted: images that have it.
        share: of the painted pixels.
        dice: mean over painted images of the Dice between the painted mask and that of members
            which never saw the image, nor others of its patient, whose mean counts as one; None
            where nothing was left out.
        ends: interval of this mean for new images of the same network.
    """

    of_class: str
    painted: Count
    share: Share
    dice: Share | None
    ends: Ends | None


class HeadTrial(Schema):
    """A head that was tried, alone or with an image network.

    Attributes:
        name: of the head; says so where an image network takes part.
        steps: after which it was best on images left out.
        dice: its mean over images and classes; None where nothing was left out.
        chosen: whether it was taken.
    """

    name: str
    steps: Count
    dice: Share | None
    chosen: bool


class MaskGeneratorInfo(Document):
    """The header of a mask generator's file.

    Attributes:
        task: what it is for.
        network: file name of the generator whose features it reads; `network_sha256`, its hash.
        drawing: how the painted images were drawn.
        head: shape of the ensemble; see `annotation.heads.HeadShape`.
        image_network: shape of the network that sees whole images, where there is one; see
            `annotation.image_networks.ImageNetworkShape`.
        channels: of every layer of features.
        height: of images and masks in pixels; `width` likewise.
        classes: names and colours, the background first.
        image_digests: of the painted images; `mask_digests` of their masks.
        painters: who painted them.
        forecasts: per class.
        trials: heads that were tried.
        groups: digests of the groups of real images whose masks were used; `real_images` of these
            images.
        seed: of the training.
    """

    kind: Literal["mask generator"] = "mask generator"
    task: str = TASK
    network: FileName
    network_sha256: str
    drawing: Drawing
    head: Plain
    image_network: UnlessEmpty[Plain] = None
    channels: Annotated[tuple[Count, ...], pydantic.Field(min_length=1, max_length=256)]
    height: Count
    width: Count
    classes: Annotated[tuple[MaskClass, ...], pydantic.Field(min_length=1, max_length=MOST_CLASSES)]
    image_digests: Many[str]
    mask_digests: Many[str]
    painters: Many[str] = ()
    forecasts: Many[ClassForecast]
    trials: Many[HeadTrial] = ()
    groups: UnlessEmpty[Many[str]] = ()
    real_images: UnlessEmpty[Many[str]] = ()
    seed: int
    version: str
    environment: UnlessEmpty[Environment | None] = None
    """Where it was trained; None in older files."""
    notes: UnlessEmpty[Many[Prose]] = ()
