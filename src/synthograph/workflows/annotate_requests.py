"""What the jobs of `annotate` can be asked. Nothing here imports torch."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Flag
from synthograph.workflows.latent_requests import OfNetwork, Rendered

MOST_PAINTED = 4096
"""Images of an annotation set; its contact sheet is held in memory."""


class _Painted(OfNetwork):
    """Which images are to be painted."""

    outdir: Path = Field(description="new folder: the annotation set")
    num: int = Field(
        100, ge=1, le=MOST_PAINTED, description="number of images, classes taking turns"
    )
    seeds: str | None = Field(None, description="seeds such as 0-35,97 instead of 0, 1, 2 ...")
    classes: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="class of images by name or index; all if not given"
    )


class AnnotateSampleRequest(Rendered, _Painted):
    """Draw images to paint, in the order in which painting them says most."""

    group = "annotate"

    noise_mode: Literal["const", "none"] = Field(
        "const", description="const or none, so that an image can be drawn again from its latent"
    )
