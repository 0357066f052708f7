"""What each job of the latent tools can be asked. Nothing here imports torch.

How images are drawn is declared once, in `Rendered`. A request takes it along behind its own
options, so that those stand first in the help:

    class _Loop(OfNetwork):
        frames: int = Field(60, ge=2, description="images of the loop")

    class InterpolateRequest(Rendered, _Loop):
        '''Draw the way between latents.'''
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Flag, Request


class OfNetwork(Request):
    """The network that a job draws with."""

    network: Path = Field(
        description="snapshot, .pkl, or run directory (its best snapshot, else the newest)"
    )


class OfClass(OfNetwork):
    """The network, and the class of what it draws."""

    of_class: Annotated[str | None, Flag("--class")] = Field(
        None, description="class by name or index, for conditional networks"
    )


class Rendered(Request):
    """How images are drawn."""

    trunc: float = Field(1.0, description="truncation psi; 1 is full diversity")
    trunc_cutoff: int | None = Field(None, description="number of style rows to truncate")
    trunc_center: Literal["global", "class"] = Field(
        "global", description="pull to the mean of all images (global) or of the class"
    )
    noise_mode: Literal["const", "random", "none"] = Field(
        "const", description="const, random (drawn from the seed) or none"
    )
    batch: int = Field(32, description="images computed at once; does not change them")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="fp32, or bf16 (faster, slightly different images)"
    )
