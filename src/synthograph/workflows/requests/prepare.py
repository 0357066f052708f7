"""What `prepare` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Positional, Request, Words


class PrepareRequest(Request):
    """Turn image files into an archive: every file decoded once, checked, brought to one size."""

    source: Annotated[Path, Positional()] = Field(description="folder, zip or archive with images")
    dest: Annotated[Path, Positional()] = Field(
        description="archive to be written: NAME.zip or a folder"
    )
    labels: Path | None = Field(None, description="table (CSV or TSV) with labels and more")
    column: Words = Field(
        (), description="roles of the table's columns: file=...,label=...,group=..."
    )
    name_regex: str | None = Field(
        None, description="regular expression whose named groups become columns"
    )
    modality: tuple[str, ...] = Field(
        (), description="further modality as NAME=DIR, paired by file name"
    )
    primary: str | None = Field(None, description="name of the first modality; image if not given")
    masks: Path | None = Field(None, description="folder of masks, paired by file name")
    invariant: Words = Field(
        ("mirror", "rotate", "colour"),
        description="changes that leave an image's meaning alone: mirror,rotate,colour or none",
    )
    size: int | None = Field(None, description="side of square images")
    width: int | None = Field(None, description="width of the images")
    height: int | None = Field(None, description="height of the images")
    transform: str | None = Field(None, description="center-crop, center-crop-wide, pad or stretch")
    resize_filter: str = Field("lanczos", description="lanczos or box")
    tile: int | None = Field(None, description="cut images into tiles of this side")
    overlap: int = Field(0, description="pixels that neighbouring tiles share")
    allow_rejects: bool = Field(False, description="leave out files that cannot be used")
    grid: Path | None = Field(None, description="also draw a PNG with a row of images per class")
    workers: int | None = Field(None, ge=1, description="processes; one per core if not given")
    part: str | None = Field(
        None,
        description="prepare only part 2/4, on any machine; the command without --part joins all",
    )
