"""What `convert` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Positional, Request


class ConvertRequest(Request):
    """Write a generator as safetensors, and its discriminators beside it; nothing is executed."""

    source: Annotated[Path, Positional()] = Field(
        description="published .pkl, snapshot or run directory"
    )
    target: Annotated[Path, Positional()] = Field(
        description="the generator's file, NAME.safetensors"
    )
    public: bool = Field(
        False,
        description="leave out the digests of groups and images, by which a holder of an image "
        "could test whether it was trained on, and the folders that private files lay in",
    )
