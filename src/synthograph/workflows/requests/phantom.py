"""What `phantom` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Flag, Positional, Request


class PhantomRequest(Request):
    """Make an archive of phantoms: skin lesions, eyes in two modalities, or 16-bit knees."""

    kind: Annotated[str, Positional()] = Field(description="skin, eye or knee")
    dest: Annotated[Path, Positional()] = Field(
        description="archive to be written: NAME.zip or a folder"
    )
    count: int = Field(2000, description="number of images")
    size: int = Field(64, description="side in pixels")
    seed: int = Field(0, description="seed of patients, factors and pixels")
    site: str = Field("a", description="camera: a or b")
    grid: Path | None = Field(None, description="also draw a PNG with a row of images per class")
    settings: Annotated[tuple[str, ...], Flag("--set")] = Field(
        (), description="further settings as name=value, such as auroc=0.95"
    )
