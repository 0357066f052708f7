"""What `weights import` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Positional, Request


class ImportWeightsRequest(Request):
    """Check a file of weights and keep it; nothing in it is executed."""

    name: Annotated[str, Positional()] = Field(
        description="of the weights, as 'synthograph weights' lists it"
    )
    file: Annotated[Path, Positional()] = Field(
        description="the published file, or safetensors of the same"
    )
