"""What `weights get` can be asked."""

from typing import Annotated

from pydantic import Field

from synthograph.core.request import Positional, Request


class GetWeightsRequest(Request):
    """Download a file of weights, check its hash and keep it."""

    name: Annotated[str, Positional()] = Field(
        description="of the weights, as 'synthograph weights' lists it"
    )
    offline: bool = Field(False, description="do not connect; say which file to put where")
