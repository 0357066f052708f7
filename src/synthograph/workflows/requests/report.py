"""What `report` can be asked."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from synthograph.core.request import Flag, Positional, Request


class ReportRequest(Request):
    """Write one page on a synthetic set: data, training, measures, copies, with verdicts."""

    paths: Annotated[tuple[Path, ...], Positional("RUN_OR_FOLDER...")] = Field(
        description="run directories, archives, and what evaluate --out, audit and domain-gap wrote"
    )
    out: Annotated[Path, Flag("--out", "-o")] = Field(
        Path("report.html"), description="page to write; the same content goes beside it as JSON"
    )
    title: str = Field("", description="title of the page; the name of the set if not given")
    public: bool = Field(
        False,
        description="leave out real images and local folders, and synthetic images too unless an "
        "audit is clean",
    )
    force: bool = Field(False, description="replace a page that is there")
