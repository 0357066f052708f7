"""`synthograph inspect`: what a file or folder is, without trusting it."""

from typing import Annotated

import typer
from pydantic import Field

from synthograph.cli.options import show, verb
from synthograph.core.progress import Printed
from synthograph.core.request import Flag
from synthograph.workflows import run
from synthograph.workflows.requests import InspectRequest


class InspectOptions(InspectRequest):
    """What is asked, and how the answer is shown."""

    full: bool = Field(False, description="every setting of a model, and lists as a whole")
    as_json: Annotated[bool, Flag("--json")] = Field(False, description="print JSON, complete")


@verb(InspectOptions)
def inspect(options: InspectOptions) -> None:
    """Print what is known of a file, up to where it is refused."""
    found = run(options, progress=Printed())
    if options.as_json:
        show(found, as_json=True)
    else:
        typer.echo("\n".join(found.lines(full=options.full)))
    if found.refused is not None:
        raise found.refused
