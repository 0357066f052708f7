"""Verbs whose result is a table."""

from collections.abc import Callable

import typer

from synthograph.cli.options import show, verb
from synthograph.core.progress import Printed
from synthograph.core.request import Request, Result
from synthograph.workflows import run

WIDTH = 150
"""Columns of a table where the output is no terminal."""


def table_verb(request: type[Request]) -> Callable[..., None]:
    """The verb that does what is asked and prints the table of the result, if there is one."""

    def work(asked: Request) -> None:
        result = run(asked, progress=Printed())
        if result is not None:
            _show(result)

    return verb(request)(work)


def _show(result: Result) -> None:
    """Print a result; where the output is no terminal, its table is wide and without broken
    lines.
    """
    from rich.console import Console

    from synthograph.workflows.tables import TableResult

    if not isinstance(result, TableResult):
        show(result)
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, soft_wrap=True)
    console.print(result.table)
    for line in result.notes():
        typer.echo(line)
