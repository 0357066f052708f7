"""`synthograph weights`: files of weights that measures need; list, import, download."""

from typing import Annotated

import typer

from synthograph.cli.options import plain_verb, show
from synthograph.core.progress import Printed
from synthograph.workflows import run
from synthograph.workflows.requests import GetWeightsRequest, ImportWeightsRequest, WeightsRequest

weights = typer.Typer(invoke_without_command=True)


@weights.callback(help=WeightsRequest.__doc__)
def listing(
    context: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """List what there is, unless one of the commands below was typed."""
    if context.invoked_subcommand is None:
        show(run(WeightsRequest(), progress=Printed()), as_json=as_json)


weights.command("import")(plain_verb(ImportWeightsRequest))
weights.command("get")(plain_verb(GetWeightsRequest))
