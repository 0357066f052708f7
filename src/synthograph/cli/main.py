"""Entry point: the verbs, and errors as one line with an exit code."""

import sys
import traceback
from typing import Annotated

import typer

from synthograph.cli.demo import demo
from synthograph.cli.doctor import doctor
from synthograph.cli.generate import generate
from synthograph.cli.models import models
from synthograph.cli.phantom import phantom
from synthograph.cli.prepare import prepare
from synthograph.cli.split import split
from synthograph.cli.train import train
from synthograph.core.errors import ExitCode, SynthographError

app = typer.Typer(
    name="synthograph",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a small private image set to a labelled synthetic set that you can defend.",
)
for verb in (demo, phantom, prepare, split, train, generate, models, doctor):
    app.command()(verb)


def _version(wanted: bool) -> None:
    if wanted:
        import synthograph

        typer.echo(f"synthograph {synthograph.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Options before the verb."""
    global _debug
    _debug = debug


_debug = False
INTERRUPTED = 130
"""What typer makes of Ctrl-C."""


def run() -> None:
    """Run the command line; the process ends with the exit code of `core.errors`."""
    try:
        app()
    except SynthographError as error:
        _end(f"error: {error}", error.exit_code)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _end(
                "error: interrupted; an unfinished archive goes on with the same command",
                ExitCode.STOPPED,
            )
        raise


def _end(message: str, code: ExitCode) -> None:
    if _debug:
        traceback.print_exc()
    typer.echo(message, err=True)
    sys.exit(int(code))
