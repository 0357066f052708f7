"""What `split` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Positional, Request


class SplitRequest(Request):
    """Cut an archive into train, val and test. Groups stay whole, classes keep their shares."""

    archive: Annotated[Path, Positional()] = Field(description="archive to split, in place")
    test: float = Field(0.2, description="share of the images that only reports see")
    val: float = Field(0.1, description="share of the images by which models are chosen")
    folds: int | None = Field(None, description="cross-validation folds of the train part")
    seed: int = Field(0, description="seed of the random order")
    force: bool = Field(False, description="replace an existing split")
