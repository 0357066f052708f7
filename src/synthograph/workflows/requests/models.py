"""What `models` can be asked."""

from pydantic import Field

from synthograph.core.request import Request


class ModelsRequest(Request):
    """List model families, presets and every hyper-parameter with default, range and meaning."""

    preset: str | None = Field(None, description="show the values of this preset")
    size: int = Field(256, description="side of the images that the preset is for")
