"""What `inspect` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Positional, Request


class InspectRequest(Request):
    """Say what a file or folder is; nothing in it is executed. Ends with 2 if it is refused."""

    path: Annotated[Path, Positional()] = Field(
        description="snapshot, pickle, archive, state, run directory, or folder of runs"
    )
    quick: bool = Field(False, description="read no images of an archive")
